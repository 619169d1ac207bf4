"""`pause`, `resume`, `snooze` and `finish`: what the owner wants of the running worker."""

from __future__ import annotations

import argparse
import re
from datetime import datetime, timedelta

from hivemind_worker.commands.layout import local_time
from hivemind_worker.commands.printing import fail, say, say_json
from hivemind_worker.commands.remote import Values, ask_worker
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.moments import next_morning

_LENGTH = re.compile(r"([0-9]{1,4})([mh])")
SNOOZE_HELP = "how long: 15m, 1h, 4h, any number of m or h, or tomorrow (06:00)"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the four."""
    pause = subparsers.add_parser("pause", help="freeze all tasks until resumed")
    pause.set_defaults(func=lambda args: _wish("pause", args.json))
    resume = subparsers.add_parser("resume", help="go on, and take work again")
    resume.set_defaults(func=lambda args: _wish("resume", args.json))
    snooze = subparsers.add_parser("snooze", help="freeze all tasks for a while")
    snooze.add_argument("time", metavar="TIME", help=SNOOZE_HELP)
    snooze.set_defaults(func=_snooze)
    finish = subparsers.add_parser("finish", help="take no new task; when the running ones have ended, pause")
    finish.add_argument("--quit", action="store_true", help="end the worker instead of pausing it")
    finish.set_defaults(func=lambda args: _wish("finish", args.json, {"quit": args.quit}))
    for parser in (pause, resume, snooze, finish):
        parser.add_argument("--json", action="store_true", help="one JSON object")


def snooze_end(text: str, now: datetime) -> datetime | Problem:
    """When a snooze of this length ends, with its offset from UTC. `now` is local, with its offset."""
    word = text.strip().lower()
    if word == "tomorrow":
        return next_morning(now)
    found = _LENGTH.fullmatch(word)
    if found is None or int(found[1]) == 0:
        return Problem(
            code=FaultCode.BAD_USAGE,
            about=f"This is no length of time: {text!a:.60}. Write for example 15m, 4h or tomorrow.",
        )
    unit_s = 60 if found[2] == "m" else 3600
    return now + timedelta(seconds=int(found[1]) * unit_s)


def _snooze(args: argparse.Namespace) -> int:
    end = snooze_end(args.time, datetime.now().astimezone())
    if isinstance(end, Problem):
        return fail(end, args.json)
    return _wish("snooze", args.json, {"until": end.isoformat()})


def _wish(action: str, json: bool, body: Values | None = None) -> int:
    answer = ask_worker(f"/api/v1/actions/{action}", body, post=True)
    if isinstance(answer, Problem):
        return fail(answer, json)
    if json:
        say_json(answer)
    else:
        say(first_sentence(answer))
    return 0


def first_sentence(answer: Values) -> str:
    """The first verdict's sentence, with the local time at which it ends."""
    verdicts = answer["verdicts"]
    assert isinstance(verdicts, list)
    first = verdicts[0]
    until = f" ({local_time(first['ends_at'], '%a %H:%M')})" if first["ends_at"] else ""
    return f"{first['text']}{until}"
