"""Tasks in Docker: the list of runs, the watch over the engine, and what is left behind by accident.

Fits `Runtime` of engine/ports.py. `run` is one container; `engine` says how the engine is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.snapshot import RuntimeView
from hivemind_worker.model.task import Outcome, Problem, TaskKey
from hivemind_worker.model.traffic import Moved, uncounted
from hivemind_worker.model.work import RunFigures, RunOrder
from hivemind_worker.nursery import NamedThread, Nursery
from hivemind_worker.runtimes.docker.containers import Containers
from hivemind_worker.runtimes.docker.endpoint import Endpoint, find_endpoint
from hivemind_worker.runtimes.docker.engine import Engine, EngineError, EngineState, EngineView
from hivemind_worker.runtimes.docker.hardening import LABEL_HOME, LABEL_WORKER, LOG_BYTES, PIDS
from hivemind_worker.runtimes.docker.image_facts import ImageFacts
from hivemind_worker.runtimes.docker.images import ImageRules, ImageShelf
from hivemind_worker.runtimes.docker.launch import Shelter
from hivemind_worker.runtimes.docker.networks import NetworkPolicy, TaskNetwork
from hivemind_worker.runtimes.docker.packages import PackageShelf, folder_mark
from hivemind_worker.runtimes.docker.run import Run
from hivemind_worker.runtimes.docker.seccomp import seccomp_text

if TYPE_CHECKING:
    from docker import APIClient

    from hivemind_worker.engine.ports import OutputSink, PreparingSink, StartedSink

log = logging.getLogger(__name__)

LOOK_EVERY_S, SELDOM_S = 2.0, 5.0
"""While tasks run, and while none does."""
IMAGE_LIMIT_S = 3.0
SWEEP_EVERY_S = 10.0
NETWORK_EVERY_S = 60.0
WARM_LIMIT_S = 120.0
WARM_AT_MOST = 8
RUNS_AT_MOST = 512  # threads that listen, made as they are needed
CLOSE_LIMIT_S = 5.0
DRIVER, PODMAN_DRIVER = "local", "k8s-file"

Pair = tuple[TaskKey, int]
Result = TypeVar("Result")

FAULTS = {
    EngineState.NOT_INSTALLED: FaultCode.ENGINE_MISSING,
    EngineState.NOT_RUNNING: FaultCode.ENGINE_DOWN,
    EngineState.NO_PERMISSION: FaultCode.ENGINE_FORBIDDEN,
    EngineState.HUNG: FaultCode.ENGINE_HUNG,
    EngineState.TOO_OLD: FaultCode.ENGINE_UNSUITABLE,
    EngineState.UNSUITABLE: FaultCode.ENGINE_UNSUITABLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerRules:
    """What the owner's settings say about tasks in Docker."""

    image: ImageRules
    network: str = "hivemind"
    policy: NetworkPolicy = NetworkPolicy.PACKAGES
    package_index: str = ""
    package_quota_bytes: int = 8 << 30
    pids: int = PIDS
    log_bytes: int = LOG_BYTES


def usual_endpoint() -> Endpoint:
    """The engine that `docker` on the command line would talk to."""
    return find_endpoint(os.environ, Path.home(), sys.platform)


def engine_problem(view: EngineView) -> Problem | None:
    """What keeps tasks from this engine, None when it is ready."""
    return Problem(code=FAULTS[view.state], about=view.detail) if view.state in FAULTS else None


class DockerRuntime:
    """Make it, `close` it. Use from the loop's thread only.

    `folder` keeps what it knows of images and installed packages. `is_open` says whether a pair is a
    task that has not ended: its container is left alone although no run of this life has it (yet).
    """

    name = "docker"

    def __init__(
        self,
        folder: Path,
        rules: DockerRules,
        *,
        seccomp: Path,
        node_id: str = "",
        find: Callable[[], Endpoint] = usual_endpoint,
        is_open: Callable[[TaskKey, int], bool] = lambda key, attempt: False,
        changed: Callable[[], None] = lambda: None,
        moved: Moved = uncounted,
    ) -> None:
        self._rules = rules
        self._is_open = is_open
        self._changed = changed
        self._moved = moved
        self._home = folder_mark(folder)
        self._labels = {LABEL_WORKER: node_id, LABEL_HOME: self._home}
        self._seccomp_file = seccomp
        self._folder = folder
        self.engine = Engine(find)
        self.images = ImageShelf(self.engine, folder / "images", rules.image, changed, moved)
        self.network = TaskNetwork(rules.network)
        self.packages = PackageShelf(
            folder / "packages", self._new_client, self.network, policy=rules.policy,
            index_url=rules.package_index, quota_bytes=rules.package_quota_bytes, moved=moved,
        )  # fmt: skip
        self._containers = Containers(self.engine, self._home)
        self._files = NamedThread("docker-files", threads=2)
        self._listeners = NamedThread("docker-log", threads=RUNS_AT_MOST)
        self._nursery = Nursery("docker")
        self._runs: dict[Pair, Run] = {}
        self._ended: dict[Pair, Run] = {}
        self._warm: dict[Pair, tuple[Run, asyncio.Task[Problem | None], asyncio.TimerHandle]] = {}
        self._image: ImageFacts | None = None
        self._view = EngineView(state=EngineState.NOT_RUNNING, detail="it is being looked for")
        self._watching: asyncio.Task[None] | None = None
        self._swept_at_s = float("-inf")
        self._left_over = False
        self._no_network: Problem | None = None
        self._network_looked_s = float("-inf")
        self._closed = False
        self._removing: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def _new_client(self) -> APIClient:
        return self.engine.new_client()

    # --- how it is --------------------------------------------------------------------------

    async def view(self) -> RuntimeView:
        """How things stand, by the latest look at the engine; never raises."""
        await self._watch()
        view = self._view
        if (problem := engine_problem(view)) is not None:
            return RuntimeView(name=self.name, ready=False, detail=view.detail, problem=problem)
        image = await self._image_now()
        if isinstance(image, Problem):
            self._image = None
            return RuntimeView(
                name=self.name, ready=False, detail=view.detail, problem=image, docker_available=True,
                pull=self.images.pulling,
            )  # fmt: skip
        self._image = image
        if self._no_network is not None:
            return RuntimeView(
                name=self.name, ready=False, detail=view.detail, problem=self._no_network,
                docker_available=True,
            )  # fmt: skip
        return RuntimeView(
            name=self.name, ready=True, detail=f"{view.detail}, {image.name}", docker_available=True,
            takes_gpus=view.facts is not None and view.facts.nvidia,
        )  # fmt: skip

    async def _image_now(self) -> ImageFacts | Problem:
        """An engine that has begun to hang shall not hold up the look at everything else."""
        try:
            async with asyncio.timeout(IMAGE_LIMIT_S):
                return await self.images.look()
        except TimeoutError:
            return Problem(code=FaultCode.SANDBOX_PREPARING, about="the image is looked at")

    async def _watch(self) -> None:
        """The first look is waited for; from then on it is looked every few seconds."""
        if self._watching is None and not self._closed:
            await self._look()
            self._watching = self._nursery.start("watch", self._keep_looking())

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S if self._runs else SELDOM_S)
            before = self._view.state
            await self._look()
            if self._view.state is not before:
                self._changed()

    async def _look(self) -> None:
        before, self._view = self._view, await self.engine.look()
        if self._view.state is not before.state:
            log.info("Docker: %s, %s", self._view.state, self._view.detail)
        if self._view.state is EngineState.READY:
            await self._check_network(came_back=before.state is not EngineState.READY)
            await self._sweep_when_due(came_back=before.state is not EngineState.READY)

    async def _check_network(self, *, came_back: bool) -> None:
        """Whether tasks can be held to the owner's policy here, now and then: rules need rights."""
        if self._rules.policy is not NetworkPolicy.INTERNET:
            return
        if came_back or time.monotonic() - self._network_looked_s > NETWORK_EVERY_S:
            self._network_looked_s = time.monotonic()
            with contextlib.suppress(EngineError):
                self._no_network = await self.engine.call(
                    lambda api: self.network.policy_problem(api, self._rules.policy)
                )

    def missing_packages(self, requirements: Sequence[str]) -> tuple[str, ...]:
        """Those lines of a requirements.txt that can never be satisfied here."""
        return self.packages.lacking(requirements, self._image) if self._image is not None else ()

    # --- runs -------------------------------------------------------------------------------

    def _new_run(self, order: RunOrder) -> Run:
        facts = self.engine.facts
        return Run(
            order,
            Shelter(
                engine=self.engine, containers=self._containers, images=self.images, packages=self.packages,
                network=self.network, policy=self._rules.policy, files=self._files,
                listeners=self._listeners, labels=self._labels, seccomp=seccomp_text(self._seccomp_file),
                log_driver=PODMAN_DRIVER if facts is not None and facts.podman else DRIVER,
                log_bytes=self._rules.log_bytes, pids=self._rules.pids, moved=self._moved,
            ),
        )  # fmt: skip

    def warm(self, order: RunOrder) -> None:
        """Have the container made while the archive is unpacked; it is removed when no run comes for it."""
        pair = (order.key, order.attempt)
        if self._closed or self._image is None or pair in self._warm or len(self._warm) >= WARM_AT_MOST:
            return
        run = self._new_run(order)
        cooling = asyncio.get_running_loop().call_later(WARM_LIMIT_S, self._discard, pair)
        self._warm[pair] = (run, self._nursery.start("warm", run.launch.prepare()), cooling)

    def _taken(self, pair: Pair) -> tuple[Run, asyncio.Task[Problem | None]] | None:
        if pair not in self._warm:
            return None
        run, making, cooling = self._warm.pop(pair)
        cooling.cancel()
        return run, making

    def _discard(self, pair: Pair) -> None:
        if (taken := self._taken(pair)) is not None:
            self._remove_soon(*taken)

    async def run(
        self,
        order: RunOrder,
        output: OutputSink,
        started: StartedSink,
        preparing: PreparingSink | None = None,
    ) -> Outcome:
        """One attempt to its end; see the contract in engine/ports.py."""
        pair = (order.key, order.attempt)
        if self._closed:
            problem = Problem(code=FaultCode.SANDBOX_FAILED, about="it has been closed")
            return Outcome(exit_code=None, problem=problem)
        if pair in self._warm and self._warm[pair][0].order != order:
            self._discard(pair)
        run, making = self._taken(pair) or (self._new_run(order), None)
        return await self._kept(pair, run, lambda: run.run(output, started, preparing, making))

    async def adopt(self, order: RunOrder, where: str, mark: bytes, output: OutputSink) -> Outcome | None:
        """Go on with a container of an earlier life."""
        if not where:
            return None
        run = self._new_run(order)
        return await self._kept((order.key, order.attempt), run, lambda: run.adopt(where, mark, output))

    async def _kept(self, pair: Pair, run: Run, go: Callable[[], Awaitable[Result]]) -> Result:
        """On the list of runs while it goes; its container stays until its end is written down."""
        self._runs[pair] = run
        self._idle.clear()
        try:
            return await go()
        finally:
            del self._runs[pair]
            if not self._runs:
                self._idle.set()
            if run.has_ended_by_itself:
                self._ended[pair] = run
            else:
                self._remove_soon(run)

    def forget(self, key: TaskKey, attempt: int) -> None:
        """The end of a run is written down: a later life need not learn of it from the container."""
        if run := self._ended.pop((key, attempt), None):
            self._remove_soon(run)

    def _remove_soon(self, run: Run, making: asyncio.Task[Problem | None] | None = None) -> None:
        """Its program is dead: the next step need not wait for the engine to tidy up."""
        removing = asyncio.ensure_future(self._remove(run, making))
        self._removing.add(removing)
        removing.add_done_callback(self._removing.discard)

    async def _remove(self, run: Run, making: asyncio.Task[Problem | None] | None) -> None:
        if making is not None:
            await asyncio.wait({making})
        if not await run.remove():
            self._left_over = True

    async def pause(self, key: TaskKey, attempt: int) -> None:
        """Freeze a run."""
        if run := self._runs.get((key, attempt)):
            await run.pause()

    async def resume(self, key: TaskKey, attempt: int) -> None:
        """Thaw a run."""
        if run := self._runs.get((key, attempt)):
            await run.resume()

    async def stop(self, key: TaskKey, attempt: int, grace_s: float = 10.0) -> None:
        """End a run, or what was prepared for it."""
        if run := self._runs.get((key, attempt)):
            run.stop(grace_s)
        else:
            self._discard((key, attempt))

    async def limit(self, key: TaskKey, attempt: int, cores: float) -> None:
        """Give a run another share of the processor, at once."""
        if run := self._runs.get((key, attempt)):
            await run.share(cores)

    def figures(self, key: TaskKey, attempt: int) -> RunFigures | None:
        """What a run uses. Whoever asks has it measured every second for a while."""
        run = self._runs.get((key, attempt))
        return run.gauge.figures() if run is not None else None

    def process(self, key: TaskKey, attempt: int) -> int | None:
        """The first process of a run's container; None where a virtual machine or another computer has it."""
        run = self._runs.get((key, attempt))
        return run.process if run is not None else None

    def used_cpu_s(self, key: TaskKey, attempt: int) -> float | None:
        """Processor seconds of a container, a second old where this computer runs it, else ten at most."""
        run = self._runs.get((key, attempt))
        return None if run is None else run.gauge.cpu_s or None

    def memory_bytes(self, key: TaskKey, attempt: int) -> int | None:
        """Memory of a container, ten seconds old at most."""
        run = self._runs.get((key, attempt))
        return None if run is None or run.gauge.last is None else run.gauge.last.memory_bytes

    # --- what is left behind ----------------------------------------------------------------

    async def reclaim(self, key: TaskKey, attempt: int, where: str) -> None:
        """Take away what an earlier life made for this pair."""
        del where
        with contextlib.suppress(EngineError):
            for found in await self._containers.ours():
                if (found.key, found.attempt) == (key, attempt):
                    await self._containers.remove(found.container)

    async def _sweep_when_due(self, *, came_back: bool) -> None:
        past_s = time.monotonic() - self._swept_at_s
        if came_back or (self._left_over and past_s > SWEEP_EVERY_S):
            self._swept_at_s, self._left_over = time.monotonic(), False
            self._nursery.start("sweep", self._sweep())

    async def _sweep(self) -> None:
        """Take away containers of this home that belong to no task that is open; never those of others."""
        await self.packages.tidy()
        await self.images.tidy()
        try:
            for found in await self._containers.ours():
                pair = (found.key, found.attempt)
                if any(pair in kept for kept in (self._runs, self._ended, self._warm)):
                    continue
                if self._is_open(*pair):  # an earlier life's, or the journal has not been read: look again
                    self._left_over = True
                    continue
                if not self._removing:
                    log.info("container %s was left behind and is removed", found.name)
                await self._containers.remove(found.container)
        except EngineError as error:
            log.warning("left containers could not be removed yet: %s", error)
            self._left_over = True

    async def close(self) -> None:
        """End every run at once, and take away what was made for tasks."""
        self._closed = True
        for run in tuple(self._runs.values()):
            run.stop(0.0)
        for pair in tuple(self._warm):
            self._discard(pair)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await self._idle.wait()
                for pair in tuple(self._ended):
                    self.forget(*pair)
                if self._removing:
                    await asyncio.wait(self._removing)
        await self._nursery.close()
        await self.images.close()
        self.packages.close()
        if self.network.is_used:
            with contextlib.suppress(EngineError):
                await self.engine.call(self.network.remove, CLOSE_LIMIT_S)
        await self.engine.close()
        for threads in (self._files, self._listeners):
            threads.close(wait=False)
