"""`history`: what tasks came to by day, pool or image, as the window and the pages show it."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from hivemind_worker.commands.layout import aligned, short
from hivemind_worker.commands.printing import fail, say, say_json
from hivemind_worker.commands.remote import ask_worker
from hivemind_worker.model.days import day_of
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.work_history import (
    By,
    HistoryRow,
    HistoryTable,
    RangeError,
    cells,
    csv_text,
    days_asked,
    has_something,
    head,
    name_of,
    table_of,
    total_name,
)

NAME_WIDTH = 48
LIMIT_S = 30.0
"""The first question after an update has a long journal counted."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `history`."""
    parser = subparsers.add_parser("history", help="tasks, hours, credits, energy and cost over time")
    parser.add_argument(
        "--by", choices=[by.value for by in By], default="day", help="a line for each of these"
    )
    parser.add_argument("--from", dest="first", metavar="DAY", help="first day, like 2026-11-24; two weeks")
    parser.add_argument("--to", dest="last", metavar="DAY", help="last day; today")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object")
    form.add_argument("--csv", action="store_true", help="a table for a spreadsheet, in UTF-8")
    parser.set_defaults(func=show)


def show(args: argparse.Namespace) -> int:
    """Print the table."""
    today = day_of(time.time())
    try:
        days = days_asked(args.first, args.last, today)
    except RangeError as error:
        return fail(Problem(code=FaultCode.BAD_USAGE, about=str(error)), args.json)
    count = (days.last - days.first).days + 1
    path = f"/api/v1/work-history?by={args.by}&days={count}&to={days.last.isoformat()}"
    answer: Any = ask_worker(path, limit_s=LIMIT_S)
    if isinstance(answer, Problem):
        return fail(answer, args.json)
    if args.json:
        say_json(answer)
    elif args.csv:
        sys.stdout.buffer.write(csv_text(table_of(answer)).encode())
        sys.stdout.flush()
    else:
        _say(table_of(answer))
    return 0


def _say(table: HistoryTable) -> None:
    if not has_something(table.total):
        say(_("No task has ended from {first} to {last}.", first=table.first, last=table.last))
        return
    rows = [cells(row, table, _name(row, table)) for row in table.rows if has_something(row)]
    rows.append(cells(table.total, table, total_name(table)))
    for line in aligned([head(table), *rows]):
        say(line)
    say("")
    for note in table.notes:
        say(note)


def _name(row: HistoryRow, table: HistoryTable) -> str:
    """Days as programs write them: a year may lie between them."""
    return row.key if table.by is By.DAY else short(name_of(row, table.by, table.last), NAME_WIDTH)
