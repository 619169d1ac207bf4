"""What is looked at again and again: the computer, the sandbox, the disk; and what the pool is told of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from hivemind_worker.engine.janitor import Janitor
from hivemind_worker.engine.picture import announcement
from hivemind_worker.engine.surroundings import Surroundings
from hivemind_worker.machine.gpu import usable
from hivemind_worker.machine.installation import Installation
from hivemind_worker.model.events import ClockTicked, FactsChanged
from hivemind_worker.model.faults import FaultCode, sentence
from hivemind_worker.model.machine import Sample
from hivemind_worker.model.metrics import point_values
from hivemind_worker.model.snapshot import Mode
from hivemind_worker.model.task import Problem
from hivemind_worker.model.work import Announcement
from hivemind_worker.nursery import comes_within
from hivemind_worker.worker_node.capacity import Capacity
from hivemind_worker.worker_node.doors import Doors
from hivemind_worker.worker_node.parts import GIB, Parts

log = logging.getLogger(__name__)

EVERY_S = 5.0
FRESH_S = 0.9  # a sample this young is shown again: processor use needs a while to be measured
TIDY_EVERY_S = 3600.0
AGAIN_S, MOST_S = 30.0, 600.0
"""Before another try to make the built-in sandbox ready; doubled while it does not work."""


class Facts:
    """The latest look, in `around`."""

    def __init__(self, parts: Parts, doors: Doors) -> None:
        self._parts, self._doors = parts, doors
        self.capacity = Capacity(parts, lambda: self.around)
        self.around = Surroundings(
            runtime=parts.runtime,
            take_sample=self._take_sample,
            disk_needed_gb=lambda: parts.settings.keep_free_gb + parts.settings.task_disk_gb,
        )
        self.notes_figures = True  # until the worker stops
        self._sampled_s = 0.0
        self._sampling = asyncio.Lock()
        self._wake = asyncio.Event()
        self._said_ready = ""
        self.vpn_problem: Callable[[], Problem | None] = lambda: None
        self._installation, self._replaced = Installation(), False
        parts.sandbox_changed = self._wake.set

    def start(self) -> None:
        """Look and tidy until the worker's nursery closes."""
        self._parts.nursery.start("facts", self._keep_looking())
        self._parts.nursery.start("tidy", self._keep_tidy())
        self.capacity.start()

    def look_soon(self) -> None:
        """Something has changed: look now instead of in a while."""
        self._wake.set()

    async def sample(self) -> Sample:
        """Figures at most a second old."""
        async with self._sampling:  # many may ask at once: one look serves them all
            if time.monotonic() - self._sampled_s > FRESH_S:
                self.around.sample = await self._take_sample()
        return self.around.sample

    async def _take_sample(self) -> Sample:
        sample = await self._parts.probe.call(self._parts.sampler.take)
        self._sampled_s = time.monotonic()
        self._parts.gpu_celsius = sample.gpu_celsius
        self._note(sample)
        return sample

    def _note(self, sample: Sample) -> None:
        """Keep the figures for the history; the state is there once the engine is."""
        if not self._parts.has_engine:
            return
        shown = self._parts.engine.shown
        paused = shown.node.mode is Mode.PAUSED
        over = self._parts.history.add(time.time(), point_values(sample, len(shown.unended()), paused))
        if over is not None and self.notes_figures:
            self._parts.nursery.start("metrics", self._parts.history.write(over))

    async def _keep_looking(self) -> None:
        while True:
            await comes_within(self._wake, EVERY_S)  # a sandbox that comes or goes is looked at at once
            self._wake.clear()
            self._doors.tell_endpoint()
            await self.look_again()
            await self._parts.engine.tell(ClockTicked(at_s=time.time()))

    async def first_look(self) -> None:
        """Take figures before there is an engine."""
        await self._look()
        await self.capacity.open()

    async def _look(self) -> None:
        await self.around.look()
        await self._look_at_program()
        self._parts.cards = usable(self.around.sample.gpus) if self.around.sandbox.takes_gpus else ()

    async def look_again(self) -> None:
        """Take fresh figures and let the engine know."""
        await self._look()
        facts = FactsChanged(
            at_s=time.time(), total=self._parts.lent(), blocker=self._blocker(),
            max_tasks=self._parts.settings.max_concurrent_tasks,
        )  # fmt: skip
        await self._parts.engine.tell(facts)
        self._say_when_ready()

    def _blocker(self) -> Problem | None:
        replaced = Problem(code=FaultCode.PROGRAM_REPLACED) if self._replaced else None
        return replaced or self.around.blocker or self.vpn_problem()

    async def _look_at_program(self) -> None:
        """Once its files are others, they stay so: parts of two versions must not meet in a new task."""
        if not self._replaced and await self._parts.probe.call(self._installation.is_replaced):
            self._replaced = True
            log.warning("%s", sentence(FaultCode.PROGRAM_REPLACED, ""))

    def _say_when_ready(self) -> None:
        sandbox = self.around.sandbox
        if sandbox.ready and sandbox.name != self._said_ready:
            log.info("sandbox ready: %s", sandbox.detail)
        self._said_ready = sandbox.name if sandbox.ready else ""

    async def _keep_tidy(self) -> None:
        parts, settings = self._parts, self._parts.settings
        janitor = Janitor(
            folders=parts.folders, workspaces=parts.workspaces, files=parts.files, find=parts.journal.find,
            is_open=lambda key: key in parts.engine.state.tasks, clock=time.time,
            keep_s=settings.result_keep_days * 86400,
            quota_bytes=int(settings.result_quota_gb * GIB),
        )  # fmt: skip
        while True:
            await janitor.tidy()
            await asyncio.sleep(TIDY_EVERY_S)

    async def keep_sandbox_ready(self) -> None:
        """Have the sandbox made ready, which can take a minute the first time; where that does not work,
        again and again: what was missing may have been put right meanwhile.
        """
        rest_s, said = AGAIN_S, None
        while True:
            wanted = self._parts.settings.runtime != "docker"
            lacking = await self._parts.wasm.prepare(_tell_progress()) if wanted else None
            await self.look_again()
            problem = self.around.sandbox.problem
            if problem is not None and problem != said:
                log.error("%s", sentence(problem.code, problem.about))
            said = problem
            await asyncio.sleep(rest_s)
            rest_s = min(2 * rest_s, MOST_S) if lacking is not None else AGAIN_S

    def announcement(self) -> Announcement | None:
        """What the pool is told of this worker now."""
        hostname, port = self._doors.announced
        return announcement(
            self._parts.engine.shown, sample=self.around.sample, hostname=hostname, port=port,
            region=self._parts.settings.region, docker=self.around.sandbox.name == "docker",
            offer=self.capacity.offer, gpu_name=self._parts.cards[0].name if self._parts.cards else "",
        )  # fmt: skip


def _tell_progress() -> Callable[[float, str], None]:
    """Logs each tenth of a slow preparation: it takes seconds, with the larger pack a minute."""
    told: set[tuple[str, int]] = set()

    def tell(share: float, text: str) -> None:
        step = (text, int(share * 10))
        if step not in told and share < 1:
            told.add(step)
            log.info("sandbox: %s, %d %%", text, step[1] * 10)

    return tell
