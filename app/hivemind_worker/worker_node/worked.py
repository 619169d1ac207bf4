"""Keeps the history by day, pool and image: notes the energy of running tasks, counts ended ones.

What a crash takes of the energy is what was noted since the last save; the end of a task makes that good,
as its processor seconds beyond those noted are priced then.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import date

from hivemind_worker.machine.energy import EnergyMeter
from hivemind_worker.model.days import begin_s, day_of
from hivemind_worker.model.metrics import Place as JournalPlace
from hivemind_worker.model.task import Task
from hivemind_worker.model.worked import EnergySource, Place, Rate, RunId, WorkHistory, place_of
from hivemind_worker.worker_node.parts import Parts

log = logging.getLogger(__name__)

LOOK_S = 5.0
SAVE_S = 60.0
WHOLE_S = 3600.0
"""Between looks at all that ended lately, should a clock have been set back meanwhile."""
OVERLAP_S = 2 * 86400.0
PAGE = 200


class WorkWatch:
    """One for a worker; `start` it when the engine runs. `clock` is the time of day."""

    def __init__(
        self, parts: Parts, meter: EnergyMeter | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._parts, self._clock = parts, clock
        self._meter = meter or EnergyMeter(lambda: parts.settings.full_load_w)
        self._joules = _nothing()
        self._noted: dict[RunId, float] = {}
        self._rate = self._meter.estimate()
        self._began_s = clock()
        self._open: frozenset[RunId] = frozenset()
        self._saved_s = self._whole_from_s = float("-inf")
        self._lock = asyncio.Lock()
        self._is_closed = False

    def start(self) -> None:
        """Look until the worker's nursery closes."""
        self._parts.nursery.start("work", self._keep_looking())

    async def begin(self) -> None:
        """Go on with tasks that have outlived an earlier life where that one noted them."""
        self._noted = await self._parts.work.noted()

    async def _keep_looking(self) -> None:
        await self.begin()
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Note what running tasks have used since, save it when it is time, count those that have ended."""
        rate, passed_s = await self._parts.probe.call(self._meter.look)
        async with self._lock:  # what is noted between a save and a count would be priced twice
            if self._is_closed:
                return
            self._rate = rate
            running = {(task.key, task.attempt): task for task in self._parts.engine.state.unended()}
            for run, task in running.items():
                self._note(run, task)
            self._note_cards(list(running.values()), passed_s)
            await self._keep(bool(self._open - running.keys()))
            self._open = frozenset(running)

    async def _keep(self, some_ended: bool) -> None:
        now_s = time.monotonic()
        if some_ended or now_s >= self._whole_from_s:
            await self._count()
        elif now_s - self._saved_s >= SAVE_S:
            await self._save()

    def _note(self, run: RunId, task: Task) -> None:
        used_s = self._parts.runtime.used_cpu_s(*run)
        if used_s is None or task.started_at_s is None:  # its image is not known yet
            return
        gained_s = used_s - self._noted.get(run, 0.0)
        if gained_s > 0:
            self._noted[run] = used_s
            self._joules[place_of(task, self._today()), self._rate.source] += gained_s * self._rate.joules

    def _note_cards(self, running: list[Task], passed_s: float) -> None:
        """Cards work for the tasks that were given a share of them."""
        joules = self._meter.cards_j(self._parts.cards, passed_s)
        users = [task for task in running if task.demand.gpu > 0 and task.started_at_s is not None]
        whole = sum(task.demand.gpu for task in users)
        for task in users:
            place = place_of(task, self._today())
            self._joules[place, EnergySource.NVML] += joules * task.demand.gpu / whole

    def _today(self) -> date:
        return day_of(self._clock())

    # --- keeping ------------------------------------------------------------------------------

    async def _save(self) -> bool:
        """Write what has gathered; what the disk does not take now is written the next time."""
        joules, self._joules = self._joules, _nothing()
        self._saved_s = time.monotonic()
        if await self._parts.work.note(joules, dict(self._noted)):
            return True
        for place, amount in joules.items():
            self._joules[place] += amount
        return False

    async def _count(self) -> None:
        """Add the tasks that have ended since; all of the last days when that was not done for an hour."""
        whole, began_s = time.monotonic() >= self._whole_from_s, self._clock()
        try:
            floor_s = await self._parts.work.floor_s(began_s, OVERLAP_S)
            done = await self._save() and await self._count_down_to(floor_s, whole)
        except OSError as error:
            log.warning("the history by day waits for the journal: %s", error.strerror or error)
            done = False
        if not done:
            self._whole_from_s = time.monotonic() + SAVE_S
        elif whole:
            await self._parts.work.passed(began_s)
            self._whole_from_s = time.monotonic() + WHOLE_S

    async def _count_down_to(self, floor_s: float, whole: bool) -> bool:
        """Newest first; unless it must be whole, until a page holds nothing new."""
        before: JournalPlace | None = None
        while True:
            page = await self._parts.journal.ended_page(PAGE, before)
            counted = await self._parts.work.count(page.tasks, self._priced)
            if counted.failed:
                return False
            for task in page.tasks:
                self._noted.pop((task.key, task.attempt), None)
            before = page.following
            if before is None or before.ended_at_s < floor_s or not (counted.fresh or whole):
                return True

    def _priced(self, task: Task) -> Rate:
        """Of this life as it was measured, of earlier ones by the estimate."""
        return self._rate if (task.ended_at_s or 0.0) >= self._began_s else self._meter.estimate()

    # --- the face -----------------------------------------------------------------------------

    async def history(self, first: date, last: date) -> WorkHistory:
        """What is known of these days, tasks that have just ended included."""
        async with self._lock:
            await self._count()
        parts = self._parts
        return WorkHistory(
            today=self._today(), work=await parts.work.read(first, last), metering=self._meter.metering,
            balances=await parts.balances.read_all(begin_s(first)), full_load_w=parts.settings.full_load_w,
            price_per_kwh=parts.settings.power_price, currency=parts.settings.currency,
        )  # fmt: skip

    async def close(self) -> None:
        """Save, count what ended at the last, close the book."""
        async with self._lock:
            self._is_closed = True
            if self._parts.has_journal:
                await self._count()
            await self._parts.work.close()


def _nothing() -> defaultdict[tuple[Place, EnergySource], float]:
    return defaultdict(float)
