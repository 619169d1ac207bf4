"""The journal: current rows of all tasks, the node's own row, and the append-only history.

SQLite in WAL mode with full sync: what is committed survives a power cut. One thread
("journal") owns the connection. Reading the open tasks uses a partial index, so the cost
of starting does not grow with history. Damage is handled by `store.salvage`.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from hivemind_worker.model.history import JournalEntry, StoryLine
from hivemind_worker.model.snapshot import NodeState
from hivemind_worker.model.task import Task, TaskKey
from hivemind_worker.nursery import NamedThread
from hivemind_worker.store.codec import BadRowError, decode_node, decode_task, encode

SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 5.0

SCHEMA = """
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
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise LaterVersionError(f"schema {version}, this program knows up to {SCHEMA_VERSION}")
        if version < SCHEMA_VERSION:
            connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
    except BaseException:
        connection.close()
        raise
    return connection


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


def _text(untrusted_text: str) -> str:
    """SQLite takes no lone surrogates."""
    return untrusted_text.encode("utf-8", "backslashreplace").decode()


def read_open(connection: sqlite3.Connection) -> tuple[Task, ...]:
    """The open tasks in order of acceptance.

    Raises:
        BadRowError, sqlite3.DatabaseError: damaged.
    """
    rows = connection.execute("SELECT row FROM tasks WHERE is_open").fetchall()
    return tuple(sorted((decode_task(text) for (text,) in rows), key=lambda task: task.accepted_at_s))


def read_node(connection: sqlite3.Connection) -> NodeState:
    """The node's own row, or a new node's.

    Raises:
        BadRowError, sqlite3.DatabaseError: damaged.
    """
    found = connection.execute("SELECT row FROM node").fetchone()
    return NodeState() if found is None else decode_node(found[0])


class SqliteJournal:
    """The journal behind its thread; fits `engine.ports.Journal`."""

    def __init__(self, connection: sqlite3.Connection, thread: NamedThread) -> None:
        self._connection = connection
        self._thread = thread

    async def commit(self, entry: JournalEntry) -> None:
        """Make the entry durable.

        Raises:
            OSError: it could not be written; nothing of it was.
        """
        try:
            await self._thread.call(write, self._connection, entry)
        except sqlite3.Error as error:
            raise OSError(f"the journal could not be written: {error}") from error

    async def find(self, key: TaskKey) -> Task | None:
        """The row of this key; a damaged one counts as absent."""
        return await self._thread.call(self._find, key)

    def _find(self, key: TaskKey) -> Task | None:
        found = self._connection.execute("SELECT row FROM tasks WHERE key=?", (key,)).fetchone()
        return None if found is None else _or_none(found[0])

    async def find_by_prefix(self, prefix: str) -> Task | None:
        """The one row whose key starts so; None when there is none or more than one."""
        return await self._thread.call(self._find_by_prefix, prefix)

    def _find_by_prefix(self, prefix: str) -> Task | None:
        rows = self._connection.execute(
            "SELECT row FROM tasks WHERE key >= ? AND key < ? LIMIT 2", (prefix, prefix + "g")
        ).fetchall()
        return _or_none(rows[0][0]) if len(rows) == 1 else None

    async def open_tasks(self) -> tuple[Task, ...]:
        return await self._thread.call(read_open, self._connection)

    async def node(self) -> NodeState:
        return await self._thread.call(read_node, self._connection)

    async def ended(self, limit: int) -> tuple[Task, ...]:
        """The last ended tasks, newest first; damaged rows are left out."""
        return await self._thread.call(self._ended, limit)

    def _ended(self, limit: int) -> tuple[Task, ...]:
        rows = self._connection.execute(
            "SELECT row FROM tasks WHERE ended_at_s IS NOT NULL ORDER BY ended_at_s DESC LIMIT ?", (limit,)
        ).fetchall()
        return tuple(task for (text,) in rows if (task := _or_none(text)) is not None)

    async def story(self, key: TaskKey) -> tuple[StoryLine, ...]:
        """The history of one task, oldest first."""
        return await self._thread.call(self._story, key)

    def _story(self, key: TaskKey) -> tuple[StoryLine, ...]:
        rows = self._connection.execute(
            "SELECT key, at_s, what, text FROM history WHERE key=? ORDER BY number", (key,)
        ).fetchall()
        return tuple(StoryLine(key=TaskKey(k), at_s=at, what=what, text=text) for k, at, what, text in rows)

    async def close(self) -> None:
        """Fold the write-ahead log in and close the file."""
        await self._thread.call(self._connection.close)


def _or_none(text: str) -> Task | None:
    try:
        return decode_task(text)
    except BadRowError:
        return None
