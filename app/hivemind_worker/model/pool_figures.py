"""What a pool process counts, and the figures that its owner's monitoring reads. Values only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from hivemind_worker.model.pool_records import Demand, Moved, PoolResult, PoolTask, PoolTaskState

CORE_STEPS, GIB_STEPS = (1, 2, 4, 8, 16, 32), (1, 2, 4, 8, 16, 32, 64)
MORE = "more"
Class = tuple[str, str, str]
"""Cores at most, GiB of memory at most, whether a graphics card: bounded, whatever requesters ask for."""


@dataclass(slots=True)
class PoolCounts:
    """What this process has done since its start; the book counts as it writes."""

    handed_out: Counter[str] = field(default_factory=Counter)  # by "called" or "asked"
    taken_back: Counter[str] = field(default_factory=Counter)  # "lost" or "given_back": tried again
    ended: Counter[str] = field(default_factory=Counter)  # by the state in lower case
    rewards: int = 0
    charged: int = 0

    def note_begin(self, now: PoolTask, at_s: float) -> None:
        """A node that is called took a task, unless it had it before."""
        if now.state is PoolTaskState.RUNNING and now.started_at_s == at_s:
            self.handed_out["called"] += 1

    def note_end(self, state: PoolTaskState, done: bool) -> None:
        """A task ended without a result, when it was open."""
        if done:
            self.ended[state.lower()] += 1

    def note_finish(self, now: PoolTask, result: PoolResult) -> None:
        """A result came; only the first of a task that was not stopped ends it."""
        is_this = now.result_sha256 == result.sha256 and now.ended_at_s == result.at_s
        if is_this and now.state is result.state:
            self.ended[now.state.lower()] += 1
            self.rewards += result.reward if now.state is PoolTaskState.COMPLETED else 0

    def note_charge(self, moved: Moved, amount: int) -> None:
        """A minute was to be paid."""
        self.charged += amount if moved is Moved.DONE else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """A server of a cluster, and how far it is with one stream: so many writes behind who leads."""

    server: str
    stream: str
    leads: bool
    is_current: bool
    behind: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFigures:
    """One stream of a NATS server. Without a limit of its own, `limit_bytes` is None."""

    name: str
    held_bytes: int
    messages: int
    limit_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFigures:
    """The pool at one moment. What could not be asked for is None or empty, with `store_up` False."""

    version: str
    engine: str  # "sqlite" or "nats"
    store_up: bool
    pending: int
    running: int
    waiting: Mapping[Class, int]
    oldest_wait_s: float
    workers: Mapping[tuple[str, str], int]  # by "asks" or "is_called", and "here" or "away"
    counts: PoolCounts
    archives_bytes: int | None
    accounts: int | None
    credits: int | None
    streams: tuple[StreamFigures, ...]
    store_bytes: int | None
    store_limit_bytes: int | None
    started_at_s: float
    cpu_s: float


def class_of(demand: Demand) -> Class:
    """The class of a demand."""
    cores, gpu = _step(-(-demand.cpu_score // 100), CORE_STEPS), demand.gpu_score or demand.gpu_memory_gb
    return cores, _step(demand.memory_gb, GIB_STEPS), "yes" if gpu else "no"


def _step(amount: int, steps: tuple[int, ...]) -> str:
    return next((str(step) for step in steps if amount <= step), MORE)
