"""What changes, as numbered events: one ring for all readers. Nothing is computed while nobody reads.

An event holds the whole of what it names (a task's row, the verdicts), so that a late or doubled one does no
harm. When readers come again after a while, what changed meanwhile is told as one difference.
Counterparts: web.stream, which sends the ring; NodeFace.watch, which says that something may have changed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.model.task import Task, TaskKey
from hivemind_worker.nursery import Nursery
from hivemind_worker.presentation.health import unended
from hivemind_worker.presentation.rows import v1_task
from hivemind_worker.presentation.status import pool_row, state_report, verdict_rows

if TYPE_CHECKING:
    from hivemind_worker.engine.face import NodeFace, Sample

log = logging.getLogger(__name__)
TYPES = ("state", "verdict", "task", "metrics", "log", "pool")
RING, MOST_READERS = 2000, 8
CHANGES_EVERY_S, METRICS_EVERY_S = 0.25, 1.0
LOG_LINES = 100  # of a time in which nobody read


@dataclass(frozen=True, slots=True)
class Event:
    """One event, encoded once for all readers."""

    number: int
    kind: str
    frame: bytes


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the events so far have told."""

    tasks: dict[TaskKey, Task]
    state: tuple[object, ...]
    pool: object
    verdicts: list[dict[str, str | None]]


def _shown(snapshot: Snapshot) -> _Shown:
    return _Shown(
        tasks={task.key: task for task in snapshot.tasks},
        state=(
            snapshot.node, snapshot.total, snapshot.available, snapshot.trust_group, snapshot.blocker,
            snapshot.owed_results, snapshot.runtime, snapshot.grpc_address, snapshot.recovery,
            snapshot.trust_threshold, len(unended(snapshot)), snapshot.pool.link,
        ),
        pool=replace(snapshot.pool, last_heard_s=None),
        verdicts=verdict_rows(snapshot),
    )  # fmt: skip


class Live:
    """The ring and those who read it. Close it before the server, so that readers end."""

    def __init__(self, node: NodeFace, nursery: Nursery, clock: Callable[[], float]) -> None:
        self._node = node
        self._nursery = nursery
        # Numbers of another life of the worker are smaller, and so told from those of this one.
        self.number = int(clock() * 1000)
        self._ring: deque[Event] = deque(maxlen=RING)
        self._shown: _Shown | None = None
        self._log_number = 0
        self._dirty = asyncio.Event()
        self._catching = asyncio.Lock()
        self._readers: set[asyncio.Event] = set()
        self._telling: asyncio.Task[None] | None = None
        self._unwatch: Callable[[], None] | None = None
        self.closing = False

    @property
    def readers(self) -> int:
        """How many read."""
        return len(self._readers)

    def close(self) -> None:
        """Have every reader end."""
        self.closing = True
        self._wake()
        self._rest()

    @contextmanager
    def reader(self) -> Iterator[asyncio.Event]:
        """A place among the readers; the event is set whenever there is something new."""
        moved = asyncio.Event()
        self._readers.add(moved)
        if self._telling is None or self._telling.done():
            self._telling = self._nursery.start("live", self._tell())
        try:
            yield moved
        finally:
            self._readers.discard(moved)
            if not self._readers:
                self._rest()

    def _rest(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None

    def after(self, number: int) -> tuple[Event, ...] | None:
        """The events behind this number; None when some of them are gone, or it is of another life."""
        first = self._ring[0].number if self._ring else self.number + 1
        if not first - 1 <= number <= self.number:
            return None
        missing = self.number - number
        return tuple(self._ring[n] for n in range(len(self._ring) - missing, len(self._ring)))

    # --- telling ------------------------------------------------------------------------------

    async def _tell(self) -> None:
        self._unwatch = self._node.watch(self._dirty.set)
        due = time.monotonic()
        while True:
            await self.catch_up()
            if time.monotonic() >= due:
                due = max(due + METRICS_EVERY_S, time.monotonic())
                self._publish("metrics", _metrics(self._node.snapshot(), await self._node.sample()))
            await asyncio.sleep(CHANGES_EVERY_S)  # so that a storm of changes is told as one
            try:
                async with asyncio.timeout(max(0.0, due - time.monotonic())):
                    await self._dirty.wait()
            except TimeoutError:
                pass

    async def catch_up(self) -> int:
        """Tell what has changed since the last time; the number of the last event."""
        async with self._catching:
            self._dirty.clear()
            snapshot = self._node.snapshot()
            before, now = self._shown, _shown(snapshot)
            self._shown = now
            self._tell_log(first=before is None)
            if before is not None:
                await self._tell_difference(before, now, snapshot)
            return self.number

    def _tell_log(self, *, first: bool) -> None:
        entries = self._node.log_entries(self._log_number)
        if not entries:
            return
        self._log_number = entries[-1].number
        for entry in () if first else entries[-LOG_LINES:]:
            row = {"number": entry.number, "timestamp": entry.timestamp, "level": entry.level}
            self._publish("log", {**row, "message": entry.message})

    async def _tell_difference(self, before: _Shown, now: _Shown, snapshot: Snapshot) -> None:
        for key, task in now.tasks.items():
            if before.tasks.get(key) != task:
                self._publish("task", v1_task(task, snapshot.at_s))
        for key, task in before.tasks.items():
            if key not in now.tasks:
                await self._tell_last(task, snapshot.at_s)
        if before.pool != now.pool:
            self._publish("pool", pool_row(snapshot))
        if before.verdicts != now.verdicts:
            self._publish("verdict", {"verdicts": now.verdicts})
        if before.state != now.state:
            self._publish("state", _state(snapshot))

    async def _tell_last(self, task: Task, now_s: float) -> None:
        """A task that the worker is done with: its row as the journal keeps it."""
        try:
            last = await self._node.find_task(task.task_id)
        except OSError as error:
            log.warning("%s", error)
            last = None
        self._publish("task", v1_task(last or task, now_s))

    def _publish(self, kind: str, values: dict[str, Any]) -> None:
        self.number += 1
        self._ring.append(Event(self.number, kind, frame_of(self.number, kind, values)))
        self._wake()

    def _wake(self) -> None:
        for moved in self._readers:
            moved.set()


def frame_of(number: int, kind: str, values: dict[str, Any]) -> bytes:
    """An event as it goes over the wire: ASCII, so that no text in it can end a line."""
    text = json.dumps(values, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return f"id: {number}\nevent: {kind}\ndata: {text}\n\n".encode("ascii")


def _state(snapshot: Snapshot) -> dict[str, Any]:
    """The state without what has events of its own."""
    left_out = ("tasks", "pool", "verdicts")
    values = {key: value for key, value in state_report(snapshot).items() if key not in left_out}
    return {**values, "running_tasks": len(unended(snapshot))}


MEBI = 1024**2


def _metrics(snapshot: Snapshot, sample: Sample) -> dict[str, Any]:
    """The computer's figures; of CPU, memory and disk the tasks' share and the rest as well."""
    ours_cpu = min(sample.ours_cpu_percent, sample.cpu_percent)
    used_gb = sample.memory_percent * sample.memory_total_gb / 100
    ours_gb = min(sample.ours_memory_percent, sample.memory_percent) * sample.memory_total_gb / 100
    values = {
        "at": round(snapshot.at_s, 3),
        "cpu_percent": sample.cpu_percent,
        "ours_cpu_percent": round(ours_cpu, 1),
        "others_cpu_percent": round(sample.cpu_percent - ours_cpu, 1),
        "memory_percent": sample.memory_percent,
        "memory_used_gb": round(used_gb, 2),
        "ours_memory_gb": round(ours_gb, 2),
        "others_memory_gb": round(used_gb - ours_gb, 2),
        "memory_available_gb": round(sample.memory_available_gb, 2),
        "disk_available_gb": round(sample.disk_available_gb, 2),
        "gpu_percent": sample.gpu_percent,
        "cpu_celsius": sample.cpu_celsius,
        "running_tasks": len(unended(snapshot)),
    }
    return values | _rates(sample)


def _rates(sample: Sample) -> dict[str, float | None]:
    """MiB a second; None before the second look."""
    disk_bps = None
    if sample.disk_read_bps is not None and sample.disk_write_bps is not None:
        disk_bps = sample.disk_read_bps + sample.disk_write_bps
    ours_bps = None if disk_bps is None else min(sample.ours_disk_bps or 0.0, disk_bps)
    rates = {
        "net_down_mib_s": sample.net_down_bps, "net_up_mib_s": sample.net_up_bps, "disk_mib_s": disk_bps,
        "ours_disk_mib_s": ours_bps,
        "others_disk_mib_s": None if disk_bps is None or ours_bps is None else disk_bps - ours_bps,
    }  # fmt: skip
    return {name: None if rate is None else round(rate / MEBI, 2) for name, rate in rates.items()}
