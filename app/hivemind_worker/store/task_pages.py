"""Pages of ended tasks, newest first, by keyset: the cost of a page does not grow with its depth."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from hivemind_worker.model.metrics import Place, TaskPage, TaskWindow
from hivemind_worker.model.task import Task, TaskKey, TaskState
from hivemind_worker.store.codec import BadRowError, decode_task

SCANNED = 2000
"""Rows looked at for one page of a single state: such a page may be short although there are more."""

PAGE = """
SELECT ended_at_s, key, row FROM tasks
WHERE ended_at_s IS NOT NULL AND (ended_at_s, key) < (?, ?)
ORDER BY ended_at_s DESC, key DESC LIMIT ?
"""
OF_STATE = f"""
SELECT ended_at_s, key, CASE WHEN instr(row, ?) THEN row END FROM ({PAGE})
"""  # noqa: S608 - our own text
SEARCHED = 20_000
"""Ended tasks, newest first, whose names are looked through."""

COUNT = "SELECT count(*) FROM tasks WHERE ended_at_s IS NOT NULL"
WINDOW = """
SELECT row FROM tasks WHERE ended_at_s IS NOT NULL
ORDER BY ended_at_s {way}, key {way} LIMIT ? OFFSET ?
"""
NAMED = """
SELECT key FROM (
  SELECT key, task_id, ended_at_s {more} FROM tasks WHERE ended_at_s IS NOT NULL
  ORDER BY ended_at_s DESC, key DESC LIMIT ?
) WHERE instr(lower(task_id), ?) OR instr(key, ?) {or_state} ORDER BY ended_at_s {way}, key {way}
"""
FIRST = Place(ended_at_s=float("inf"), key=TaskKey(""))


def read_page(
    connection: sqlite3.Connection, limit: int, before: Place | None, state: TaskState | None
) -> TaskPage:
    """At most `limit` ended tasks behind `before`; damaged rows are left out.

    Raises:
        sqlite3.Error: the journal cannot be read.
    """
    place = before or FIRST
    scanned = limit if state is None else SCANNED
    # One row more tells whether there is another page.
    if state is None:
        rows = connection.execute(PAGE, (place.ended_at_s, place.key, scanned + 1)).fetchall()
    else:
        wanted = f'"state":"{state.value}"'
        rows = connection.execute(OF_STATE, (wanted, place.ended_at_s, place.key, scanned + 1)).fetchall()
    found: list[Task] = []
    last = None
    for ended_at_s, key, text in rows[:scanned]:
        last = Place(ended_at_s=ended_at_s, key=TaskKey(key))
        task = None if text is None else _or_none(text)
        if task is not None:
            found.append(task)
        if len(found) == limit:
            break
    more = last is not None and (rows[-1][0], rows[-1][1]) != (last.ended_at_s, last.key)
    return TaskPage(tasks=tuple(found), following=last if more else None)


def _or_none(text: str) -> Task | None:
    try:
        return decode_task(text)
    except BadRowError:
        return None


def read_window(connection: sqlite3.Connection, offset: int, limit: int, oldest_first: bool) -> TaskWindow:
    """Ended tasks by number. A damaged row shifts nothing that is read later: the window is short by it.

    Raises:
        sqlite3.Error: the journal cannot be read.
    """
    way = _way(oldest_first)
    total = connection.execute(COUNT).fetchone()[0]
    rows = connection.execute(WINDOW.format(way=way), (limit, offset)).fetchall()
    return TaskWindow(offset=offset, total=total, tasks=_decoded(row for (row,) in rows))


def _way(oldest_first: bool) -> str:
    return "ASC" if oldest_first else "DESC"


def read_named(
    connection: sqlite3.Connection, offset: int, limit: int, wanted: tuple[str, tuple[TaskState, ...]],
    oldest_first: bool,
) -> TaskWindow:  # fmt: skip
    """Those whose name or key holds the text, or that are in one of the states.

    Raises:
        sqlite3.Error: the journal cannot be read.
    """
    text, states = wanted[0].lower(), wanted[1]
    query = NAMED.format(
        way=_way(oldest_first), more=", row" if states else "", or_state=" OR instr(row, ?)" * len(states)
    )
    marks = [f'"state":"{state.value}"' for state in states]
    keys = connection.execute(query, (SEARCHED, text, text, *marks)).fetchall()
    rows = (
        connection.execute("SELECT row FROM tasks WHERE key = ?", key).fetchone()
        for key in keys[offset : offset + limit]
    )
    return TaskWindow(
        offset=offset, total=len(keys), tasks=_decoded(row[0] for row in rows if row is not None)
    )


def _decoded(rows: Iterable[str]) -> tuple[Task, ...]:
    return tuple(task for text in rows if (task := _or_none(text)) is not None)
