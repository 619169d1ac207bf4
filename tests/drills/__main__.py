"""`python -m tests.drills [--seed N] [--only F5,kills] [--kills N] [--short]`: plays the fault drills.

Prints the seed, each finding as it comes, and a table; exit code 1 when something was found.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import signal
import sys

import hivemind_worker.pool  # noqa: F401 - sets what grpc reads when it is imported
from tests.drills.findings import INVARIANTS, Sheet, table
from tests.drills.plan import KILLS, PATIENT, Drill, Plan, long_form, play, short_form


def main(words: list[str] | None = None) -> int:
    """Play what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of everything by chance")
    parser.add_argument("--only", default="", metavar="F5,F9,kills", help="these drills alone")
    parser.add_argument("--kills", type=int, default=KILLS, metavar="N", help="random kills")
    parser.add_argument("--short", action="store_true", help="the form of a minute")
    args = parser.parse_args(words)
    plan = short_form() if args.short else long_form(args.kills)
    names = [name for name in args.only.split(",") if name] or list(plan)
    if unknown := [name for name in names if name not in plan]:
        parser.error(f"no such drill: {', '.join(unknown)}; there are {', '.join(plan)}")
    print(f"seed {args.seed}", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # or the workers would outlive it
    sheets = asyncio.run(_play_all({name: plan[name] for name in names}, args.seed))
    print()
    print("\n".join(table(sheets)))
    print()
    for invariant, text in INVARIANTS.items():
        print(f"{invariant}: {text}")
    found = sum(len(sheet.findings) for sheet in sheets)
    print(f"\nseed {args.seed}: {found} findings")
    return 1 if found else 0


async def _play_all(plan: Plan, seed: int) -> list[Sheet]:
    """One after another; those that mostly wait, beside the others."""
    beside = {name: asyncio.ensure_future(_play(name, plan[name], seed)) for name in plan if name in PATIENT}
    return [await (beside.get(name) or _play(name, plan[name], seed)) for name in _last(plan)]


def _last(plan: Plan) -> list[str]:
    """The names, those that mostly wait at the end."""
    return sorted(plan, key=lambda name: name in PATIENT)


async def _play(name: str, drill: Drill, seed: int) -> Sheet:
    sheet = await play(name, drill, seed)
    _tell(sheet)
    return sheet


def _tell(sheet: Sheet) -> None:
    print(f"{sheet.drill}: {sheet.tries} tries, {sheet.seconds:.0f} s", flush=True)
    for line in sheet.notes:
        print(f"  {line}")
    for line in sheet.findings:
        print(f"  FOUND {line}")
    if sheet.not_run:
        print(f"  not run: {sheet.not_run}")


if __name__ == "__main__":
    sys.exit(main())
