"""The embedded pool's book: accounts, nodes, tasks and logs in one SQLite file.

One thread owns the connection, so calls never mix and never block the loop. Fits
`pool.local.book.PoolBook` by shape. Another process (`pool user add`) may use the
same file at the same time.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.outage import Outage
from hivemind_worker.model.pool_figures import PoolCounts
from hivemind_worker.model.pool_records import (
    Demand,
    Moved,
    PoolAccount,
    PoolNode,
    PoolResult,
    PoolTask,
    PoolTaskState,
    Queue,
)
from hivemind_worker.model.task import Problem, TaskKey
from hivemind_worker.nursery import NamedThread
from hivemind_worker.store.pool_tables import PoolTables

Given = ParamSpec("Given")
Result = TypeVar("Result")


class SqlitePoolBook:
    """The book itself. `open` before use; `close` ends its thread.

    All other calls raise OSError when the disk fails or is full; nothing has changed then.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "book.sqlite3"
        self._thread = NamedThread("pool-book")
        self._tables: PoolTables | None = None
        self._claim: sqlite3.Connection | None = None
        self.counts, self.outage = PoolCounts(), Outage(time.monotonic)

    async def open(self) -> Problem | None:
        """Open (or make) the book. BAD_JOURNAL: the old one was set aside and a new one is in use.

        Other problems (NO_PERMISSION, DISK_FULL) mean that the book is not open.
        """
        return await self._thread.call(self._open)

    def _open(self) -> Problem | None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.name == "posix":
                self._folder.chmod(0o700)
            _make_private(self._file)
            try:
                self._tables = PoolTables(self._file)
            except sqlite3.OperationalError as error:
                return _trouble(error, self._file)
            except sqlite3.DatabaseError as error:
                return self._start_anew(error)
        except OSError as error:
            return Problem(code=FaultCode.NO_PERMISSION, about=f"{self._file} ({error.strerror})")
        return None

    def _start_anew(self, error: Exception) -> Problem:
        number = 1
        while (aside := self._file.with_name(f"{self._file.name}.bad-{number}")).exists():
            number += 1
        self._file.replace(aside)
        for end in ("-wal", "-shm"):
            self._file.with_name(self._file.name + end).unlink(missing_ok=True)
        _make_private(self._file)
        self._tables = PoolTables(self._file)
        return Problem(code=FaultCode.BAD_JOURNAL, about=f"{aside} ({error})")

    async def claim(self) -> bool:
        """Become the one pool of this folder until `close` (or death); False when another one is."""
        return await self._thread.call(self._take_claim)

    def _take_claim(self) -> bool:
        # A lock of SQLite's rather than a file of ours: it works on every system and dies with us.
        file = self._folder / "owner.sqlite3"
        _make_private(file)
        claim = sqlite3.connect(file, isolation_level=None, timeout=0.0)
        try:
            claim.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            claim.close()
            return False
        self._claim = claim
        return True

    async def close(self) -> None:
        """Close the file and end the thread."""
        await self._thread.call(self._close)
        self._thread.close()

    def _close(self) -> None:
        if self._tables is not None:
            self._tables.close()
            self._tables = None
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    async def _call(
        self,
        function: Callable[Concatenate[PoolTables, Given], Result],
        *values: Given.args,
        **named: Given.kwargs,
    ) -> Result:
        def on_tables() -> Result:
            if self._tables is None:
                raise RuntimeError("the book is not open")
            try:
                return function(self._tables, *values, **named)
            except sqlite3.OperationalError as error:
                # A full or failing disk, in words that need no knowledge of SQLite.
                raise OSError(f"{self._file}: {error}") from error

        return await self._thread.call(on_tables)

    async def add_account(self, name: str, salt: bytes, digest: bytes, balance: int) -> bool:
        """Open an account; False when the name is taken."""
        return await self._call(PoolTables.add_account, name, salt, digest, balance)

    async def account(self, name: str) -> PoolAccount | None:
        """One account by its name."""
        return await self._call(PoolTables.account, name)

    async def account_lately(self, name: str) -> PoolAccount | None:
        """The same: here it costs nothing to look."""
        return await self.account(name)

    async def accounts(self) -> tuple[PoolAccount, ...]:
        """All accounts by name."""
        return await self._call(PoolTables.accounts)

    async def transfer(self, sender: str, receiver: str, amount: int) -> Moved:
        """Move tokens between two accounts."""
        return await self._call(PoolTables.transfer, sender, receiver, amount)

    async def charge(self, key: TaskKey, receiver: str, amount: int) -> Moved:
        """Move a minute's pay from the task's owner and count the minute."""
        moved = await self._call(PoolTables.charge, key, receiver, amount)
        self.counts.note_charge(moved, amount)
        return moved

    async def put_node(self, node: PoolNode) -> None:
        """Keep a node's latest registration."""
        await self._call(PoolTables.put_node, node)

    async def nodes(self) -> tuple[PoolNode, ...]:
        """All nodes ever registered."""
        return await self._call(PoolTables.nodes)

    async def add_task(self, task: PoolTask) -> bool:
        """Keep a new task; False when its key is taken."""
        return await self._call(PoolTables.add_task, task)

    async def task(self, key: TaskKey) -> PoolTask | None:
        """One task by its key."""
        return await self._call(PoolTables.task, key)

    async def tasks_in(self, state: PoolTaskState) -> tuple[PoolTask, ...]:
        """Tasks in PENDING or RUNNING, oldest first."""
        return await self._call(PoolTables.tasks_in, state)

    async def demands(self) -> tuple[Demand, ...]:
        """What waiting tasks ask for, each once."""
        return await self._call(PoolTables.demands)

    async def waiting(
        self, demands: Collection[Demand], most: int, besides: Collection[TaskKey]
    ) -> tuple[PoolTask, ...]:
        """Of the tasks that ask for this the `most` that have waited longest, oldest first."""
        return await self._call(PoolTables.waiting, demands, most, besides)

    async def queues(self) -> tuple[Queue, ...]:
        """The waiting tasks, counted by what they ask for."""
        return await self._call(PoolTables.queues)

    async def tasks_of(self, owner: str, limit: int) -> tuple[PoolTask, ...]:
        """The owner's latest tasks, newest first."""
        return await self._call(PoolTables.tasks_of, owner, limit)

    async def untold_stops(self) -> tuple[PoolTask, ...]:
        """Stopped tasks whose node has not heard of it."""
        return await self._call(PoolTables.untold_stops)

    def listen(self, heard: Callable[[PoolNode], None], changed: Callable[[], None]) -> None:
        """Nobody else writes to this book but `pool user add`."""

    async def offer(self, key: TaskKey, node_id: str) -> bool:
        """Note that this node may hold the task."""
        await self._call(PoolTables.offer, key, node_id)
        return True

    async def withdraw(self, key: TaskKey, node_id: str) -> None:
        """Note that this node does not hold the task."""
        await self._call(PoolTables.withdraw, key, node_id)

    async def offered(self) -> tuple[tuple[TaskKey, str], ...]:
        """Waiting tasks, each with a node that may hold it."""
        return await self._call(PoolTables.offered)

    async def holder(self, key: TaskKey, account: str) -> str | None:
        """The account's node that holds (or may hold) the task."""
        return await self._call(PoolTables.holder, key, account)

    async def begin(self, key: TaskKey, node_id: str, at_s: float) -> PoolTask:
        """A node took the task."""
        now = await self._call(PoolTables.begin, key, node_id, at_s)
        self.counts.note_begin(now, at_s)
        return now

    async def end(self, key: TaskKey, state: PoolTaskState, message: str, at_s: float) -> bool:
        """An open task ends without a result."""
        done = await self._call(PoolTables.end, key, state, message, at_s)
        self.counts.note_end(state, done)
        return done

    async def told(self, key: TaskKey) -> None:
        """The node heard of the stop."""
        await self._call(PoolTables.told, key)

    async def finish(self, result: PoolResult) -> PoolTask:
        """Keep the one result of a task, with its reward; a second one changes nothing."""
        now = await self._call(PoolTables.finish, result)
        self.counts.note_finish(now, result)
        return now

    async def append_log(self, key: TaskKey, texts: Sequence[str], keep_bytes: int) -> None:
        """Append texts in order, keeping the last `keep_bytes`."""
        await self._call(PoolTables.append_log, key, texts, keep_bytes)

    async def log(self, key: TaskKey) -> tuple[int, str]:
        """Bytes cut off at the start so far, and the text that is left."""
        return await self._call(PoolTables.log, key)


def _trouble(error: sqlite3.OperationalError, file: Path) -> Problem:
    code = FaultCode.DISK_FULL if "full" in str(error) else FaultCode.NO_PERMISSION
    return Problem(code=code, about=f"{file} ({error})")


def _make_private(file: Path) -> None:
    """Make the file before SQLite does, which would give it the umask's rights."""
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
