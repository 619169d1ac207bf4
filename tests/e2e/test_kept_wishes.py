"""Wishes of the owner outlive the worker, and his mark of trust is a mark: whole workers, one home."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from hivemind_worker.model.events import FinishAsked, PauseAsked
from tests.e2e.test_guest import offer, until
from tests.e2e.test_verdicts_cleared import gone, life, quick, tells, told

pytestmark = [pytest.mark.release]
__all__ = ["quick"]  # the fixture of those workers
HOUR_S = 3600.0


async def test_a_snooze_outlives_the_worker_with_the_same_end(tmp_path: Path) -> None:
    until_s = time.time() + HOUR_S
    async with life(tmp_path) as node:
        await node.ask(PauseAsked(at_s=time.time(), until_s=until_s))
        assert (await tells(node, "snoozed")).ends_at_s == until_s
    async with life(tmp_path) as node:
        assert (await tells(node, "snoozed")).ends_at_s == until_s
        assert next(iter(told(node))) == "snoozed", "it is the first cause"


async def test_a_worker_that_has_finished_stays_paused_after_its_restart(tmp_path: Path) -> None:
    async with life(tmp_path) as node:
        await node.ask(FinishAsked(at_s=time.time()))
        await tells(node, "paused")
    async with life(tmp_path) as node:
        await tells(node, "paused")


async def test_a_score_below_the_owners_mark_refuses_no_work(tmp_path: Path) -> None:
    async with life(tmp_path, trust_threshold=100) as node:
        await until(lambda: node.snapshot().runtime.ready)
        assert node.snapshot().node.trust_score < node.snapshot().trust_threshold
        await offer(node, 0, "print('done')\n")  # accepted, or it fails
        await until(lambda: node.snapshot().node.trust_score == 2)
        await gone(node, "working")
