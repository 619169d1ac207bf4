"""The drills are tried themselves: known faults must be found, crash points must be shut."""

from __future__ import annotations

import functools
import sys

import pytest

from hivemind_worker.engine.crash_points import STEPS, crash_step, watched_journal, watched_link
from tests.drills.findings import Sheet
from tests.drills.kills import kills
from tests.drills.plan import play
from tests.drills.pool_faults import f5
from tests.fakes.link import FakeLink

ARMED = {"HIVEMIND_TEST_BUILD": "1", "HIVEMIND_CRASH_AT": "packed"}


@pytest.mark.release
async def test_a_worker_that_acts_before_it_writes_is_found_out_by_the_kills() -> None:
    drill = functools.partial(kills, count=6, tasks=6, last_s=5, changes="hurry,effects-first")
    sheet = await play("kills", drill, 1)
    assert any(
        "I1" in text and "neither the pool nor the journal knows it" in text for text in sheet.findings
    )


@pytest.mark.release
async def test_a_worker_that_sends_a_result_only_once_is_found_out_when_the_pool_was_away() -> None:
    drill = functools.partial(f5, tries=1, down_s=1, back_s=8, changes="hurry,impatient,no-retry")
    sheet = await play("F5", drill, 1)
    assert any("I1" in text and "not delivered 8 s after" in text for text in sheet.findings)


async def test_a_drill_that_breaks_off_counts_as_a_finding() -> None:
    async def broken(sheet: Sheet, seed: int) -> None:
        raise TimeoutError(f"seed {seed}")

    assert "did not come to its end: TimeoutError seed 3" in (await play("X", broken, 3)).findings[0]


def test_crash_points_need_a_test_build_and_never_work_in_a_frozen_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert crash_step(ARMED) == "packed"
    assert crash_step({"HIVEMIND_CRASH_AT": "packed"}) == ""
    assert crash_step({"HIVEMIND_TEST_BUILD": "1"}) == ""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert crash_step(ARMED) == ""


def test_what_is_not_armed_is_not_wrapped() -> None:
    link, journal = FakeLink(), object()
    for step in ("", "no such step"):
        assert watched_link(link, step) is link
        assert watched_journal(journal, step) is journal  # type: ignore[arg-type]
    assert all(watched_journal(journal, step) is not journal for step in STEPS)  # type: ignore[arg-type]
