"""Opening a journal that may be damaged: it is set aside whole, what can be read is carried over.

The damaged file is never deleted and never written to again; the worker always starts.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hivemind_worker.model.history import JournalEntry, StoryLine
from hivemind_worker.model.task import TaskKey
from hivemind_worker.owned_file import lies_in_the_way
from hivemind_worker.store.codec import BadRowError, decode_node, readable_task
from hivemind_worker.store.first_page import layout, layout_of, mended_copy
from hivemind_worker.store.journal import (
    NO_DAMAGE,
    LaterVersionError,
    Renew,
    check_version,
    connect,
    open_to_read,
    primary_code,
    read_node,
    read_open,
    write,
)
from hivemind_worker.store.silent_damage import silent_damage

BATCH = 1000
SUFFIXES = ("", "-wal", "-shm", "-journal")
SMALLEST_PAGE_BYTES = 512


def open_or_salvage(path: Path, stamp: str) -> tuple[sqlite3.Connection, str]:
    """The journal at `path`, and what was wrong with it ("" when nothing was).

    `stamp` makes the name of the set-aside copy unique, e.g. a time.

    Raises:
        OSError: the folder cannot be written, or the disk is full; the file is left as it is.
    """
    _finish_earlier(path)
    if any(lies_in_the_way(Path(f"{path}{suffix}")) for suffix in SUFFIXES):
        return start_anew(path, stamp, "it is a link or not this user's own file", carry_over=False)
    if _is_stump(path):  # SQLite takes it for a new one, and removes the log without a word
        return start_anew(path, stamp, "only its log is left", carry_over=False)
    try:
        _undo_unfinished(path)
        if wrong := silent_damage(path) or _trouble(path):
            return start_anew(path, stamp, wrong)
        return connect(path), ""
    except sqlite3.Error as error:
        _raise_unless_damage(error, path)
        return start_anew(path, stamp, str(error))


def _is_stump(path: Path) -> bool:
    log = Path(f"{path}-wal")
    size = path.stat().st_size if path.exists() else 0
    return size < SMALLEST_PAGE_BYTES and log.exists() and log.stat().st_size > 0


def _undo_unfinished(path: Path) -> None:
    """Roll back the making of a journal that a crash cut short: who may only read it could not.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    if Path(f"{path}-journal").exists():
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version").fetchone()


def _trouble(path: Path) -> str:
    """What is wrong with what it holds, or "". Reads only, so that a damaged file stays as it is.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    if not path.exists() or not path.stat().st_size:
        return ""
    with contextlib.closing(open_to_read(path)) as connection:
        try:
            version = check_version(connection)
            if layout(connection) != layout_of(version):
                return "its layout is not that of a journal"
            if version:
                read_open(connection)
                read_node(connection)
        except (LaterVersionError, BadRowError) as error:
            return str(error)
    return ""


def _raise_unless_damage(error: sqlite3.Error, path: Path) -> None:
    """A good journal on a full disk must stay where it is: a new one would not know what is open."""
    code = primary_code(error)
    if code == sqlite3.SQLITE_FULL:
        raise OSError(errno.ENOSPC, str(error), str(path)) from error
    if code in NO_DAMAGE:
        raise OSError(errno.EIO, str(error), str(path)) from error


def start_anew(
    path: Path, stamp: str, reason: str, *, carry_over: bool = True
) -> tuple[sqlite3.Connection, str]:
    """A new journal in place of the one at `path`, which nobody holds open any more; and what became of that.

    It is complete before it takes the place: a crash or a full disk half way costs another try.

    Raises:
        OSError: the folder cannot be written; the damaged file is still in its place.
    """
    new = _new_name(path)
    _forget(new)
    try:
        with contextlib.closing(connect(new)) as connection:
            kept, lost = _carry_over(path, connection) if carry_over else (0, 0)
    except sqlite3.Error as error:
        raise OSError(errno.EIO, str(error), str(path)) from error
    aside = _free_name(path, stamp)
    for suffix in reversed(SUFFIXES):  # the journal itself last: once it is gone, the new one is whole
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").replace(f"{aside}{suffix}")
    new.replace(path)
    missing = f", at least {lost} lost" if lost else ""
    return connect(path), f"{reason}; kept as {aside.name}; {kept} rows carried over{missing}"


def _new_name(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _finish_earlier(path: Path) -> None:
    """Bring to its end what a crash cut short: a new journal is whole once the old one has left its place."""
    new = _new_name(path)
    if not os.path.lexists(path) and new.exists() and not lies_in_the_way(new):
        new.replace(path)
    _forget(new)
    _forget(_copy_name(path))


def _copy_name(path: Path) -> Path:
    return path.with_name(f"{path.name}.copy")


def _forget(file: Path) -> None:
    for suffix in SUFFIXES:
        Path(f"{file}{suffix}").unlink(missing_ok=True)


def renewer(path: Path, stamp: Callable[[], str], tell: Callable[[str], None]) -> Renew:
    """For `SqliteJournal`: puts a new journal in place of one that turns out damaged while in use."""

    def renew(reason: str) -> sqlite3.Connection:
        connection, found = start_anew(path, stamp(), reason)
        tell(found)
        return connection

    return renew


def _free_name(path: Path, stamp: str) -> Path:
    """Two in one second do not take each other's place."""
    names = (path.with_name(f"{path.name}.damaged-{stamp}{f'-{n}' if n else ''}") for n in range(1000))
    return next(name for name in names if not os.path.lexists(name))


def _carry_over(damaged: Path, connection: sqlite3.Connection) -> tuple[int, int]:
    """Rows read and rows lost, of what can be read of the file, or of a copy with a new first page."""
    copy = _copy_name(damaged)
    try:
        with contextlib.suppress(OSError):
            mended_copy(damaged, copy)
        best = max((damaged, copy), key=_kept)
        for entry in _entries(best):
            if entry is not None:
                write(connection, entry)
        return _kept(best), sum(entry is None for entry in _entries(best))
    finally:
        _forget(copy)


def _kept(source: Path) -> int:
    """How many rows of a file can be carried over."""
    entries = (entry for entry in _entries(source) if entry is not None)
    return sum(len(entry.tasks) + len(entry.lines) + (entry.node is not None) for entry in entries)


def _entries(damaged: Path) -> Iterator[JournalEntry | None]:
    """What can be carried over; None for each row that cannot be understood."""
    try:
        old = open_to_read(damaged)
    except sqlite3.Error:
        return
    with contextlib.closing(old), contextlib.suppress(sqlite3.Error):
        old.execute("PRAGMA writable_schema=ON")  # reads on when one entry of the schema is damaged
        yield from _understood(_rows(old, "tasks", "key", "key, task_id, is_open, ended_at_s, row"), _task)
        yield from _understood(_rows(old, "node", "id", "row"), _node)
        yield from _understood(_rows(old, "history", "number", "key, at_s, what, text"), _line)


def _understood(
    rows: Iterator[tuple[Any, ...] | None], read: Callable[..., JournalEntry]
) -> Iterator[JournalEntry | None]:
    """The rows in entries of a thousand, so that one commit serves many."""
    batch = JournalEntry()
    for row in rows:
        if row is None:
            yield None
            continue
        try:
            batch = _joined(batch, read(*row))
        except (BadRowError, TypeError, ValueError):
            yield None
        if len(batch.tasks) + len(batch.lines) >= BATCH:
            yield batch
            batch = JournalEntry()
    yield batch


def _joined(one: JournalEntry, two: JournalEntry) -> JournalEntry:
    return JournalEntry(tasks=one.tasks + two.tasks, node=two.node or one.node, lines=one.lines + two.lines)


def _task(key: Any, task_id: Any, is_open: Any, ended_at_s: Any, text: Any) -> JournalEntry:
    return JournalEntry(tasks=(readable_task(key, task_id, is_open, ended_at_s, text),))


def _node(text: Any) -> JournalEntry:
    return JournalEntry(node=decode_node(str(text)))


def _line(key: Any, at_s: Any, what: Any, text: Any) -> JournalEntry:
    line = StoryLine(key=TaskKey(str(key)), at_s=float(at_s), what=str(what), text=str(text))
    return JournalEntry(lines=(line,))


def _rows(old: sqlite3.Connection, table: str, order: str, columns: str) -> Iterator[tuple[Any, ...] | None]:
    """Every row that can be read: from the front up to an unreadable page (None), then from the end down."""
    first: Any = None
    query = f"SELECT {order}, {columns} FROM {table} NOT INDEXED ORDER BY {order}"  # noqa: S608 - our own names
    try:
        for position, *row in old.execute(query):
            first = position
            yield tuple(row)
        return
    except sqlite3.Error:
        yield None
    with contextlib.suppress(sqlite3.Error):
        for position, *row in old.execute(f"{query} DESC"):
            if position == first:
                return
            yield tuple(row)
