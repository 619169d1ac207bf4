"""What the pool is offered of this computer: its score, measured once at a quiet moment, and how it was used.

Counterpart: core.offer, which decides; the ledger's total stays what the owner lends.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

from hivemind_worker.engine.offering import HOURS, offering
from hivemind_worker.engine.surroundings import Surroundings
from hivemind_worker.machine.capacity import fingerprint
from hivemind_worker.model.capacity import KeptScore, Offer
from hivemind_worker.model.metrics import Point, Step
from hivemind_worker.nursery.children import Child, own_program
from hivemind_worker.store.score_file import load_score, save_score
from hivemind_worker.worker_node.parts import Parts

log = logging.getLogger(__name__)

FIRST_S = 120.0
"""After the start: a session that begins is not quiet, and a short run of the worker needs no score."""
LOOK_S = 20.0
QUIET_LOOKS = 3
QUIET_PERCENT = 20.0
SPREAD_MOST_PERCENT = 5.0
MEASURE_LIMIT_S = 60.0
HISTORY_EVERY_S = 600.0

Measure = Callable[[], Awaitable[tuple[float, float] | None]]


class Capacity:
    """`offer` is cheap and always there; `start` has it grow wiser."""

    def __init__(
        self, parts: Parts, around: Callable[[], Surroundings], measure: Measure | None = None, *,
        first_s: float = FIRST_S, look_s: float = LOOK_S,
    ) -> None:  # fmt: skip
        self._parts = parts
        self._around = around
        self._measure = measure or self._measured_by_a_child
        self._first_s, self._look_s = first_s, look_s
        self._score: KeptScore | None = None
        self._hours: tuple[Point, ...] = ()

    @property
    def offer(self) -> Offer:
        """What the pool is offered now, and why."""
        score = self._score.one_core if self._score is not None else None
        around = self._around()
        return replace(
            offering(self._parts.lent(), score, self._hours),
            cards=around.sample.gpus, sandbox=around.sandbox.name,
        )  # fmt: skip

    async def open(self) -> None:
        """Take up the kept score before the pool first hears of this computer."""
        parts = self._parts
        mark = await parts.probe.call(fingerprint)
        self._score = await parts.files.call(load_score, parts.places.score_file, mark)
        await self._read_history()

    def start(self) -> None:
        """Measure, when that was not done yet, and follow the use until the worker's nursery closes."""
        self._parts.nursery.start("score", self._measure_once())
        self._parts.nursery.start("use of the past", self._keep_history())

    async def _keep_history(self) -> None:
        while True:
            await asyncio.sleep(HISTORY_EVERY_S)
            await self._read_history()

    async def _read_history(self) -> None:
        since_s = time.time() - (HOURS + 1) * Step.HOUR
        self._hours = await self._parts.history.read(Step.HOUR, since_s, HOURS)

    # --- the score ----------------------------------------------------------------------------

    async def _measure_once(self) -> None:
        if self._score is not None:
            return
        await asyncio.sleep(self._first_s)
        while self._score is None:
            await self._wait_for_quiet()
            found = await self._measure()
            if found is not None and found[1] <= SPREAD_MOST_PERCENT:
                await self._keep(*found)
            else:
                log.debug("the score is not measured yet: %s", found)

    async def _wait_for_quiet(self) -> None:
        """No task, hardly any use, for a while: then nobody is disturbed, and nothing disturbs."""
        looks = 0
        while looks < QUIET_LOOKS:
            await asyncio.sleep(self._look_s)
            looks = looks + 1 if self._is_quiet() else 0

    def _is_quiet(self) -> bool:
        state = self._parts.engine.state
        return (
            not state.unended()
            and not state.judgement.freezes
            and self._around().sample.cpu_percent < QUIET_PERCENT
        )

    async def _keep(self, one_core: float, spread_percent: float) -> None:
        parts = self._parts
        mark = await parts.probe.call(fingerprint)
        self._score = KeptScore(
            one_core=one_core, spread_percent=spread_percent, at_s=time.time(), fingerprint=mark
        )
        log.info("a core of this computer scores %.0f, where 100 is the reference", one_core)
        try:
            await parts.files.call(save_score, parts.places.score_file, self._score)
        except OSError as error:
            log.warning("the score could not be kept: %s", error.strerror or error)

    async def _measured_by_a_child(self) -> tuple[float, float] | None:
        """By `benchmark`, as the owner would: in this process it would hold up everything else."""
        program, places = own_program("benchmark"), self._parts.places
        home = {"HIVEMIND_HOME": str(places.config.parent)} if places.portable else {}
        try:
            child = await Child.spawn("score", (*program.argv, "--json"), env={**dict(program.env), **home})
        except OSError as error:
            log.warning("the score could not be measured: %s", error.strerror or error)
            return None
        async with child:
            try:
                async with asyncio.timeout(MEASURE_LIMIT_S):
                    text = b"".join([piece async for piece in _pieces(child)])  # it says a kilobyte
            except TimeoutError:
                return None
        return score_in(text)


async def _pieces(child: Child) -> AsyncIterator[bytes]:
    while piece := await child.read():
        yield piece


def score_in(text: bytes) -> tuple[float, float] | None:
    """The score of a core and its spread in percent, as `benchmark --json` tells them."""
    try:
        found = json.loads(text)
        return float(found["one_core"]), float(found["spread_percent"])
    except (ValueError, KeyError, TypeError):
        return None
