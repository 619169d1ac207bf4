"""The failure guard: three in a row, longer each time, ended by success, time, or the owner."""

from __future__ import annotations

import json
from dataclasses import replace

from hivemind_worker.core.guard import HOLDS_S, after_end
from hivemind_worker.model import events
from hivemind_worker.model.effects import Refused
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.snapshot import FailureRun
from hivemind_worker.model.task import Outcome, Problem, Task, TaskState
from hivemind_worker.store.codec import decode_node, encode
from tests.core.test_giving_way import NOON_S, Life, running

FAILED = Outcome(exit_code=3, problem=Problem(code=FaultCode.EXIT_CODE, about="3"))
DONE = Outcome(exit_code=0, problem=None)


def end(life: Life, number: int, outcome: Outcome = FAILED) -> None:
    task = replace(running(number), runtime="wasm")
    life.state = life.state.with_task(task)
    life.tell(events.RunEnded(at_s=life.at_s, key=task.key, attempt=1, outcome=outcome))


def test_three_failures_in_a_row_hold_new_work_back_for_five_minutes_then_fifteen_then_an_hour() -> None:
    life = Life()
    for number in range(2):
        end(life, number)
    assert not isinstance(life.offer(), Refused)
    end(life, 2)
    number = 3
    for hold_s in (*HOLDS_S, HOLDS_S[-1]):
        refused = life.offer()
        assert isinstance(refused, Refused)
        assert refused.problem.code is FaultCode.NOT_ACCEPTING
        life.at_s += hold_s - 1
        life.tell(events.ClockTicked(at_s=life.at_s))
        assert isinstance(life.offer(), Refused)
        life.at_s += 1
        life.tell(events.ClockTicked(at_s=life.at_s))
        assert not isinstance(life.offer(), Refused)
        end(life, number)  # the trial fails as well
        number += 1


def test_one_success_between_forgets_the_failures() -> None:
    life = Life()
    for number, outcome in enumerate((FAILED, FAILED, DONE, FAILED, FAILED)):
        end(life, number, outcome)
    assert not isinstance(life.offer(), Refused)


def test_the_owner_may_try_at_once_and_a_restart_forgets_no_hold() -> None:
    life = Life()
    for number in range(3):
        end(life, number)
    assert decode_node(encode(life.state.node)) == life.state.node
    life.tell(events.RetryAsked(at_s=life.at_s))
    assert not isinstance(life.offer(), Refused)
    end(life, 3)
    assert life.state.node.failures[-1].until_s == life.at_s + HOLDS_S[1]


def test_what_is_not_the_images_fault_does_not_count() -> None:
    runs: tuple[FailureRun, ...] = ()
    cut = Problem(code=FaultCode.INTERRUPTED, about="x")
    tasks: list[Task] = [
        replace(running(1), runtime="", state=TaskState.FAILED),
        replace(running(2), runtime="wasm", state=TaskState.STOPPED),
        replace(running(3), runtime="wasm", state=TaskState.FAILED, problem=cut),
    ]
    for task in tasks * 3:
        runs = after_end(runs, task, NOON_S)
    assert runs == ()


def test_one_image_that_fails_does_not_count_for_another() -> None:
    runs: tuple[FailureRun, ...] = ()
    for image in ("a", "b", "a", "b"):
        runs = after_end(runs, replace(running(1), image=image, state=TaskState.FAILED), NOON_S)
    assert [(run.image, run.count, run.until_s) for run in runs] == [("a", 2, None), ("b", 2, None)]


def test_a_hold_remembers_why_the_last_one_failed_and_a_row_of_an_earlier_version_is_read() -> None:
    life = Life()
    for number in range(3):
        end(life, number, replace(FAILED, problem=Problem(code=FaultCode.OUT_OF_MEMORY, about="1 GiB" * 99)))
    [run] = life.state.node.failures
    assert (run.last_code, run.last_about[:5], len(run.last_about)) == ("out_of_memory", "1 GiB", 200)
    assert decode_node(encode(life.state.node)) == life.state.node
    row = json.loads(encode(life.state.node))
    del row["failures"][0]["last_about"]
    row.pop("crc")
    assert decode_node(json.dumps(row)).failures[0].last_about == ""
