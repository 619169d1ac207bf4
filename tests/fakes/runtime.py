"""A sandbox without a process: plays scripts, and keeps the contract of engine/ports.py like the real one.

`tests/contract/test_runtime.py` runs on this and on the real sandboxes. `clock` may be a
`VirtualClock`; without one, naps take real time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.snapshot import RuntimeView
from hivemind_worker.model.task import Outcome, Problem, TaskKey, Usage
from hivemind_worker.model.work import RunOrder

OutputSink = Callable[[bytes], Awaitable[None]]
StartedSink = Callable[[str], Awaitable[None]]


@dataclass(frozen=True)
class Say:
    """Write to the output."""

    data: bytes


@dataclass(frozen=True)
class Nap:
    """Let running time pass."""

    seconds: float


@dataclass(frozen=True)
class Grow:
    """Ask for memory."""

    size_bytes: int


@dataclass(frozen=True)
class Keep:
    """Write a file of this size into the workspace."""

    name: str
    size_bytes: int


@dataclass(frozen=True)
class Leave:
    """End with this exit code."""

    code: int


@dataclass(frozen=True)
class Break:
    """The sandbox itself fails."""

    reason: str = "it broke"


Step = Say | Nap | Grow | Keep | Leave | Break


class Waits(Protocol):
    """The part of a clock that the fake needs."""

    async def wait(self, event: asyncio.Event, limit_s: float) -> bool: ...


class RealWaits:
    """Waits in real time."""

    async def wait(self, event: asyncio.Event, limit_s: float) -> bool:
        """Whether the event came within the limit."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await event.wait()
        return event.is_set()


class _Run:
    def __init__(self) -> None:
        self.stopped = asyncio.Event()
        self.thawed = asyncio.Event()
        self.changed = asyncio.Event()  # paused, resumed or stopped: a nap must look up
        self.thawed.set()
        self.running_s = 0.0
        self.kept_bytes = 0


class FakeRuntime:
    """Plays `script(order)` for every run."""

    name = "fake"

    def __init__(
        self,
        script: Callable[[RunOrder], Sequence[Step]],
        *,
        clock: Waits | None = None,
        missing: Sequence[str] = (),
    ) -> None:
        self.script = script
        self.missing = tuple(missing)
        self.limited: list[tuple[TaskKey, int, float]] = []
        self.reclaimed: list[tuple[TaskKey, int, str]] = []
        self._clock = clock or RealWaits()
        self._runs: dict[tuple[TaskKey, int], _Run] = {}

    async def view(self) -> RuntimeView:
        return RuntimeView(name=self.name, ready=True, detail="scripted")

    def missing_packages(self, requirements: Sequence[str]) -> tuple[str, ...]:
        return tuple(line for line in requirements if line in self.missing)

    def warm(self, order: RunOrder) -> None:
        """Nothing to start before a run."""

    async def run(
        self, order: RunOrder, output: OutputSink, started: StartedSink, preparing: object = None
    ) -> Outcome:
        name = (order.key, order.attempt)
        run = self._runs[name] = _Run()
        try:
            await started(f"fake-{order.attempt}")
            problem, code = await self._play(run, order, output)
        finally:
            del self._runs[name]
        usage = Usage(wall_s=run.running_s)
        if run.stopped.is_set():
            return Outcome(exit_code=None, problem=None, usage=usage)
        if problem is None and code:
            problem = Problem(code=FaultCode.EXIT_CODE, about=str(code))
        ended = problem is None or problem.code is FaultCode.EXIT_CODE
        return Outcome(exit_code=code if ended else None, problem=problem, usage=usage)

    async def _play(self, run: _Run, order: RunOrder, output: OutputSink) -> tuple[Problem | None, int]:
        for step in self.script(order):
            await asyncio.sleep(0)
            if await self._held(run):
                break
            match step:
                case Say(data):
                    await output(data)
                case Leave(code):
                    return None, code
                case _:
                    problem = await self._cost(run, order, step)
                    if problem is not None or run.stopped.is_set():
                        return problem, 0
        return None, 0

    async def _cost(self, run: _Run, order: RunOrder, step: Nap | Grow | Keep | Break) -> Problem | None:
        match step:
            case Nap(seconds):
                return await self._nap(run, order, seconds)
            case Grow(size_bytes):
                if size_bytes > order.memory_bytes:
                    return Problem(code=FaultCode.OUT_OF_MEMORY, about=str(order.memory_bytes))
            case Keep(name, size_bytes):
                run.kept_bytes += size_bytes
                if run.kept_bytes > order.disk_bytes:
                    return Problem(code=FaultCode.OUT_OF_DISK, about=str(order.disk_bytes))
                (order.workspace / name).write_bytes(bytes(size_bytes))
            case Break(reason):
                return Problem(code=FaultCode.SANDBOX_FAILED, about=reason)
        return None

    async def _held(self, run: _Run) -> bool:
        """Wait out a pause; whether the run has been stopped."""
        while not run.thawed.is_set() and not run.stopped.is_set():
            run.changed.clear()
            await run.changed.wait()
        return run.stopped.is_set()

    async def _nap(self, run: _Run, order: RunOrder, seconds: float) -> Problem | None:
        loop = asyncio.get_running_loop()
        left_s = seconds
        while left_s > 1e-9 and not await self._held(run):
            slice_s = min(left_s, order.time_limit_s - run.running_s)
            run.changed.clear()
            began = loop.time()
            looked_up = await self._clock.wait(run.changed, slice_s)
            passed_s = min(slice_s, loop.time() - began) if looked_up else slice_s
            left_s -= passed_s
            run.running_s += passed_s
            if run.running_s >= order.time_limit_s - 1e-9:
                return Problem(code=FaultCode.TIMED_OUT, about=f"{order.time_limit_s:g} s")
        return None

    async def pause(self, key: TaskKey, attempt: int) -> None:
        if run := self._runs.get((key, attempt)):
            run.thawed.clear()
            run.changed.set()

    async def resume(self, key: TaskKey, attempt: int) -> None:
        if run := self._runs.get((key, attempt)):
            run.thawed.set()
            run.changed.set()

    async def limit(self, key: TaskKey, attempt: int, cores: float) -> None:
        self.limited.append((key, attempt, cores))

    async def stop(self, key: TaskKey, attempt: int, grace_s: float = 10.0) -> None:
        if run := self._runs.get((key, attempt)):
            run.stopped.set()
            run.changed.set()

    def figures(self, key: TaskKey, attempt: int) -> None:
        """Nothing to measure."""

    def process(self, key: TaskKey, attempt: int) -> int | None:
        """Nothing runs."""
        return None

    def used_cpu_s(self, key: TaskKey, attempt: int) -> float | None:
        """Nothing to measure."""
        return None

    def memory_bytes(self, key: TaskKey, attempt: int) -> int | None:
        """Nothing to measure."""
        return None

    def forget(self, key: TaskKey, attempt: int) -> None:
        """Nothing is left."""

    async def reclaim(self, key: TaskKey, attempt: int, where: str) -> None:
        self.reclaimed.append((key, attempt, where))

    async def adopt(self, order: RunOrder, where: str, mark: bytes, output: OutputSink) -> None:
        self.reclaimed.append((order.key, order.attempt, where))

    async def close(self) -> None:
        for run in self._runs.values():
            run.stopped.set()
            run.changed.set()
        while self._runs:
            await asyncio.sleep(0.001)
