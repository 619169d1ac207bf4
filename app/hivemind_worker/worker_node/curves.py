"""Notes what each running task uses over its time, for its curve; kept beside its log, as long as that is.

A curve has a bounded number of points: when it is full, two become one, and it goes on half as fine.
Nothing is looked at while no task runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

from hivemind_worker.model.task import Task, TaskKey, TaskState
from hivemind_worker.model.work import UsePoint
from hivemind_worker.store.use_file import read_use, write_use
from hivemind_worker.worker_node.parts import Parts

LOOK_S = 2.0
SAVE_S = 30.0
MOST = 240
RunKey = tuple[TaskKey, int]


class Curve:
    """The points of one run. What is not known of it, as no worker looked, is a point without cores."""

    def __init__(self, started_at_s: float, kept: Sequence[UsePoint] = ()) -> None:
        self.points = list(kept)
        self.every_s = LOOK_S
        self._at_s = kept[-1].at_s if kept else started_at_s
        self._cpu_s: float | None = None if kept else 0.0
        self._memory_bytes: int | None = None

    def note(
        self, at_s: float, cpu_s: float | None, memory_bytes: int | None, *, paused: bool, last: bool = False
    ) -> None:
        """What it has used until now; becomes a point when it is time, or with the `last` one."""
        if memory_bytes is not None:
            self._memory_bytes = max(memory_bytes, self._memory_bytes or 0)
        passed_s = at_s - self._at_s
        if cpu_s is None or passed_s < (0.1 if last else 0.9 * self.every_s):
            return
        gained_s = None if self._cpu_s is None else max(0.0, cpu_s - self._cpu_s)
        cores = None if gained_s is None else gained_s / passed_s
        self.points.append(UsePoint(at_s=at_s, cores=cores, memory_bytes=self._memory_bytes, paused=paused))
        self._at_s, self._cpu_s, self._memory_bytes = at_s, cpu_s, None
        while len(self.points) >= MOST:
            self._coarsen()

    def _coarsen(self) -> None:
        ends = range(1, len(self.points), 2)
        odd = self.points[-1:] if len(self.points) % 2 else []
        self.points = [_joined(self.points[end - 1], self.points[end]) for end in ends] + odd
        self.every_s *= 2


def _joined(one: UsePoint, other: UsePoint) -> UsePoint:
    known = [point.cores for point in (one, other) if point.cores is not None]
    memories = [point.memory_bytes for point in (one, other) if point.memory_bytes is not None]
    return UsePoint(
        at_s=other.at_s, cores=sum(known) / len(known) if known else None,
        memory_bytes=max(memories, default=None), paused=one.paused and other.paused,
    )  # fmt: skip


class Curves:
    """One for a worker. `wake` it whenever something may have begun to run."""

    def __init__(self, parts: Parts, clock: Callable[[], float] = time.time) -> None:
        self._parts, self._clock = parts, clock
        self._curves: dict[RunKey, Curve] = {}
        self._looking = self._closed = False
        self._saved_s = 0.0

    def wake(self) -> None:
        """Begin to look where a task runs and nobody does; costs next to nothing."""
        parts = self._parts
        if self._looking or self._closed or not parts.has_engine or not parts.engine.state.unended():
            return
        self._looking = True
        parts.nursery.start("curves", self._keep_looking())

    async def _keep_looking(self) -> None:
        try:
            while self._parts.engine.state.unended() or self._curves:
                await self.look()
                await asyncio.sleep(LOOK_S)
        finally:
            self._looking = False

    async def look(self) -> None:
        """Note what runs, keep what has ended."""
        unended = self._parts.engine.state.unended()
        running = {(task.key, task.attempt): task for task in unended if task.started_at_s is not None}
        for run, task in running.items():
            await self._note(run, task)
        for run in [run for run in self._curves if run not in running]:
            await self._end(run)
        if self._clock() - self._saved_s >= SAVE_S:
            await self._save_all()

    async def _note(self, run: RunKey, task: Task) -> None:
        curve = self._curves.get(run)
        if curve is None:
            kept = await self._kept(task)
            curve = self._curves[run] = Curve(task.started_at_s or self._clock(), kept)
        runtime = self._parts.runtime
        curve.note(
            self._clock(), runtime.used_cpu_s(*run), runtime.memory_bytes(*run),
            paused=task.state is TaskState.PAUSED,
        )  # fmt: skip

    async def _end(self, run: RunKey) -> None:
        """The last stretch, by what the whole run has used."""
        key, attempt = run
        task = self._parts.engine.task(key)
        with contextlib.suppress(OSError):  # its last stretch is not worth more
            task = task or await self._parts.journal.find(key)
        if task is not None and task.attempt == attempt and task.ended_at_s is not None and task.usage.cpu_s:
            memory = self._parts.runtime.memory_bytes(*run)
            self._curves[run].note(task.ended_at_s, task.usage.cpu_s, memory, paused=False, last=True)
        await self._save(run)
        del self._curves[run]

    async def _save_all(self) -> None:
        self._saved_s = self._clock()
        for run in list(self._curves):
            await self._save(run)

    async def _save(self, run: RunKey) -> None:
        (key, attempt), points = run, tuple(self._curves[run].points)
        if points:
            await self._parts.files.call(write_use, self._parts.folders.use(key), attempt, points)

    async def _kept(self, task: Task) -> tuple[UsePoint, ...]:
        return await self._parts.files.call(read_use, self._parts.folders.use(task.key), task.attempt)

    async def of(self, task: Task) -> tuple[UsePoint, ...]:
        """The points of a task that runs, or has run while its folder is kept."""
        curve = self._curves.get((task.key, task.attempt))
        return tuple(curve.points) if curve is not None else await self._kept(task)

    async def close(self) -> None:
        """Keep what there is; nothing is looked at any more."""
        self._closed = True
        if self._parts.has_engine:
            await self.look()
            await self._save_all()
