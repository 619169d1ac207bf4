"""Notices: which changes are worth one, each cause once, by class, not in quiet hours."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.sending import Sending, SendStep
from hivemind_worker.model.settings import Settings
from hivemind_worker.model.snapshot import FailureRun, LinkState, Snapshot
from hivemind_worker.model.task import Problem, Task, TaskState
from hivemind_worker.presentation.notices import AGAIN_S, Class, Notices, is_quiet
from hivemind_worker.presentation.page_words import trust
from tests.fakes.node import NOW_S, make_snapshot, make_task

ALL = replace(Settings(), notify_earned=True)
FULL = Problem(code=FaultCode.DISK_FULL, about="0.1 GiB free")


def said(notices: Notices, picture: Snapshot, ended: list[Task] | None = None, *sendings: Sending,
         settings: Settings = ALL) -> list[str]:  # fmt: skip
    return [notice.title for notice in notices.look(picture, ended or [], sendings, settings)]


def away(for_s: float, at_s: float = NOW_S) -> Snapshot:
    picture = make_snapshot(link=LinkState.UNREACHABLE, at_s=at_s)
    return replace(picture, pool=replace(picture.pool, since_s=at_s - for_s))


def failed(number: int) -> Task:
    return make_task(
        f"task {number}", TaskState.FAILED, problem=Problem(code=FaultCode.OUT_OF_MEMORY, about="1 GiB")
    )


def sending(step: SendStep) -> Sending:
    return Sending(task_id="task_1", name="coast-tiles", path="/x", pool="p:1", step=step, reached=(),
                   result="/r" if step is SendStep.COMPLETED else "")  # fmt: skip


def test_a_calm_worker_says_nothing() -> None:
    notices = Notices()
    assert said(notices, make_snapshot(make_task())) == []
    assert said(notices, make_snapshot(), [make_task("x", TaskState.COMPLETED)]) == []


def test_a_pool_that_is_away_is_told_after_five_minutes_and_once() -> None:
    notices = Notices()
    assert said(notices, away(60)) == []
    assert said(notices, away(300)) == ["Cannot reach 10.0.0.1:50051"]
    assert said(notices, away(900)) == []


def test_the_same_cause_is_not_told_again_within_the_hour_and_is_after_it() -> None:
    notices = Notices()
    said(notices, away(300))
    said(notices, make_snapshot())
    assert said(notices, away(300, NOW_S + 600)) == [], "a line that comes and goes does not nag"
    said(notices, make_snapshot())
    assert len(said(notices, away(300, NOW_S + AGAIN_S))) == 1


def test_what_keeps_work_away_is_told_with_its_next_step_but_preparing_is_not() -> None:
    preparing = Problem(code=FaultCode.SANDBOX_PREPARING, about="20 %")
    assert said(Notices(), make_snapshot(blocker=preparing)) == []
    (notice,) = Notices().look(make_snapshot(blocker=FULL), [], [], ALL)
    assert (notice.kind, notice.place) == (Class.COMPUTER, "doctor")
    assert notice.title == "The disk is too full: 0.1 GiB free."
    assert notice.body.startswith("Free some space")


def test_three_failures_in_a_row_are_told_and_a_fourth_is_the_same_cause() -> None:
    notices = Notices()
    two = [failed(2), failed(1)]
    assert said(notices, make_snapshot(), two) == []
    assert said(notices, make_snapshot(), [failed(3), *two]) == ["3 tasks failed in a row"]
    assert said(notices, make_snapshot(), [failed(4), failed(3), *two]) == []
    fine = make_task("fine", TaskState.COMPLETED)
    assert said(notices, make_snapshot(), [fine, failed(4)]) == []


def test_work_that_failures_have_put_on_hold_is_told_in_place_of_them() -> None:
    notices, failures = Notices(), [failed(3), failed(2), failed(1)]
    run = FailureRun(
        image="python:3.12", count=3, last_code="out_of_memory", since_s=NOW_S, until_s=NOW_S + 300
    )
    picture = make_snapshot()
    held = replace(picture, node=replace(picture.node, failures=(run,)))
    [notice] = notices.look(held, failures, (), ALL)
    assert notice.title == "New work is on hold"
    assert "3 tasks in a row have failed in python:3.12" in notice.body
    assert said(notices, held, failures) == []


def test_trust_that_comes_below_the_owners_mark_is_told_once_and_never_to_a_newcomer() -> None:
    def at(score: int) -> Snapshot:
        picture = make_snapshot()
        return replace(picture, trust_threshold=60, node=replace(picture.node, trust_score=score))

    notices = Notices()
    assert [said(notices, at(score)) for score in (0, 2, 62, 60)] == [[]] * 4
    assert said(notices, at(55)) == ["Trust is below your mark"]
    assert said(notices, at(50)) == []
    assert trust(at(55)).against_mark == "below your mark of 60"
    assert trust(at(60)).against_mark == "your mark is 60"


def test_the_end_of_a_sent_task_is_told_but_not_what_had_ended_before() -> None:
    notices = Notices()
    assert said(Notices(), make_snapshot(), None, sending(SendStep.COMPLETED)) == [], "of an earlier run"
    said(notices, make_snapshot(), None, sending(SendStep.RUNNING))
    assert said(notices, make_snapshot(), None, sending(SendStep.COMPLETED)) == ["coast-tiles is done"]
    assert said(notices, make_snapshot(), None, sending(SendStep.COMPLETED)) == []


def test_each_hundred_credits_are_told_where_the_owner_wants_it() -> None:
    def with_balance(amount: int, user: str = "ann") -> Snapshot:
        picture = make_snapshot()
        return replace(picture, pool=replace(picture.pool, balance=amount, user=user))

    notices = Notices()
    assert said(notices, with_balance(250)) == []
    assert said(notices, with_balance(299)) == []
    assert said(notices, with_balance(301)) == ["300 CPT reached"]
    assert said(notices, with_balance(1000, "bob")) == [], "another account has not earned that"
    assert said(notices, with_balance(1101, "bob"), settings=Settings()) == [], "off by default"


@pytest.mark.parametrize("kind", list(Class))
def test_each_class_can_be_switched_off(kind: Class) -> None:
    settings = replace(ALL, **{f"notify_{kind.value}": False})
    notices = Notices()
    notices.look(make_snapshot(), [], [], settings)
    picture = replace(away(400), blocker=FULL, pool=replace(away(400).pool, balance=10_000))
    kinds = {
        n.kind
        for n in notices.look(picture, [failed(n) for n in range(3)], [sending(SendStep.FAILED)], settings)
    }
    assert kinds == set(Class) - {kind}


def test_muted_nothing_is_said_and_it_is_not_made_up_for() -> None:
    notices = Notices()
    notices.mute(NOW_S + 3600)
    assert said(notices, away(300)) == []
    assert said(notices, away(4000, NOW_S + 3700)) == []
    said(notices, make_snapshot())
    assert len(said(notices, away(400, NOW_S + 5000))) == 1, "a new occasion is"


@pytest.mark.parametrize(
    ("hours", "clock", "quiet"),
    [
        ("22:00-07:00", (23, 30), True), ("22:00-07:00", (6, 59), True), ("22:00-07:00", (7, 0), False),
        ("22:00-07:00", (12, 0), False), ("12:00-13:30", (13, 0), True), ("12:00-13:30", (13, 30), False),
        ("", (3, 0), False), ("08:00-08:00", (8, 0), False),
    ],
)  # fmt: skip
def test_quiet_hours_may_cross_midnight(hours: str, clock: tuple[int, int], quiet: bool) -> None:
    moment = datetime(2026, 11, 24, *clock).astimezone().timestamp()
    assert is_quiet(hours, moment) is quiet
    picture = replace(away(400, moment))
    assert bool(said(Notices(), picture, settings=replace(ALL, quiet_hours=hours))) is not quiet
