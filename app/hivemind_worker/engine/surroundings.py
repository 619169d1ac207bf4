"""What computer and sandbox can do just now, looked at every few seconds; says what blocks all work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hivemind_worker.engine.ports import Runtime
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.machine import Sample
from hivemind_worker.model.snapshot import RuntimeView
from hivemind_worker.model.task import Problem


class Surroundings:
    """The latest look. What `disk_needed_gb` tells must be free for a task to be taken."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        take_sample: Callable[[], Awaitable[Sample]],
        disk_needed_gb: Callable[[], float],
    ) -> None:
        self._runtime = runtime
        self._take_sample = take_sample
        self._disk_needed_gb = disk_needed_gb
        self.sample = Sample(cpu_percent=0, memory_percent=0, memory_available_gb=0, disk_available_gb=0)
        self.sandbox = RuntimeView(name="", ready=False)
        self.blocker: Problem | None = None

    async def look(self) -> None:
        """Take fresh figures and judge them."""
        self.sample = await self._take_sample()
        self.sandbox = await self._runtime.view()
        self.blocker = self._sandbox_problem() or self._disk_problem()

    def _sandbox_problem(self) -> Problem | None:
        if self.sandbox.ready:
            return None
        doing = self.sandbox.detail or "this takes a minute at most"
        return self.sandbox.problem or Problem(code=FaultCode.SANDBOX_PREPARING, about=doing)

    def _disk_problem(self) -> Problem | None:
        free_gb, needed_gb = self.sample.disk_available_gb, self._disk_needed_gb()
        if free_gb >= needed_gb:
            return None
        about = f"{free_gb:.1f} GiB free, a task needs {needed_gb:.1f} GiB"
        return Problem(code=FaultCode.DISK_FULL, about=about)
