"""`rules`: see, change, paint and try out when this computer is lent and how much of it."""

from __future__ import annotations

import argparse
import re
from dataclasses import asdict
from typing import Any

from hivemind_worker.commands.layout import aligned
from hivemind_worker.commands.printing import fail, say, say_json
from hivemind_worker.commands.remote import Values, ask_worker
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.rules import (
    DAYS,
    PRESETS,
    SLOTS_A_DAY,
    Level,
    Rules,
    change_rules,
    painted,
    preset,
)
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.catalogue import _

ROUTE = "/api/v1/rules"
GRID = " ░▒█"
GROUPS = {"all": DAYS, "mon-fri": DAYS[:5], "weekend": DAYS[5:], "sat-sun": DAYS[5:]}
_TIME = re.compile(r"([01]?[0-9]|2[0-4]):([03])0")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `rules`; alone it shows them."""
    parser = subparsers.add_parser("rules", help="when to run and how much")
    what = parser.add_subparsers(metavar="WHAT")
    parser.set_defaults(func=_show)
    setting = what.add_parser("set", help="change rules: NAME=VALUE ...; NAME= stands for the default")
    setting.add_argument("changes", nargs="+", metavar="NAME=VALUE")
    setting.set_defaults(func=_set)
    paint = what.add_parser("paint", help="set the level of some hours: paint mon-fri 09:00-18:00 light")
    paint.add_argument("days", metavar="DAYS", help="all, mon-fri, weekend, or days with commas")
    paint.add_argument("hours", metavar="FROM-TO", help="half hours, e.g. 09:00-18:30; may go over midnight")
    paint.add_argument("level", metavar="LEVEL", choices=[level.name.lower() for level in Level])
    paint.set_defaults(func=_paint)
    given = what.add_parser("preset", help=f"take a ready set of rules: {', '.join(PRESETS)}")
    given.add_argument("name", metavar="NAME", choices=list(PRESETS))
    given.set_defaults(func=_preset)
    for name, span in (("preview", "next_day"), ("replay", "last_week")):
        tried = what.add_parser(name, help=f"what the rules make of the {span.replace('_', ' ')}")
        tried.set_defaults(func=_simulate, span=span)
    for each in (parser, *what.choices.values()):
        each.add_argument("--json", action="store_true", help="one JSON object")


def _show(args: argparse.Namespace) -> int:
    return _told(ask_worker(ROUTE), args.json)


def _told(answer: Values | Problem, json: bool) -> int:
    if isinstance(answer, Problem):
        return fail(answer, json)
    if json:
        say_json(answer)
    else:
        for line in lines_of(answer):
            say(line)
    return 0


def lines_of(answer: dict[str, Any]) -> list[str]:
    """The answer as plain text: the week, then each rule with its live value."""
    week = [f"{day[:3].title()} {_bar(answer['rules'][day])}" for day in DAYS]
    head = "    00    03    06    09    12    15    18    21    24"
    levels = [
        f"{GRID[Level[line['level'].upper()]]} {line['title']}: {line['amount']}" for line in answer["levels"]
    ]
    rows = [(line["title"], line["value"], line["now"], line["verdict"]) for line in answer["lines"]]
    yields = [text for text in (answer["yields"]["text"], answer["yields"]["spread"]) if text]
    return [head, *week, *levels, "", *aligned(rows), "", *yields]


def _bar(day: str) -> str:
    return "".join(GRID[int(level)] for level in day)


def _set(args: argparse.Namespace) -> int:
    changes: dict[str, object] = {}
    for change in args.changes:
        name, equals, text = change.partition("=")
        if not equals:
            about = f"Write NAME=VALUE, for example idle_on=true, not {change!a:.60}."
            return fail(Problem(code=FaultCode.BAD_USAGE, about=about), args.json)
        changes[name] = text or None
    values = {name: None if text is None else _typed(name, str(text)) for name, text in changes.items()}
    return _told(ask_worker(ROUTE, values, patch=True), args.json)


def _typed(name: str, text: str) -> object:
    """A value as JSON has it; one that does not fit goes as it is, and the worker says what is wrong."""
    rules, problems = change_rules(Rules(), {name: text})
    return text if problems else getattr(rules, name)


def _paint(args: argparse.Namespace) -> int:
    days, hours = days_of(args.days), hours_of(args.hours)
    for found in (days, hours):
        if isinstance(found, Problem):
            return fail(found, args.json)
    assert not isinstance(days, Problem)
    assert not isinstance(hours, Problem)
    answer = ask_worker(ROUTE)
    if isinstance(answer, Problem):
        return fail(answer, args.json)
    kept = answer["rules"]
    assert isinstance(kept, dict)
    rules, _problems = change_rules(Rules(), kept)
    new = painted(rules, days, *hours, Level[args.level.upper()])
    return _told(ask_worker(ROUTE, {day: getattr(new, day) for day in DAYS}, patch=True), args.json)


def days_of(text: str) -> tuple[str, ...] | Problem:
    """Days by a group's name, or by the first letters of each."""
    if (group := GROUPS.get(text.lower())) is not None:
        return group
    found = [
        [day for day in DAYS if len(word) >= 3 and day.startswith(word)] for word in text.lower().split(",")
    ]
    if not all(len(days) == 1 for days in found):
        return Problem(
            code=FaultCode.BAD_USAGE, about=f"These are no days: {text!a:.60}. Write mon-fri or sat,sun."
        )
    return tuple(days[0] for days in found)


def hours_of(text: str) -> tuple[int, int] | Problem:
    """Half hours of the day, from and up to."""
    ends = [_slot(part) for part in text.split("-")]
    if len(ends) != 2 or None in ends or ends[0] == SLOTS_A_DAY:
        return Problem(
            code=FaultCode.BAD_USAGE, about=f"These are no hours: {text!a:.60}. Write 09:00-18:30."
        )
    return ends[0] or 0, ends[1] or 0


def _slot(text: str) -> int | None:
    found = _TIME.fullmatch(text.strip())
    slot = int(found[1]) * 2 + int(found[2] == "3") if found else SLOTS_A_DAY + 1
    return slot if slot <= SLOTS_A_DAY else None


def _preset(args: argparse.Namespace) -> int:
    return _told(ask_worker(ROUTE, asdict(preset(args.name)), patch=True), args.json)


def _simulate(args: argparse.Namespace) -> int:
    answer = ask_worker(f"{ROUTE}/simulate", {"span": args.span}, post=True)
    if isinstance(answer, Problem):
        return fail(answer, args.json)
    if args.json:
        say_json(answer)
        return 0
    spans = answer["spans"]
    assert isinstance(spans, list)
    say(str(answer["text"]))
    for span in spans:
        say(f"  {span['from'][:16].replace('T', ' ')} UTC  {span['text']}")
    if not spans:
        say(_("The picture grows while the worker runs."))
    return 0
