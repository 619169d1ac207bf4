"""What the embedded pool keeps: accounts, nodes and tasks as its book holds them.

Values only: `store.pool_book` writes them, `pool.local` decides with them, and
neither imports the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from hivemind_worker.model.task import TaskId, TaskKey

MOST_TOKENS = 2**63 - 1  # balances cross the wire as int64


class PoolTaskState(StrEnum):
    """The states that requesters know, in the protocol's words."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"

    @property
    def has_ended(self) -> bool:
        """Whether the pool will never offer the task to a node (again)."""
        return self not in (PoolTaskState.PENDING, PoolTaskState.RUNNING)


class Moved(StrEnum):
    """What became of a transfer of tokens; nothing moved unless DONE."""

    DONE = "done"
    UNKNOWN = "unknown"  # there is no such receiver
    SHORT = "short"  # the sender has not enough
    OVERFLOW = "overflow"  # the receiver cannot hold so much


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolAccount:
    """One account; its password is known by a salted scrypt digest alone."""

    user_id: int
    name: str
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    balance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolNode:
    """One registered worker: where it is called, and the whole of what it announced."""

    node_id: str
    account: str  # who registered it: gets its pay, and alone may answer for its tasks
    hostname: str
    port: int
    peer: str  # address from which it registered
    cpu_cores: int
    cpu_score: int
    memory_gb: int
    gpu_score: int
    gpu_memory_gb: int
    gpu_name: str
    location: str
    docker_status: str
    status: str
    heard_at_s: float
    most_tasks: int = 0  # tasks at once at most; 0: not said

    @property
    def asks(self) -> bool:
        """Whether the node asks for tasks: it has no port, and nothing is offered to it."""
        return self.port == 0


class Demand(NamedTuple):
    """What a task asks for; tasks that ask for the same are alike to a node."""

    cpu_score: int
    memory_gb: int
    gpu_score: int
    gpu_memory_gb: int
    gpu_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """How many tasks of one demand wait, and since when the first of them does (UTC epoch seconds)."""

    demand: Demand
    count: int
    oldest_at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolTask:
    """One uploaded task. Times are UTC epoch seconds; demands in the protocol's units."""

    key: TaskKey
    task_id: TaskId
    owner: str
    state: PoolTaskState
    archive_bytes: int
    cpu_score: int
    memory_gb: int
    gpu_score: int
    gpu_memory_gb: int
    gpu_name: str
    location: str
    uploaded_at_s: float
    node_id: str = ""
    started_at_s: float | None = None
    ended_at_s: float | None = None
    message: str = ""
    result_bytes: int | None = None
    result_sha256: str = ""
    stop_told: bool = False
    paid_minutes: int = 0

    @property
    def demand(self) -> Demand:
        """What a node must have for it."""
        return Demand(self.cpu_score, self.memory_gb, self.gpu_score, self.gpu_memory_gb, self.gpu_name)

    @property
    def has_result(self) -> bool:
        """Whether a result archive was accepted."""
        return self.result_bytes is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolResult:
    """A result archive that lies on disk, and what its arrival makes of the task."""

    key: TaskKey
    node_id: str  # who sent it
    state: PoolTaskState
    message: str
    sha256: str
    size_bytes: int
    account: str  # credited with `reward` when the task is COMPLETED by it
    reward: int
    at_s: float


def log_pieces(text: bytes, most_bytes: int) -> Iterator[bytes]:
    """A log's text (UTF-8) cut into pieces of at most so many bytes, never inside a character."""
    start = 0
    while start < len(text):
        stop = min(start + most_bytes, len(text))
        while stop < len(text) and text[stop] & 0xC0 == 0x80:
            stop -= 1
        yield text[start:stop]
        start = stop
