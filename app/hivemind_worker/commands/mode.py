"""`pause`, `resume`, `snooze` and `finish`: what the owner wants of the running worker."""

from __future__ import annotations

import argparse
import re
from datetime import datetime, timedelta

from hivemind_worker.commands.printing import fail, say, say_json
from hivemind_worker.commands.remote import Values, ask_worker
from hivemind_worker.commands.tasks import ask_about_task
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.moments import local_time, next_morning

_LENGTH = re.compile(r"([0-9]{1,4})([mh])")
SNOOZE_HELP = "how long: 15m, 1h, 4h, any number of m or h, or tomorrow (06:00)"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare them."""
    pause = subparsers.add_parser("pause", help="freeze all tasks until resumed, or one alone")
    resume = subparsers.add_parser("resume", help="go on, and take work again; or let one task go on")
    resume.add_argument(
        "--gpu", action="store_true", help="let the graphics card's tasks go on, nothing else"
    )
    pause.add_argument("--gpu", action="store_true", help="hold the graphics card's tasks alone")
    for parser in (pause, resume):
        parser.add_argument(
            "id", metavar="ID", nargs="?", help="one task alone: its id, its key, or 8 digits of its key"
        )
    pause.set_defaults(func=lambda args: _pause_or_resume(args, "pause"))
    resume.set_defaults(func=lambda args: _pause_or_resume(args, "resume"))
    retry = subparsers.add_parser("retry", help="try again now what failures in a row have put on hold")
    retry.set_defaults(func=lambda args: _wish("retry", args.json))
    mode = subparsers.add_parser("mode", help="work by the rules, or whatever they say")
    mode.add_argument("mode", choices=["run", "rules"], help="run: whatever the rules say; rules: by them")
    mode.add_argument("--for", dest="time", metavar="TIME", help=SNOOZE_HELP)
    mode.set_defaults(func=_mode)
    snooze = subparsers.add_parser("snooze", help="freeze all tasks for a while")
    snooze.add_argument("time", metavar="TIME", help=SNOOZE_HELP)
    snooze.set_defaults(func=_snooze)
    finish = subparsers.add_parser("finish", help="take no new task; when the running ones have ended, pause")
    finish.add_argument("--quit", action="store_true", help="end the worker instead of pausing it")
    finish.set_defaults(func=lambda args: _wish("finish", args.json, {"quit": args.quit}))
    for parser in (pause, resume, snooze, finish, mode, retry):
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


def _pause_or_resume(args: argparse.Namespace, action: str) -> int:
    if args.gpu and args.id is not None:
        about = "Name a task or --gpu, not both."
        return fail(Problem(code=FaultCode.BAD_USAGE, about=about), args.json)
    if args.id is not None:
        return ask_about_task(args, action)
    if args.gpu:
        return _wish("gpu", args.json, {"paused": action == "pause"})
    return _wish(action, args.json)


def _mode(args: argparse.Namespace) -> int:
    body: Values = {"mode": args.mode}
    if args.time is not None:
        now = datetime.now().astimezone()
        end = snooze_end(args.time, now)
        if isinstance(end, Problem):
            return fail(end, args.json)
        body["minutes"] = (end - now).total_seconds() / 60
    return _wish("mode", args.json, body)


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
