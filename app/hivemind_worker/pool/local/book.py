"""What the embedded pool expects of its book. `store.pool_book` fits it; it is handed in, never imported.

`store.pool_book` keeps it on this computer's disk, `pool.nats.book` on a NATS server.
Every call is one transaction: what it reports is durable when it returns, and two
calls never mix; OSError says that the disk failed and nothing changed. The book is
the only truth; the pool keeps nothing else that must outlive it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

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


class StoreAwayError(OSError):
    """The book is kept elsewhere, and not to be had from there just now: `problem` tells a person why."""

    def __init__(self, words: str, problem: Problem) -> None:
        super().__init__(words)
        self.problem = problem


class PoolBook(Protocol):
    """Accounts, nodes, tasks and their logs."""

    @property
    def counts(self) -> PoolCounts:
        """What was done with tasks through this book since it was made."""
        ...

    @property
    def outage(self) -> Outage:
        """Whether the store is away; a disk never is."""
        ...

    def listen(self, heard: Callable[[PoolNode], None], changed: Callable[[], None]) -> None:
        """Tell of what other pool processes write to the same book; never called where there are none."""
        ...

    async def add_account(self, name: str, salt: bytes, digest: bytes, balance: int) -> bool:
        """Open an account; False when the name is taken."""
        ...

    async def account(self, name: str) -> PoolAccount | None: ...

    async def account_lately(self, name: str) -> PoolAccount | None:
        """The same, for who asks at each call: its balance may be a minute old."""
        ...

    async def accounts(self) -> tuple[PoolAccount, ...]:
        """All accounts by name."""
        ...

    async def transfer(self, sender: str, receiver: str, amount: int) -> Moved:
        """Move tokens; the sender is known, the amount above zero."""
        ...

    async def charge(self, key: TaskKey, receiver: str, amount: int) -> Moved:
        """Move a minute's pay from the task's owner and count the minute, when DONE."""
        ...

    async def put_node(self, node: PoolNode) -> None: ...

    async def nodes(self) -> tuple[PoolNode, ...]: ...

    async def add_task(self, task: PoolTask) -> bool:
        """Keep a new task; False when its key is taken."""
        ...

    async def task(self, key: TaskKey) -> PoolTask | None: ...

    async def tasks_in(self, state: PoolTaskState) -> tuple[PoolTask, ...]:
        """Tasks in PENDING or RUNNING, oldest first."""
        ...

    async def demands(self) -> tuple[Demand, ...]:
        """What waiting tasks ask for, each once. Costs by their number, as `waiting` does."""
        ...

    async def waiting(
        self, demands: Collection[Demand], most: int, besides: Collection[TaskKey]
    ) -> tuple[PoolTask, ...]:
        """Of the tasks that ask for this the `most` that have waited longest, oldest first.

        Costs by the number of demands, `most` and `besides`, not by how many tasks wait.
        """
        ...

    async def queues(self) -> tuple[Queue, ...]:
        """The waiting tasks, counted by what they ask for; looks at each of them."""
        ...

    async def tasks_of(self, owner: str, limit: int) -> tuple[PoolTask, ...]:
        """The owner's latest tasks, newest first."""
        ...

    async def untold_stops(self) -> tuple[PoolTask, ...]:
        """Stopped tasks whose node has not heard of it and has not sent a result."""
        ...

    async def offer(self, key: TaskKey, node_id: str) -> bool:
        """Note, before it is called, that this node may hold the task from now on.

        False: it is not to be called, another pool process sees to the task.
        """
        ...

    async def withdraw(self, key: TaskKey, node_id: str) -> None:
        """Note that this node certainly does not hold the task."""
        ...

    async def offered(self) -> tuple[tuple[TaskKey, str], ...]:
        """Waiting tasks, each with a node that may hold it; more than once where several may."""
        ...

    async def holder(self, key: TaskKey, account: str) -> str | None:
        """The account's node that holds (or may hold) the task."""
        ...

    async def begin(self, key: TaskKey, node_id: str, at_s: float) -> PoolTask:
        """A node took the task: PENDING becomes RUNNING, a later state stays. Returns the row now."""
        ...

    async def end(self, key: TaskKey, state: PoolTaskState, message: str, at_s: float) -> bool:
        """An open task ends without a result; False when it was not open."""
        ...

    async def told(self, key: TaskKey) -> None:
        """The node heard of the stop."""
        ...

    async def finish(self, result: PoolResult) -> PoolTask:
        """Keep the one result of a task, with its reward.

        STOPPED stays STOPPED; a second result changes nothing. Returns the row now.
        """
        ...

    async def append_log(self, key: TaskKey, texts: Sequence[str], keep_bytes: int) -> None:
        """Append texts in order, keeping (at least) the last `keep_bytes` of the log."""
        ...

    async def log(self, key: TaskKey) -> tuple[int, str]:
        """Bytes cut off at the start so far, and the text that is left."""
        ...
