"""Opening a journal that may be damaged: it is set aside whole, what can be read is carried over.

The damaged file is never deleted and never written to again; the worker always starts.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from hivemind_worker.model.history import JournalEntry, StoryLine
from hivemind_worker.model.task import TaskKey
from hivemind_worker.store.codec import BadRowError, decode_node, decode_task
from hivemind_worker.store.journal import LaterVersionError, connect, read_node, read_open, write

Row = TypeVar("Row")
BATCH = 1000


def open_or_salvage(path: Path, stamp: str) -> tuple[sqlite3.Connection, str]:
    """The journal at `path`, and what was wrong with it ("" when nothing was).

    `stamp` makes the name of the set-aside copy unique, e.g. a time.

    Raises:
        OSError: the folder cannot be written.
    """
    try:
        connection = connect(path)
    except (sqlite3.DatabaseError, LaterVersionError) as error:
        if isinstance(error, sqlite3.OperationalError) and not path.exists():
            raise OSError(f"{path} cannot be made: {error}") from error
        return _start_anew(path, stamp, str(error))
    try:
        read_open(connection)
        read_node(connection)
    except (sqlite3.DatabaseError, BadRowError) as error:
        connection.close()
        return _start_anew(path, stamp, str(error))
    return connection, ""


def _start_anew(path: Path, stamp: str, reason: str) -> tuple[sqlite3.Connection, str]:
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").replace(f"{aside}{suffix}")
    connection = connect(path)
    kept, lost = _carry_over(aside, connection)
    return connection, f"{reason}; kept as {aside.name}; {kept} rows carried over, {lost} lost"


def _carry_over(aside: Path, connection: sqlite3.Connection) -> tuple[int, int]:
    """Rows read and rows lost, of what SQLite can still read of the file."""
    kept = lost = 0
    for entry in _entries(aside):
        if entry is None:
            lost += 1
        else:
            write(connection, entry)
            kept += len(entry.tasks) + len(entry.lines) + (entry.node is not None)
    return kept, lost


def _entries(aside: Path) -> Iterator[JournalEntry | None]:
    """What can be carried over; None for each row that cannot be understood."""
    try:
        old = sqlite3.connect(f"{aside.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error:
        return
    with contextlib.closing(old):
        for rows in _batches(old, "SELECT row FROM tasks"):
            tasks = [_understood(decode_task, row[0]) for row in rows]
            yield JournalEntry(tasks=tuple(task for task in tasks if task is not None))
            yield from [None] * tasks.count(None)
        for rows in _batches(old, "SELECT row FROM node"):
            node = _understood(decode_node, rows[0][0])
            yield None if node is None else JournalEntry(node=node)
        for rows in _batches(old, "SELECT key, at_s, what, text FROM history ORDER BY number"):
            lines = (
                StoryLine(key=TaskKey(str(k)), at_s=float(at), what=str(what), text=str(text))
                for k, at, what, text in rows
            )
            yield JournalEntry(lines=tuple(lines))


def _understood(decode: Callable[[str], Row], text: object) -> Row | None:
    try:
        return decode(str(text))
    except BadRowError:
        return None


def _batches(old: sqlite3.Connection, query: str) -> Iterator[list[Any]]:
    """Rows by the thousand until the first unreadable page; what was read before it counts."""
    rows: list[Any] = []
    try:
        for row in old.execute(query):
            rows.append(row)
            if len(rows) == BATCH:
                yield rows
                rows = []
    except sqlite3.Error:
        pass
    if rows:
        yield rows
