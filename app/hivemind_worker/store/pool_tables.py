"""The tables of the embedded pool's book, and every statement on them; blocking.

One transaction a call, synced to disk before it returns. Used from the thread of
`store.pool_book` alone.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import astuple, fields
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import Any

from hivemind_worker.model.pool_records import (
    MOST_TOKENS,
    Demand,
    Moved,
    PoolAccount,
    PoolNode,
    PoolResult,
    PoolTask,
    PoolTaskState,
    Queue,
    log_pieces,
)
from hivemind_worker.model.task import TaskId, TaskKey

LOG_PIECE_BYTES = 16 * 1024
BUSY_WAIT_S = 10.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    user_id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE NOT NULL,
    salt BLOB NOT NULL, digest BLOB NOT NULL, balance INTEGER NOT NULL CHECK (balance >= 0)
) STRICT;
CREATE TABLE IF NOT EXISTS nodes (
    node_id TEXT PRIMARY KEY, account TEXT NOT NULL, hostname TEXT NOT NULL, port INTEGER NOT NULL,
    peer TEXT NOT NULL, cpu_cores INTEGER NOT NULL, cpu_score INTEGER NOT NULL, memory_gb INTEGER NOT NULL,
    gpu_score INTEGER NOT NULL, gpu_memory_gb INTEGER NOT NULL, gpu_name TEXT NOT NULL,
    location TEXT NOT NULL, docker_status TEXT NOT NULL, status TEXT NOT NULL, heard_at_s REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS tasks (
    key TEXT PRIMARY KEY, task_id TEXT NOT NULL, owner TEXT NOT NULL, state TEXT NOT NULL,
    archive_bytes INTEGER NOT NULL, cpu_score INTEGER NOT NULL, memory_gb INTEGER NOT NULL,
    gpu_score INTEGER NOT NULL, gpu_memory_gb INTEGER NOT NULL, gpu_name TEXT NOT NULL,
    location TEXT NOT NULL, uploaded_at_s REAL NOT NULL, node_id TEXT NOT NULL, started_at_s REAL,
    ended_at_s REAL, message TEXT NOT NULL, result_bytes INTEGER, result_sha256 TEXT NOT NULL,
    stop_told INTEGER NOT NULL, paid_minutes INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS tasks_open ON tasks (state) WHERE state IN ('PENDING', 'RUNNING');
CREATE INDEX IF NOT EXISTS tasks_waiting ON tasks (
    cpu_score || ' ' || memory_gb || ' ' || gpu_score || ' ' || gpu_memory_gb || ' ' || gpu_name,
    uploaded_at_s
) WHERE state = 'PENDING';
CREATE INDEX IF NOT EXISTS stops_untold ON tasks (stop_told) WHERE state = 'STOPPED' AND stop_told = 0;
CREATE INDEX IF NOT EXISTS tasks_by_owner ON tasks (owner, uploaded_at_s);
CREATE TABLE IF NOT EXISTS offers (
    key TEXT NOT NULL, node_id TEXT NOT NULL, PRIMARY KEY (key, node_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log_pieces (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, text BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS log_pieces_by_key ON log_pieces (key, number);
CREATE TABLE IF NOT EXISTS log_sizes (
    key TEXT PRIMARY KEY, kept_bytes INTEGER NOT NULL, cut_bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""
NODE_NAMES = tuple(each.name for each in fields(PoolNode) if each.name != "most_tasks")
"""A node that is called has no word for how many tasks it takes at once, and others never come here."""
NODE_COLUMNS = ", ".join(NODE_NAMES)
TASK_COLUMNS = ", ".join(each.name for each in fields(PoolTask))
# One text, as in the index: of several columns compared together SQLite would look at each task.
DEMAND = " || ' ' || ".join(Demand._fields)
WAITING = "FROM tasks INDEXED BY tasks_waiting WHERE state = 'PENDING'"
OPEN = (PoolTaskState.PENDING.value, PoolTaskState.RUNNING.value)


def _task(row: Sequence[Any]) -> PoolTask:
    values = dict(zip((each.name for each in fields(PoolTask)), row, strict=True))
    values["key"], values["task_id"] = TaskKey(values["key"]), TaskId(values["task_id"])
    values["state"], values["stop_told"] = PoolTaskState(values["state"]), bool(values["stop_told"])
    return PoolTask(**values)


def _node(row: Sequence[Any]) -> PoolNode:
    return PoolNode(**dict(zip(NODE_NAMES, row, strict=True)))


def _account(row: Sequence[Any]) -> PoolAccount:
    user_id, name, salt, digest, balance = row
    return PoolAccount(user_id=user_id, name=name, salt=salt, digest=digest, balance=balance)


def _text(demand: Demand) -> str:
    return " ".join(map(str, demand))


def _demand(text: str) -> Demand:
    cpu, memory, gpu, gpu_memory, gpu_name = text.split(" ", 4)
    return Demand(int(cpu), int(memory), int(gpu), int(gpu_memory), gpu_name)


def _marks(count: int) -> str:
    return ", ".join("?" * count)


class PoolTables:
    """One open file. The thread that made it uses it and closes it."""

    def __init__(self, file: Path) -> None:
        self._base = sqlite3.connect(file, isolation_level=None, timeout=BUSY_WAIT_S)
        try:
            self._base.execute("PRAGMA journal_mode = WAL")
            # FULL: an answer to a worker or requester is a promise, also across a power cut.
            self._base.execute("PRAGMA synchronous = FULL")
            self._base.executescript(SCHEMA)
            if (found := self._one("PRAGMA quick_check(1)")) != ("ok",):
                raise sqlite3.DatabaseError(f"quick_check: {found}")
        except BaseException:
            self._base.close()
            raise

    @contextlib.contextmanager
    def _change(self) -> Iterator[None]:
        # IMMEDIATE: the write lock is taken before anything is read, so that a check and
        # its change cannot be parted by the other process.
        self._base.execute("BEGIN IMMEDIATE")
        with self._base:  # commits, or rolls back when the block raises
            yield

    def _one(self, sql: str, *values: Any) -> Any:
        return self._base.execute(sql, values).fetchone()

    def _all(self, sql: str, *values: Any) -> list[Any]:
        return self._base.execute(sql, values).fetchall()

    def close(self) -> None:
        self._base.close()

    # accounts

    def add_account(self, name: str, salt: bytes, digest: bytes, balance: int) -> bool:
        with self._change():
            done = self._base.execute(
                "INSERT OR IGNORE INTO accounts (name, salt, digest, balance) VALUES (?, ?, ?, ?)",
                (name, salt, digest, balance),
            )
            return done.rowcount == 1

    def account(self, name: str) -> PoolAccount | None:
        row = self._one("SELECT user_id, name, salt, digest, balance FROM accounts WHERE name = ?", name)
        return _account(row) if row else None

    def accounts(self) -> tuple[PoolAccount, ...]:
        rows = self._all("SELECT user_id, name, salt, digest, balance FROM accounts ORDER BY name")
        return tuple(map(_account, rows))

    def transfer(self, sender: str, receiver: str, amount: int) -> Moved:
        with self._change():
            return self._move(sender, receiver, amount)

    def _move(self, sender: str, receiver: str, amount: int) -> Moved:
        giver, taker = self.account(sender), self.account(receiver)
        if giver is None or taker is None:
            return Moved.UNKNOWN
        if giver.balance < amount:
            return Moved.SHORT
        if giver.name != taker.name and taker.balance > MOST_TOKENS - amount:
            return Moved.OVERFLOW
        self._base.execute("UPDATE accounts SET balance = balance - ? WHERE name = ?", (amount, sender))
        self._base.execute("UPDATE accounts SET balance = balance + ? WHERE name = ?", (amount, receiver))
        return Moved.DONE

    def charge(self, key: TaskKey, receiver: str, amount: int) -> Moved:
        with self._change():
            (owner,) = self._one("SELECT owner FROM tasks WHERE key = ?", key)
            moved = self._move(owner, receiver, amount)
            if moved is Moved.DONE:
                self._base.execute("UPDATE tasks SET paid_minutes = paid_minutes + 1 WHERE key = ?", (key,))
            return moved

    def _credit(self, name: str, amount: int) -> None:
        # min: a full account stays full; the subtraction cannot leave int64, an addition could.
        self._base.execute(
            "UPDATE accounts SET balance = balance + min(?, ? - balance) WHERE name = ?",
            (amount, MOST_TOKENS, name),
        )

    # nodes

    def put_node(self, node: PoolNode) -> None:
        values = [getattr(node, name) for name in NODE_NAMES]
        with self._change():
            self._base.execute(
                f"INSERT OR REPLACE INTO nodes ({NODE_COLUMNS}) VALUES ({_marks(len(values))})",  # noqa: S608
                values,
            )

    def nodes(self) -> tuple[PoolNode, ...]:
        return tuple(map(_node, self._all(f"SELECT {NODE_COLUMNS} FROM nodes ORDER BY node_id")))  # noqa: S608

    # tasks

    def add_task(self, task: PoolTask) -> bool:
        values = astuple(task)
        with self._change():
            done = self._base.execute(
                f"INSERT OR IGNORE INTO tasks ({TASK_COLUMNS}) VALUES ({_marks(len(values))})",  # noqa: S608
                values,
            )
            return done.rowcount == 1

    def _tasks(self, rest: str, *values: Any) -> tuple[PoolTask, ...]:
        return tuple(map(_task, self._all(f"SELECT {TASK_COLUMNS} FROM tasks {rest}", *values)))  # noqa: S608

    def task(self, key: TaskKey) -> PoolTask | None:
        found = self._tasks("WHERE key = ?", key)
        return found[0] if found else None

    def tasks_in(self, state: PoolTaskState) -> tuple[PoolTask, ...]:
        # The literal words let SQLite use the partial index, so history costs nothing here.
        return self._tasks(
            "WHERE state IN ('PENDING', 'RUNNING') AND state = ? ORDER BY uploaded_at_s, rowid", state.value
        )

    def demands(self) -> tuple[Demand, ...]:
        # From one to the next in the index: DISTINCT, too, would look at each task.
        found, text = [], ""
        sql = f"SELECT {DEMAND} {WAITING} AND {DEMAND} > ? ORDER BY {DEMAND} LIMIT 1"
        while row := self._one(sql, text):
            (text,) = row
            found.append(_demand(text))
        return tuple(found)

    def waiting(
        self, demands: Collection[Demand], most: int, besides: Collection[TaskKey]
    ) -> tuple[PoolTask, ...]:
        sql = (
            f"SELECT uploaded_at_s, rowid, {TASK_COLUMNS} {WAITING} AND {DEMAND} = ?"
            " ORDER BY uploaded_at_s, rowid"
        )
        oldest_first = merge(*(self._base.execute(sql, (_text(demand),)) for demand in demands))
        rows = (row for _, _, *row in oldest_first if row[0] not in besides)
        return tuple(map(_task, islice(rows, most)))

    def queues(self) -> tuple[Queue, ...]:
        rows = self._all(f"SELECT {DEMAND}, count(*), min(uploaded_at_s) {WAITING} GROUP BY {DEMAND}")
        return tuple(Queue(demand=_demand(text), count=count, oldest_at_s=at_s) for text, count, at_s in rows)

    def tasks_of(self, owner: str, limit: int) -> tuple[PoolTask, ...]:
        return self._tasks("WHERE owner = ? ORDER BY uploaded_at_s DESC, rowid DESC LIMIT ?", owner, limit)

    def untold_stops(self) -> tuple[PoolTask, ...]:
        return self._tasks(
            "WHERE state = 'STOPPED' AND stop_told = 0 AND node_id != '' AND result_bytes IS NULL"
        )

    def offer(self, key: TaskKey, node_id: str) -> None:
        with self._change():
            self._base.execute("INSERT OR IGNORE INTO offers (key, node_id) VALUES (?, ?)", (key, node_id))

    def withdraw(self, key: TaskKey, node_id: str) -> None:
        with self._change():
            self._base.execute("DELETE FROM offers WHERE key = ? AND node_id = ?", (key, node_id))

    def offered(self) -> tuple[tuple[TaskKey, str], ...]:
        rows = self._all(
            "SELECT key, offers.node_id FROM tasks JOIN offers USING (key) WHERE state = 'PENDING'"
        )
        return tuple((TaskKey(key), node_id) for key, node_id in rows)

    def holder(self, key: TaskKey, account: str) -> str | None:
        row = self._one(
            "SELECT nodes.node_id FROM nodes WHERE account = ? AND (node_id IN"
            " (SELECT node_id FROM tasks WHERE key = ?) OR node_id IN"
            " (SELECT node_id FROM offers WHERE key = ?)) LIMIT 1",
            account, key, key,
        )  # fmt: skip
        return str(row[0]) if row else None

    def _known(self, key: TaskKey) -> PoolTask:
        task = self.task(key)
        if task is None:
            raise LookupError(f"no task {key} in the book")
        return task

    def begin(self, key: TaskKey, node_id: str, at_s: float) -> PoolTask:
        with self._change():
            self._base.execute(
                "UPDATE tasks SET node_id = ?, started_at_s = coalesce(started_at_s, ?),"
                " state = CASE state WHEN 'PENDING' THEN 'RUNNING' ELSE state END"
                " WHERE key = ? AND result_bytes IS NULL",
                (node_id, at_s, key),
            )
            return self._known(key)

    def end(self, key: TaskKey, state: PoolTaskState, message: str, at_s: float) -> bool:
        with self._change():
            done = self._base.execute(
                "UPDATE tasks SET state = ?, message = ?, ended_at_s = ? WHERE key = ? AND state IN (?, ?)",
                (state.value, message, at_s, key, *OPEN),
            )
            return done.rowcount == 1

    def told(self, key: TaskKey) -> None:
        with self._change():
            self._base.execute("UPDATE tasks SET stop_told = 1 WHERE key = ?", (key,))

    def finish(self, result: PoolResult) -> PoolTask:
        with self._change():
            before = self._known(result.key)
            if before.has_result:
                return before
            # A stop is the requester's own word: a result that comes after it does not unsay it.
            stays = before.state is PoolTaskState.STOPPED
            self._base.execute(
                "UPDATE tasks SET node_id = ?, state = ?, message = ?, result_sha256 = ?, result_bytes = ?,"
                " started_at_s = coalesce(started_at_s, ?), ended_at_s = ? WHERE key = ?",
                (
                    result.node_id,
                    before.state if stays else result.state,
                    before.message if stays else result.message,
                    result.sha256,
                    result.size_bytes,
                    result.at_s,
                    result.at_s,
                    result.key,
                ),
            )
            if not stays and result.state is PoolTaskState.COMPLETED:
                self._credit(result.account, result.reward)
            return self._known(result.key)

    # logs

    def append_log(self, key: TaskKey, texts: Sequence[str], keep_bytes: int) -> None:
        added = "".join(texts).encode()
        with self._change():
            row = self._one("SELECT kept_bytes, cut_bytes FROM log_sizes WHERE key = ?", key)
            kept, cut = row or (0, 0)
            for piece in log_pieces(added, LOG_PIECE_BYTES):
                self._append_piece(key, piece)
            kept += len(added)
            kept, cut = self._trim(key, kept, cut, keep_bytes)
            self._base.execute("INSERT OR REPLACE INTO log_sizes VALUES (?, ?, ?)", (key, kept, cut))

    def _append_piece(self, key: TaskKey, piece: bytes) -> None:
        last = self._one(
            "SELECT number, text FROM log_pieces WHERE key = ? ORDER BY number DESC LIMIT 1", key
        )
        if last and len(last[1]) + len(piece) <= LOG_PIECE_BYTES:
            self._base.execute("UPDATE log_pieces SET text = ? WHERE number = ?", (last[1] + piece, last[0]))
        else:
            self._base.execute("INSERT INTO log_pieces (key, text) VALUES (?, ?)", (key, piece))

    def _trim(self, key: TaskKey, kept: int, cut: int, keep_bytes: int) -> tuple[int, int]:
        while kept - LOG_PIECE_BYTES >= keep_bytes:
            number, size = self._one(
                "SELECT number, length(text) FROM log_pieces WHERE key = ? ORDER BY number LIMIT 1", key
            )
            self._base.execute("DELETE FROM log_pieces WHERE number = ?", (number,))
            kept, cut = kept - size, cut + size
        return kept, cut

    def log(self, key: TaskKey) -> tuple[int, str]:
        sizes = self._one("SELECT cut_bytes FROM log_sizes WHERE key = ?", key)
        rows = self._all("SELECT text FROM log_pieces WHERE key = ? ORDER BY number", key)
        return (sizes[0] if sizes else 0), b"".join(row[0] for row in rows).decode()
