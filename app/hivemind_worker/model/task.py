"""A task as the journal keeps it, and the words for where it is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.resources import Resources

TaskId = NewType("TaskId", str)
"""Free text of the requester, 1 to 512 bytes of UTF-8 without control characters: for wire and eye."""

TaskKey = NewType("TaskKey", str)
"""32 lower-case hex digits made from the id: the only name used for folders, containers and rows."""


def key_of(task_id: TaskId) -> TaskKey:
    """The safe name of a task: the first 128 bits of the SHA-256 of its id."""
    return TaskKey(hashlib.sha256(task_id.encode("utf-8", "surrogatepass")).hexdigest()[:32])


class TaskState(StrEnum):
    """The six states that the API shows."""

    ALLOCATED = "ALLOCATED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"

    @property
    def has_ended(self) -> bool:
        """Whether nothing of the task runs any more."""
        return self in (TaskState.COMPLETED, TaskState.FAILED, TaskState.STOPPED)


class Phase(StrEnum):
    """What is happening inside a state."""

    NONE = ""
    UNPACKING = "unpacking"
    PULLING = "pulling"
    INSTALLING = "installing"
    STOPPING = "stopping"
    PACKING = "packing"


class Delivery(StrEnum):
    """What became of the result archive."""

    NONE = "none"  # the task has not ended, or its archive is not packed yet
    OWED = "owed"  # packed and waiting for the pool
    DELIVERED = "delivered"  # the pool acknowledged it
    KEPT = "kept"  # the pool will not take it: it stays on this disk


class StopReason(StrEnum):
    """Who ended a task before its time."""

    POOL = "pool"
    OWNER = "owner"
    SHUTDOWN = "shutdown"
    PAUSE = "pause"  # the pause has outlasted the time that the rules set
    MEMORY = "memory"  # the computer had no memory left


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that went wrong: a code of the faults table and the particulars for its sentence."""

    code: FaultCode
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A task that the pool offers, checked at the wire; its archive lies in a spool file."""

    task_id: TaskId
    body_sha256: str
    archive_bytes: int
    demand: Resources

    @property
    def key(self) -> TaskKey:
        return key_of(self.task_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a run took: seconds of processor and of wall clock, and its largest memory in bytes."""

    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_memory_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended. `problem` is None exactly when the program exited by itself with code 0."""

    exit_code: int | None
    problem: Problem | None
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One accepted task. Times are UTC epoch seconds."""

    task_id: TaskId
    key: TaskKey
    attempt: int
    body_sha256: str
    demand: Resources
    state: TaskState
    accepted_at_s: float
    entry: str = ""  # the script that is started, inside the workspace
    phase: Phase = Phase.NONE
    started_at_s: float | None = None
    paused_at_s: float | None = None
    ended_at_s: float | None = None
    stop_reason: StopReason | None = None
    held: bool = False  # its owner has paused this one alone
    exit_code: int | None = None
    problem: Problem | None = None
    usage: Usage = Usage()
    runtime: str = ""
    where: str = ""  # process id or container name, for the story and for reclaiming
    image: str = ""  # name and digest of the image that it ran in
    pool: str = ""  # address of the pool that it came from; of rows of earlier versions it is not known
    delivery: Delivery = Delivery.NONE
    delivered_at_s: float | None = None
    result_bytes: int | None = None
    trust_change: int = 0

    @property
    def holds_resources(self) -> bool:
        """Whether its demand is taken from the ledger."""
        return not self.state.has_ended

    @property
    def is_open(self) -> bool:
        """Whether the engine still has something to do for it."""
        return not self.state.has_ended or self.delivery in (Delivery.NONE, Delivery.OWED)
