"""`doctor`: looks at everything that a worker needs and says what to do about what is missing."""

from __future__ import annotations

import argparse
import asyncio

from hivemind_worker.commands.printing import fail, say, say_json
from hivemind_worker.commands.resolve import Resolved, resolve
from hivemind_worker.model.checkup import Check, CheckState
from hivemind_worker.model.task import Problem

MARKS = {
    CheckState.OK: "  ok ",
    CheckState.NOT_NEEDED: "   - ",
    CheckState.WARN: "note ",
    CheckState.FAIL: "FAIL ",
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `doctor`."""
    parser = subparsers.add_parser("doctor", help="check everything that a worker needs")
    parser.add_argument(
        "--sandbox",
        action="store_true",
        help="have a program try to get out of each sandbox; takes half a minute",
    )
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Print the findings as they come; exit code 1 when one of them keeps the worker from working."""
    if args.sandbox:
        from hivemind_worker.commands import doctor_sandbox

        return doctor_sandbox.run(args.json)
    resolved = resolve({})
    if isinstance(resolved, Problem):
        return fail(resolved, args.json)
    found = asyncio.run(_all_checks(resolved, args.json))
    return 1 if any(check.state is CheckState.FAIL for check in found) else 0


async def _all_checks(resolved: Resolved, as_json: bool) -> list[Check]:
    from hivemind_worker.checkup import Subject, checkup

    subject = Subject(settings=resolved.settings, sources=resolved.sources, places=resolved.places)
    found = []
    async for check in checkup(subject):
        found.append(check)
        if as_json:
            say_json(check.as_json())
            continue
        say(f"{MARKS[check.state]} {check.name}: {check.text}")
        if check.next_step:
            say(f"      {check.next_step}")
    return found
