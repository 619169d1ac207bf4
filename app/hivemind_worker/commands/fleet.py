"""`fleet`: the owner's machines at the active pool, listed and told what to do through this one."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any

from hivemind_worker.commands.layout import aligned, short
from hivemind_worker.commands.mode import SNOOZE_HELP, snooze_end
from hivemind_worker.commands.printing import fail, say, say_json, tell
from hivemind_worker.commands.remote import Values, ask_worker
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem

WHY_WIDTH = 110
LIST, PAUSE = "list", "pause"
LIMIT_S = 30.0
"""The worker asks the pool first."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `fleet`."""
    parser = subparsers.add_parser("fleet", help="list your machines at the pool; pause, resume, finish them")
    parser.add_argument(
        "what", nargs="?", default=LIST, choices=[LIST, PAUSE, "resume", "finish"],
        help="list them (also without a word), or have some of them pause, go on, or finish",
    )  # fmt: skip
    parser.add_argument("names", metavar="NAME", nargs="*", help="machines by their names in the list")
    parser.add_argument("--all", action="store_true", help="every machine of the account, this one included")
    parser.add_argument("--for", dest="time", metavar="TIME", help=f"of a pause: {SNOOZE_HELP}")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """List, or wish."""
    body = _body(args)
    if isinstance(body, Problem):
        return fail(body, args.json)
    if body is None:
        return _list(args)
    return tell(ask_worker(f"/api/v1/fleet/{args.what}", body, post=True, limit_s=LIMIT_S), args.json)


def _body(args: argparse.Namespace) -> Values | Problem | None:
    """What is wished; None for the list. Nothing is paused because a name was forgotten."""
    if args.what == LIST:
        extra = args.names or args.all or args.time
        return _misuse("The list takes no name: it has every machine.") if extra else None
    if bool(args.names) == args.all:
        return _misuse(f"Say which: hivemind-worker fleet {args.what} NAME, or --all.")
    body: Values = {} if args.all else {"machines": args.names}
    if args.time is None:
        return body
    if args.what != PAUSE:
        return _misuse("Only a pause has a length.")
    now = datetime.now().astimezone()
    end = snooze_end(args.time, now)
    return end if isinstance(end, Problem) else {**body, "minutes": (end - now).total_seconds() / 60}


def _misuse(about: str) -> Problem:
    return Problem(code=FaultCode.BAD_USAGE, about=about)


def _list(args: argparse.Namespace) -> int:
    answer: Any = ask_worker("/api/v1/fleet", limit_s=LIMIT_S)
    if isinstance(answer, Problem):
        return fail(answer, args.json)
    if args.json:
        say_json({key: value for key, value in answer.items() if key not in ("columns", "rows")})
        return 0
    say(answer["summary"])
    rows = [[short(cell, WHY_WIDTH) for cell in row["cells"]] for row in answer["rows"]]
    for line in aligned([[each.upper() for each in answer["columns"]], *rows]):
        say(line)
    return 0
