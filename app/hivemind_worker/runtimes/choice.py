"""Which sandbox runs tasks: Docker when it is ready, else the built-in one; or the one that the owner named.

Fits `Runtime` itself, so that the engine sees one sandbox. Every run stays with the sandbox that
started it. The bare host is not among the choices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.snapshot import RuntimeView
from hivemind_worker.model.task import Outcome, Problem, TaskKey
from hivemind_worker.model.work import RunFigures, RunOrder

if TYPE_CHECKING:
    from hivemind_worker.engine.ports import OutputSink, PreparingSink, Runtime, StartedSink


WARMED_AT_MOST = 1000


class ChosenRuntime:
    """`choice` is auto, docker or wasm. `docker` is None where Docker is switched off."""

    def __init__(self, choice: str, *, wasm: Runtime, docker: Runtime | None) -> None:
        self._choice = choice
        self._wasm = wasm
        self._docker = docker
        self._present: Runtime = wasm
        self._runs: dict[tuple[TaskKey, int], Runtime] = {}
        self._warmed: dict[tuple[TaskKey, int], Runtime] = {}

    @property
    def name(self) -> str:
        """The sandbox that the next task runs in."""
        return self._present.name

    async def view(self) -> RuntimeView:
        """The view of the sandbox in use, chosen anew by what is ready now."""
        if self._choice == "wasm" or self._docker is None:
            return await self._view_without_docker()
        docker = await self._docker.view()
        if docker.ready or self._choice == "docker":
            self._present = self._docker
            return docker
        self._present = self._wasm
        return replace(await self._wasm.view(), docker_available=docker.docker_available)

    async def _view_without_docker(self) -> RuntimeView:
        if self._choice == "docker":
            problem = Problem(code=FaultCode.SANDBOX_MISSING, about="Docker is chosen and switched off")
            return RuntimeView(name="docker", ready=False, problem=problem)
        return await self._wasm.view()

    def missing_packages(self, requirements: Sequence[str]) -> tuple[str, ...]:
        """Those lines that the sandbox in use cannot satisfy."""
        return self._present.missing_packages(requirements)

    def warm(self, order: RunOrder) -> None:
        """This run is about to be ordered; it stays with the sandbox that prepares for it."""
        self._warmed[order.key, order.attempt] = self._present
        while len(self._warmed) > WARMED_AT_MOST:
            del self._warmed[next(iter(self._warmed))]
        self._present.warm(order)

    async def run(
        self,
        order: RunOrder,
        output: OutputSink,
        started: StartedSink,
        preparing: PreparingSink | None = None,
    ) -> Outcome:
        """Run in the sandbox in use; it stays this run's until its end."""
        run = (order.key, order.attempt)
        runtime = self._runs[run] = self._warmed.pop(run, self._present)

        async def named(where: str, /, *, image: str = "", runtime: str = runtime.name) -> None:
            await started(where, image=image, runtime=runtime)

        try:
            return await runtime.run(order, output, named, preparing)
        finally:
            del self._runs[run]

    async def pause(self, key: TaskKey, attempt: int) -> None:
        """Freeze a run."""
        if runtime := self._runs.get((key, attempt)):
            await runtime.pause(key, attempt)

    async def resume(self, key: TaskKey, attempt: int) -> None:
        """Thaw a run."""
        if runtime := self._runs.get((key, attempt)):
            await runtime.resume(key, attempt)

    async def limit(self, key: TaskKey, attempt: int, cores: float) -> None:
        """Give a run this much of the processor."""
        if runtime := self._runs.get((key, attempt)):
            await runtime.limit(key, attempt, cores)

    async def stop(self, key: TaskKey, attempt: int, grace_s: float = 10.0) -> None:
        """End a run, or what was prepared for it."""
        runtime = self._runs.get((key, attempt)) or self._warmed.pop((key, attempt), None)
        if runtime is not None:
            await runtime.stop(key, attempt, grace_s)

    async def adopt(self, order: RunOrder, where: str, mark: bytes, output: OutputSink) -> Outcome | None:
        """Go on with a run of an earlier life, where Docker may be used and still has it."""
        if self._docker is None:
            return None
        run = (order.key, order.attempt)
        self._runs[run] = self._docker
        try:
            return await self._docker.adopt(order, where, mark, output)
        finally:
            del self._runs[run]

    def figures(self, key: TaskKey, attempt: int) -> RunFigures | None:
        """What a run uses."""
        runtime = self._runs.get((key, attempt))
        return runtime.figures(key, attempt) if runtime is not None else None

    def process(self, key: TaskKey, attempt: int) -> int | None:
        """The first process of a run."""
        runtime = self._runs.get((key, attempt))
        return runtime.process(key, attempt) if runtime is not None else None

    def used_cpu_s(self, key: TaskKey, attempt: int) -> float | None:
        """Processor seconds of a run so far."""
        runtime = self._runs.get((key, attempt))
        return runtime.used_cpu_s(key, attempt) if runtime is not None else None

    def memory_bytes(self, key: TaskKey, attempt: int) -> int | None:
        """Memory of a run when it was last looked at."""
        runtime = self._runs.get((key, attempt))
        return runtime.memory_bytes(key, attempt) if runtime is not None else None

    def forget(self, key: TaskKey, attempt: int) -> None:
        """The end of this run is written down."""
        for runtime in (self._wasm, self._docker):
            if runtime is not None:
                runtime.forget(key, attempt)

    async def reclaim(self, key: TaskKey, attempt: int, where: str) -> None:
        """End what an earlier life left, in whichever sandbox it ran."""
        for runtime in (self._wasm, self._docker):
            if runtime is not None:
                await runtime.reclaim(key, attempt, where)

    async def close(self) -> None:
        """End every run."""
        for runtime in (self._wasm, self._docker):
            if runtime is not None:
                await runtime.close()
