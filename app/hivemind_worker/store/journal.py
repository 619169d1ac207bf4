"""The journal: current rows of all tasks, the node's own row, and the append-only history.

SQLite in WAL mode with full sync: what is committed survives a power cut. One thread
("journal") owns the connection. Reading the open tasks uses a partial index, so the cost
of starting does not grow with history. Damage is handled by `store.salvage`.
"""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from hivemind_worker.model.history import JournalEntry, StoryLine
from hivemind_worker.model.metrics import Place, TaskPage, TaskWindow
from hivemind_worker.model.snapshot import NodeState
from hivemind_worker.model.task import Task, TaskKey, TaskState
from hivemind_worker.nursery import NamedThread
from hivemind_worker.store.codec import BadRowError, decode_node, decode_task, encode, readable_task
from hivemind_worker.store.task_pages import read_named, read_page, read_window

SELECT_TASKS = "SELECT key, task_id, is_open, ended_at_s, row FROM tasks "
BUSY_TIMEOUT_S = 5.0
DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
NO_DAMAGE = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_NOMEM,
    }
)
"""Trouble of the disk or the moment: the file is as good as before and stays where it is."""

FIRST_SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
    key TEXT PRIMARY KEY,
    task_id TEXT NOT NULL,
    is_open INTEGER NOT NULL,
    ended_at_s REAL,
    row TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS open_tasks ON tasks (key) WHERE is_open;
CREATE INDEX IF NOT EXISTS ended_tasks ON tasks (ended_at_s) WHERE ended_at_s IS NOT NULL;
CREATE TABLE IF NOT EXISTS node (id INTEGER PRIMARY KEY CHECK (id = 1), row TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS history (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    at_s REAL NOT NULL,
    what TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS history_of_task ON history (key);
"""
MIGRATIONS = (
    FIRST_SCHEMA,
    "",  # 2: rows carry a checksum from now on, those of version 1 get theirs when they change
)
"""The step to each version; a step that was released is never changed. tests/store keeps a file of each."""
SCHEMA_VERSION = len(MIGRATIONS)

Result = TypeVar("Result")
Renew = Callable[[str], sqlite3.Connection]


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's own code without its details; 0 for errors that are not SQLite's."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def _errno(error: sqlite3.Error) -> int:
    """Growing its shared memory is where SQLite meets a full disk without saying so."""
    full = primary_code(error) == sqlite3.SQLITE_FULL
    extended = int(getattr(error, "sqlite_errorcode", 0) or 0)
    return errno.ENOSPC if full or extended == sqlite3.SQLITE_IOERR_SHMSIZE else errno.EIO


class RenewedError(OSError):
    """The journal was damaged and has been set aside; a new one is in use."""


class LaterVersionError(Exception):
    """The file was written by a later version of this program."""


def connect(path: Path) -> sqlite3.Connection:
    """Open or make the journal file, private to its owner.

    Raises:
        sqlite3.DatabaseError: it is not a journal or is damaged.
        LaterVersionError: its schema is newer than this program.
    """
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.text_factory = readable_text
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        version = check_version(connection)
        if version < SCHEMA_VERSION:
            steps = "".join(MIGRATIONS[version:])
            connection.executescript(f"BEGIN; {steps} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
    except BaseException:
        connection.close()
        raise
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """The journal file for reading alone: nothing of it changes, also not when it is closed."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    connection.text_factory = readable_text
    return connection


def check_version(connection: sqlite3.Connection) -> int:
    """The version of the schema, 0 for a file without one.

    Raises:
        LaterVersionError: it is newer than this program.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise LaterVersionError(f"schema {version}, this program knows up to {SCHEMA_VERSION}")
    return version


def write(connection: sqlite3.Connection, entry: JournalEntry) -> None:
    """One transaction; all of it or nothing.

    Raises:
        sqlite3.Error: nothing was written (e.g. the disk is full).
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany(
            "INSERT INTO tasks VALUES (?,?,?,?,?) ON CONFLICT (key) DO UPDATE SET"
            " is_open=excluded.is_open, ended_at_s=excluded.ended_at_s, row=excluded.row",
            [(t.key, _text(t.task_id), t.is_open, t.ended_at_s, encode(t)) for t in entry.tasks],
        )
        if entry.node is not None:
            connection.execute("INSERT OR REPLACE INTO node VALUES (1, ?)", (encode(entry.node),))
        connection.executemany(
            "INSERT INTO history (key, at_s, what, text) VALUES (?,?,?,?)",
            [(line.key, line.at_s, line.what, _text(line.text)) for line in entry.lines],
        )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def readable_text(untrusted_bytes: bytes) -> str:
    """Text of a column; a flipped bit in it spoils one row, not the reading of all that follow."""
    return untrusted_bytes.decode("utf-8", "replace")


def _text(untrusted_text: str) -> str:
    """SQLite takes no lone surrogates."""
    return untrusted_text.encode("utf-8", "backslashreplace").decode()


def read_open(connection: sqlite3.Connection) -> tuple[Task, ...]:
    """The open tasks in order of acceptance.

    Raises:
        BadRowError, sqlite3.DatabaseError: damaged.
    """
    rows = connection.execute("SELECT key, row FROM tasks WHERE is_open").fetchall()
    # A damaged index hides rows without a word, unless its own entries are counted as well.
    counted = connection.execute("SELECT count(*) FROM tasks INDEXED BY open_tasks WHERE is_open").fetchone()[
        0
    ]
    if counted != len(rows):
        raise BadRowError(f"{counted} open tasks in the index, {len(rows)} rows")
    return tuple(sorted((_open_row(*row) for row in rows), key=lambda task: task.accepted_at_s))


def _open_row(key: str, text: str) -> Task:
    task = decode_task(text)
    if task.key != key or not task.is_open:
        raise BadRowError(f"row {key} holds {task.key}, {'open' if task.is_open else 'closed'}")
    return task


def read_node(connection: sqlite3.Connection) -> NodeState:
    """The node's own row, or a new node's.

    Raises:
        BadRowError, sqlite3.DatabaseError: damaged.
    """
    found = connection.execute("SELECT row FROM node").fetchone()
    return NodeState() if found is None else decode_node(found[0])


class SqliteJournal:
    """The journal behind its thread; fits `engine.ports.Journal`.

    `renew` sets a file that turns out damaged aside and gives a connection to a new one, with what
    could be read carried over. What is open then is written again by the engine.
    """

    def __init__(
        self, connection: sqlite3.Connection, thread: NamedThread, renew: Renew | None = None
    ) -> None:
        self._connection = connection
        self._path = Path(connection.execute("PRAGMA database_list").fetchone()[2])
        self._thread = thread
        self._renew = renew
        self._is_another = False  # since the last commit, and the engine does not know it yet

    async def _read(self, work: Callable[..., Result], *args: object) -> Result:
        """As `_work`; what was in the way of reading has been moved out of it by the second time."""
        try:
            return await self._thread.call(self._work, work, *args)
        except RenewedError:
            return await self._thread.call(self._work, work, *args)

    def _work(self, work: Callable[..., Result], *args: object) -> Result:
        """Runs `work(connection, …)`, in the journal's thread.

        Raises:
            RenewedError: the file was damaged and has been replaced.
            OSError: it did not work.
        """
        try:
            return work(self._connection, *args)
        except sqlite3.Error as error:
            if self._renew is None or primary_code(error) not in DAMAGE:
                raise OSError(_errno(error), f"the journal cannot be used: {error}") from error
            self._set_aside(str(error), self._renew)
            raise RenewedError(f"the journal was damaged: {error}") from error

    def _set_aside(self, reason: str, renew: Renew) -> None:
        self._connection.close()
        self._connection = renew(reason)
        self._is_another = True

    async def examine(self, thread: NamedThread) -> None:
        """Look through the whole file, in `thread`, for damage that hides rows without a word; renew it then.

        Readings and commits go on meanwhile. Raises OSError when the file cannot be read just now.
        """
        wrong = await thread.call(_hidden_damage, self._path)
        if wrong and self._renew is not None:
            await self._thread.call(self._set_aside, wrong, self._renew)

    async def commit(self, entry: JournalEntry) -> None:
        """Make the entry durable.

        Raises:
            OSError: it could not be written, and nothing of it was; after a RenewedError the journal is
                another one, to which all that is open should be written again.
        """
        await self._thread.call(self._commit, entry)

    def _commit(self, entry: JournalEntry) -> None:
        known, self._is_another = not self._is_another, False
        if not known:
            raise RenewedError("the journal was damaged and has been replaced")
        try:
            self._work(write, entry)
        except RenewedError:
            self._is_another = False
            raise

    async def find(self, key: TaskKey) -> Task | None:
        """The row of this key, or what is left of a damaged one.

        Raises:
            OSError: the journal cannot be read just now.
        """
        return await self._read(_find, key)

    async def find_by_prefix(self, prefix: str) -> Task | None:
        """The one row whose key starts so; None when there is none or more than one."""
        return await self._read(_find_by_prefix, prefix)

    async def open_tasks(self) -> tuple[Task, ...]:
        return await self._read(read_open)

    async def node(self) -> NodeState:
        return await self._read(read_node)

    async def ended(self, limit: int) -> tuple[Task, ...]:
        """The last ended tasks, newest first."""
        return await self._read(_ended, limit)

    async def ended_page(
        self, limit: int, before: Place | None = None, state: TaskState | None = None
    ) -> TaskPage:
        """Ended tasks behind a place, newest first; damaged rows are left out."""
        return await self._read(read_page, limit, before, state)

    async def ended_window(
        self, offset: int, limit: int, text: str = "", oldest_first: bool = False,
        states: tuple[TaskState, ...] = (),
    ) -> TaskWindow:  # fmt: skip
        """Ended tasks by number."""
        if text:
            return await self._read(read_named, offset, limit, (text, states), oldest_first)
        return await self._read(read_window, offset, limit, oldest_first)

    async def story(self, key: TaskKey) -> tuple[StoryLine, ...]:
        """The history of one task, oldest first."""
        return await self._read(_story, key)

    async def close(self) -> None:
        """Fold the write-ahead log in and close the file."""
        await self._thread.call(self._connection.close)


def _hidden_damage(path: Path) -> str:
    """What SQLite's own check of every page finds first, or ""; reads through a connection of its own."""
    try:
        with contextlib.closing(open_to_read(path)) as connection:
            found = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        if primary_code(error) in DAMAGE:
            return str(error)
        raise OSError(_errno(error), f"the journal cannot be examined: {error}") from error
    return "" if found == "ok" else found


def _find(connection: sqlite3.Connection, key: TaskKey) -> Task | None:
    found = connection.execute(SELECT_TASKS + "WHERE key=?", (key,)).fetchone()
    return None if found is None else _or_none(found)


def _find_by_prefix(connection: sqlite3.Connection, prefix: str) -> Task | None:
    rows = connection.execute(
        SELECT_TASKS + "WHERE key >= ? AND key < ? LIMIT 2", (prefix, prefix + "g")
    ).fetchall()
    return _or_none(rows[0]) if len(rows) == 1 else None


def _ended(connection: sqlite3.Connection, limit: int) -> tuple[Task, ...]:
    rows = connection.execute(
        SELECT_TASKS + "WHERE ended_at_s IS NOT NULL ORDER BY ended_at_s DESC LIMIT ?",
        (limit,),
    ).fetchall()
    return tuple(task for row in rows if (task := _or_none(row)) is not None)


def _story(connection: sqlite3.Connection, key: TaskKey) -> tuple[StoryLine, ...]:
    rows = connection.execute(
        "SELECT key, at_s, what, text FROM history WHERE key=? ORDER BY number", (key,)
    ).fetchall()
    return tuple(StoryLine(key=TaskKey(k), at_s=at, what=what, text=text) for k, at, what, text in rows)


def _or_none(columns: tuple[Any, ...]) -> Task | None:
    try:
        return readable_task(*columns)
    except BadRowError:
        return None
