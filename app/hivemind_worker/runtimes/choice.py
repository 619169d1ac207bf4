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
from hivemind_worker.model.work import RunOrder

if TYPE_CHECKING:
    from hivemind_worker.engine.ports import OutputSink, PreparingSink, Runtime, StartedSink


class ChosenRuntime:
    """`choice` is auto, docker or wasm. `docker` is None where Docker is switched off."""

    def __init__(self, choice: str, *, wasm: Runtime, docker: Runtime | None) -> None:
        self._choice = choice
        self._wasm = wasm
        self._docker = docker
        self._present: Runtime = wasm
        self._runs: dict[tuple[TaskKey, int], Runtime] = {}

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

    def warm(self) -> None:
        """A run is about to be ordered."""
        self._present.warm()

    async def run(
        self,
        order: RunOrder,
        output: OutputSink,
        started: StartedSink,
        preparing: PreparingSink | None = None,
    ) -> Outcome:
        """Run in the sandbox in use; it stays this run's until its end."""
        run = (order.key, order.attempt)
        runtime = self._runs[run] = self._present
        try:
            return await runtime.run(order, output, started, preparing)
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

    async def stop(self, key: TaskKey, attempt: int) -> None:
        """End a run."""
        if runtime := self._runs.get((key, attempt)):
            await runtime.stop(key, attempt)

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
