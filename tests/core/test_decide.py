"""The engine's decisions, one sentence each; `walk` checks the invariants after every step."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hivemind_worker.core.decide import decide
from hivemind_worker.core.draft import Decision
from hivemind_worker.core.invariants import broken
from hivemind_worker.core.ledger import available
from hivemind_worker.core.policy import wants_announcement
from hivemind_worker.core.state import State
from hivemind_worker.core.transitions import TABLE
from hivemind_worker.model import effects, events
from hivemind_worker.model.effects import Accepted, Refused
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.resources import Resources, normal_demand
from hivemind_worker.model.snapshot import Mode, NodeState
from hivemind_worker.model.task import (
    Delivery,
    Offer,
    Outcome,
    Phase,
    Problem,
    StopReason,
    Task,
    TaskId,
    TaskState,
    key_of,
)  # fmt: skip

TOTAL = Resources(cpu=400, memory_gb=8)
ONE_CORE = Resources(cpu=100, memory_gb=1)


class Walk:
    """A state that is moved by events; invariants are looked at after each."""

    def __init__(self, **changes: object) -> None:
        self.state = replace(State(total=TOTAL, max_tasks=3), **changes)  # type: ignore[arg-type]
        self.at_s = 1000.0
        self.last = Decision(state=self.state)

    def see(self, event: events.AnyEvent) -> Decision:
        self.last = decide(self.state, event)
        self.state = self.last.state
        assert broken(self.state) == ()
        return self.last

    def offer(
        self, task_id: str = "a", body: str = "body", demand: Resources = ONE_CORE, **more: object
    ) -> Decision:
        offer = Offer(task_id=TaskId(task_id), body_sha256=body, archive_bytes=10, demand=demand)
        return self.see(events.TaskOffered(at_s=self.at_s, offer=offer, spool=f"{task_id}.zip", **more))  # type: ignore[arg-type]

    def about(self, kind: type, task_id: str = "a", attempt: int = 1, **more: object) -> Decision:
        return self.see(kind(at_s=self.at_s, key=key_of(TaskId(task_id)), attempt=attempt, **more))

    def task(self, task_id: str = "a") -> Task:
        return self.state.tasks[key_of(TaskId(task_id))]

    def run(self, task_id: str = "a") -> None:
        self.offer(task_id)
        self.about(events.Unpacked, task_id)
        self.about(events.RunStarted, task_id, runtime="wasm", where="1")

    def end(self, task_id: str = "a", exit_code: int | None = 0, problem: Problem | None = None) -> Decision:
        return self.about(events.RunEnded, task_id, outcome=Outcome(exit_code=exit_code, problem=problem))

    def complete(self, task_id: str = "a") -> Task:
        self.run(task_id)
        self.end(task_id)
        self.about(events.ResultPacked, task_id, result_bytes=5)
        self.about(events.ResultDelivered, task_id)
        return self.last.changed[0]


def kinds(decision: Decision) -> list[str]:
    return [type(effect).__name__ for effect in decision.effects]


def refusal(decision: Decision) -> FaultCode:
    assert isinstance(decision.reply, Refused)
    return decision.reply.problem.code


def test_a_task_goes_from_offer_to_delivery() -> None:
    walk = Walk()
    assert kinds(walk.offer()) == ["Unpack"]
    assert walk.last.reply == Accepted(fresh=True)
    assert walk.task().state is TaskState.ALLOCATED
    assert walk.task().phase is Phase.UNPACKING
    assert kinds(walk.about(events.Unpacked)) == ["StartRun"]
    walk.about(events.RunStarted, runtime="wasm", where="77")
    assert walk.task().state is TaskState.RUNNING
    assert kinds(walk.end()) == ["PackResult"]
    assert walk.task().state is TaskState.COMPLETED
    assert walk.state.node.trust_score == 2
    assert kinds(walk.about(events.ResultPacked, result_bytes=5)) == ["UploadResult"]
    assert walk.task().delivery is Delivery.OWED
    assert kinds(walk.about(events.ResultDelivered)) == ["RemoveWorkspace"]
    assert walk.state.tasks == {}
    assert walk.last.changed[0].delivery is Delivery.DELIVERED


def test_resources_are_taken_at_the_offer_and_back_at_the_end() -> None:
    walk = Walk()
    walk.run()
    assert available(walk.state) == Resources(cpu=300, memory_gb=7)
    walk.end()
    assert available(walk.state) == TOTAL


def test_every_state_and_task_event_has_a_cell() -> None:
    task_events = {
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and issubclass(kind, events.TaskEvent)
    }
    assert set(TABLE) == (task_events - {events.TaskEvent}) | {events.StopAsked, events.TaskPauseAsked}
    assert all(set(row) == set(TaskState) for row in TABLE.values())


@pytest.mark.parametrize("count", [2, 8])
def test_the_same_offer_again_starts_nothing(count: int) -> None:
    walk = Walk()
    walk.run()
    for _ in range(count):
        assert walk.offer().reply == Accepted(fresh=False)
        assert kinds(walk.last) == ["ForgetSpool"]


def test_a_known_id_with_other_contents_is_refused() -> None:
    walk = Walk()
    walk.run()
    assert refusal(walk.offer(body="other")) is FaultCode.ID_TAKEN


def test_an_ended_id_may_be_used_again_after_seven_days_only() -> None:
    walk = Walk()
    ended = walk.complete()
    assert refusal(walk.offer(body="other", known=ended, result_kept=True)) is FaultCode.ID_TAKEN
    walk.at_s += 8 * 86400
    assert walk.offer(body="other", known=ended).reply == Accepted(fresh=True)
    assert walk.task().attempt == 2


def test_a_delivered_result_is_sent_again_when_the_pool_offers_its_task_again() -> None:
    walk = Walk()
    ended = walk.complete()
    assert walk.offer(known=ended, result_kept=True).reply == Accepted(fresh=False)
    assert kinds(walk.last) == ["ForgetSpool", "UploadResult"]
    walk.offer(known=ended, result_kept=True)
    assert kinds(walk.last) == ["ForgetSpool"]  # it is owed already
    walk.about(events.ResultDelivered)
    assert walk.state.tasks == {}


def test_a_full_house_refuses_with_words() -> None:
    walk = Walk(max_tasks=1)
    walk.run()
    assert refusal(walk.offer("b")) is FaultCode.NO_SLOT
    walk.end()
    assert walk.offer("b").reply == Accepted(fresh=True)


@pytest.mark.parametrize(
    ("demand", "code"),
    [
        (Resources(cpu=401, memory_gb=1), FaultCode.IMPOSSIBLE_DEMAND),
        (Resources(cpu=100, memory_gb=9), FaultCode.IMPOSSIBLE_DEMAND),
        (Resources(cpu=100, memory_gb=1, gpu=1), FaultCode.IMPOSSIBLE_DEMAND),
        (Resources(cpu=400, memory_gb=1), FaultCode.NO_ROOM),
    ],
)
def test_a_demand_that_does_not_fit_is_refused_and_the_books_are_right_after(
    demand: Resources, code: FaultCode
) -> None:
    walk = Walk()
    walk.run()
    assert refusal(walk.offer("b", demand=demand)) is code
    assert available(walk.state) == Resources(cpu=300, memory_gb=7)
    assert walk.offer("c").reply == Accepted(fresh=True)


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_amounts_that_make_no_sense_cannot_be_made(bad: float) -> None:
    with pytest.raises(ValueError, match="cpu"):
        normal_demand(bad, 1, 0, 0)


def test_a_demand_of_zero_means_one_core_and_one_gibibyte() -> None:
    assert normal_demand(0, 0, 0, 0) == Resources(cpu=100, memory_gb=1)
    assert normal_demand(10, 0.1, 0, 0) == Resources(cpu=10, memory_gb=0.5)


def test_the_third_offer_of_a_hopeless_archive_is_answered_with_its_reason() -> None:
    walk = Walk()
    problem = Problem(code=FaultCode.NO_ENTRY_POINT)
    for _ in range(2):
        assert refusal(walk.offer(problem=problem)) is FaultCode.NO_ENTRY_POINT
        assert walk.state.tasks == {}
    assert walk.offer(problem=problem).reply == Accepted(fresh=True)
    assert kinds(walk.last) == ["ForgetSpool", "PackResult"]
    assert walk.task().state is TaskState.FAILED
    assert walk.task().problem == problem


def test_another_archive_under_a_refused_id_is_counted_anew() -> None:
    walk = Walk()
    problem = Problem(code=FaultCode.BAD_ARCHIVE)
    for body in ("one", "two", "one", "two"):
        assert refusal(walk.offer(body=body, problem=problem)) is FaultCode.BAD_ARCHIVE


def test_a_refusal_for_want_of_room_does_not_count_as_hopeless() -> None:
    walk = Walk(max_tasks=1)
    walk.run("b")
    problem = Problem(code=FaultCode.BAD_ARCHIVE)
    for _ in range(5):
        assert refusal(walk.offer(problem=problem)) is FaultCode.NO_SLOT


def test_stop_ends_a_running_task_as_stopped_without_cost_in_trust() -> None:
    walk = Walk(node=NodeState(trust_score=50))
    walk.run()
    assert kinds(walk.see(events.StopAsked(at_s=1, key=key_of(TaskId("a")), reason=StopReason.POOL))) == [
        "StopRun"
    ]
    assert kinds(walk.end(exit_code=None)) == ["PackResult"]
    assert walk.task().state is TaskState.STOPPED
    assert walk.state.node.trust_score == 50


def test_stop_while_unpacking_never_starts_the_program() -> None:
    walk = Walk()
    walk.offer()
    walk.see(events.StopAsked(at_s=1, key=key_of(TaskId("a")), reason=StopReason.OWNER))
    assert kinds(walk.about(events.Unpacked)) == ["PackResult"]
    assert walk.task().state is TaskState.STOPPED


def test_stop_that_comes_before_the_start_is_carried_out_at_the_start() -> None:
    walk = Walk()
    walk.offer()
    walk.about(events.Unpacked)
    walk.see(events.StopAsked(at_s=1, key=key_of(TaskId("a")), reason=StopReason.POOL))
    assert kinds(walk.about(events.RunStarted, runtime="wasm", where="1")) == ["StopRun"]


def test_stop_of_an_unknown_task_says_so() -> None:
    assert (
        refusal(Walk().see(events.StopAsked(at_s=1, key=key_of(TaskId("x")), reason=StopReason.POOL)))
        is FaultCode.UNKNOWN_TASK
    )


def test_stop_of_an_ended_task_is_answered_alike_before_and_after_its_result_is_delivered() -> None:
    walk = Walk()
    walk.run()
    walk.end()
    stop = events.StopAsked(at_s=walk.at_s, key=walk.task().key, reason=StopReason.POOL)
    assert refusal(walk.see(stop)) is FaultCode.UNKNOWN_TASK
    walk.about(events.ResultPacked, result_bytes=5)
    assert refusal(walk.see(stop)) is FaultCode.UNKNOWN_TASK
    walk.about(events.ResultDelivered)
    assert refusal(walk.see(stop)) is FaultCode.UNKNOWN_TASK


def test_a_program_that_ended_well_before_the_stop_reached_it_is_completed() -> None:
    walk = Walk()
    walk.run()
    walk.see(events.StopAsked(at_s=1, key=key_of(TaskId("a")), reason=StopReason.POOL))
    walk.end(exit_code=0)
    assert walk.task().state is TaskState.COMPLETED


def test_failures_cost_five_and_the_score_stays_between_zero_and_a_hundred() -> None:
    walk = Walk(node=NodeState(trust_score=3))
    walk.run()
    walk.end(exit_code=1, problem=Problem(code=FaultCode.EXIT_CODE, about="1"))
    assert walk.state.node.trust_score == 0
    assert walk.task().trust_change == -3
    walk.see(events.FactsChanged(at_s=1, total=TOTAL, blocker=None))
    full = Walk(node=NodeState(trust_score=99))
    full.run()
    full.end()
    assert full.state.node.trust_score == 100


def test_pause_freezes_what_runs_refuses_what_comes_and_resume_thaws() -> None:
    walk = Walk()
    walk.run()
    assert kinds(walk.see(events.PauseAsked(at_s=1))) == ["PauseRun"]
    assert walk.task().state is TaskState.PAUSED
    assert refusal(walk.offer("b")) is FaultCode.NOT_ACCEPTING
    assert kinds(walk.see(events.ResumeAsked(at_s=2))) == ["ResumeRun"]
    assert walk.task().state is TaskState.RUNNING


def test_a_task_that_starts_while_paused_is_frozen_at_once() -> None:
    walk = Walk()
    walk.offer()
    walk.about(events.Unpacked)
    walk.see(events.PauseAsked(at_s=1))
    assert kinds(walk.about(events.RunStarted, runtime="wasm", where="1")) == ["PauseRun"]
    assert walk.task().state is TaskState.PAUSED


def test_a_snooze_ends_by_the_clock_even_when_the_worker_restarts_late() -> None:
    walk = Walk()
    walk.see(events.PauseAsked(at_s=100, until_s=200))
    walk.see(events.ClockTicked(at_s=199))
    assert walk.state.node.mode is Mode.PAUSED
    walk.see(events.ClockTicked(at_s=200))
    assert walk.state.node.mode is Mode.RUN
    late = Walk(node=NodeState(mode=Mode.PAUSED, until_s=200))
    late.see(events.Restarted(at_s=300))
    assert late.state.node.mode is Mode.RUN


def test_finish_lets_tasks_end_and_then_pauses() -> None:
    walk = Walk()
    walk.run()
    walk.see(events.FinishAsked(at_s=1))
    assert refusal(walk.offer("b")) is FaultCode.NOT_ACCEPTING
    walk.end()
    assert walk.state.node.mode is Mode.FINISHING
    walk.about(events.ResultPacked, result_bytes=1)
    assert walk.state.node.mode is Mode.PAUSED


def test_finish_and_quit_quits_and_does_not_stay_paused() -> None:
    walk = Walk()
    assert kinds(walk.see(events.FinishAsked(at_s=1, quit_after=True))) == ["Quit"]
    assert walk.last.node is not None or walk.state.node.mode is Mode.RUN
    assert walk.state.node.mode is Mode.RUN
    assert refusal(walk.offer()) is FaultCode.NOT_ACCEPTING


def test_shutdown_stops_everything_and_says_why_in_the_archive() -> None:
    walk = Walk()
    walk.run()
    walk.offer("b")
    assert kinds(walk.see(events.ShutdownAsked(at_s=1))) == ["StopRun", "StopRun"]
    walk.end(exit_code=None)
    assert walk.task().state is TaskState.STOPPED
    assert walk.task().problem == Problem(code=FaultCode.INTERRUPTED, about="the worker was shut down")


def test_after_a_crash_every_open_task_gets_an_archive_and_none_runs_again() -> None:
    walk = Walk()
    walk.run("running")
    walk.offer("unpacking")
    walk.run("ended")
    walk.end("ended")
    restarted = Walk(tasks=walk.state.tasks, node=walk.state.node)
    assert sorted(kinds(restarted.see(events.Restarted(at_s=9)))) == ["PackResult"] * 3 + ["Reclaim"] * 2
    assert restarted.task("running").state is TaskState.FAILED
    assert restarted.task("running").problem.code is FaultCode.INTERRUPTED  # type: ignore[union-attr]
    assert restarted.task("ended").state is TaskState.COMPLETED


@pytest.mark.parametrize(
    "alive_s,paused,expected",
    [(500.0, False, 400.0), (500.0, True, 50.0), (0.0, False, 0.0), (9e9, False, 800.0), (99.0, False, 0.0)],
    ids=["last sign", "paused before it", "not known", "a clock that was ahead", "before its start"],
)
def test_what_was_cut_off_has_the_hours_that_are_known_of_it(
    alive_s: float, paused: bool, expected: float
) -> None:
    walk = Walk()
    walk.run()
    row = replace(walk.task(), started_at_s=100.0)
    if paused:
        row = replace(row, state=TaskState.PAUSED, paused_at_s=150.0)
    restarted = Walk(tasks={row.key: row})
    restarted.see(events.Restarted(at_s=900.0, alive_s=alive_s))
    assert restarted.task().state is TaskState.FAILED
    assert restarted.task().usage.wall_s == expected


def in_docker(walk: Walk, name: str = "a") -> None:
    walk.offer(name)
    walk.about(events.Unpacked, name)
    walk.about(events.RunStarted, name, runtime="docker", where="task-1")


def test_a_run_that_outlives_the_worker_is_gone_on_with_and_then_ends_like_any_other() -> None:
    walk = Walk()
    in_docker(walk)
    restarted = Walk(tasks=walk.state.tasks, node=walk.state.node)
    assert kinds(restarted.see(events.Restarted(at_s=9))) == ["Adopt", "ResumeRun"]
    assert restarted.task().state is TaskState.RUNNING
    assert [line.what for line in restarted.last.lines] == ["Adopted"]
    assert kinds(restarted.end()) == ["PackResult"]
    assert restarted.task().state is TaskState.COMPLETED


def test_wishes_that_were_written_down_before_a_crash_are_acted_on_after_it() -> None:
    walk = Walk()
    in_docker(walk, "a")
    walk.see(events.PauseAsked(at_s=1))
    restarted = Walk(tasks=walk.state.tasks, node=walk.state.node)
    assert kinds(restarted.see(events.Restarted(at_s=9))) == ["Adopt", "PauseRun"]
    walk.see(events.StopAsked(at_s=1, key=key_of(TaskId("a")), reason=StopReason.POOL))
    stopped = Walk(tasks=walk.state.tasks, node=walk.state.node)
    assert kinds(stopped.see(events.Restarted(at_s=9))) == ["Adopt", "StopRun"]
    assert kinds(stopped.about(events.RunLost)) == ["PackResult"]
    assert stopped.task().state is TaskState.STOPPED


def test_a_run_of_which_nothing_is_left_is_reported_and_not_run_again() -> None:
    walk = Walk()
    in_docker(walk)
    restarted = Walk(tasks=walk.state.tasks, node=walk.state.node)
    restarted.see(events.Restarted(at_s=9))
    assert kinds(restarted.about(events.RunLost)) == ["PackResult"]
    assert restarted.task().state is TaskState.FAILED
    assert restarted.task().problem == Problem(code=FaultCode.INTERRUPTED, about="it was running")
    assert kinds(restarted.about(events.RunLost)) == []  # doubled


def test_a_run_that_had_not_started_is_not_gone_on_with() -> None:
    walk = Walk()
    walk.offer()
    walk.about(events.Unpacked)
    restarted = Walk(tasks=walk.state.tasks, node=walk.state.node)
    assert sorted(kinds(restarted.see(events.Restarted(at_s=9)))) == ["PackResult", "Reclaim"]


def test_an_owed_result_is_sent_after_a_restart() -> None:
    walk = Walk()
    walk.run()
    walk.end()
    walk.about(events.ResultPacked, result_bytes=5)
    restarted = Walk(tasks=walk.state.tasks)
    assert kinds(restarted.see(events.Restarted(at_s=9))) == ["UploadResult"]


def test_what_a_restart_found_and_does_stands_in_the_story() -> None:
    walk = Walk()
    for name in ("ended", "owed"):
        walk.run(name)
        walk.end(name)
    walk.run("running")
    walk.offer("unpacking")
    walk.about(events.ResultPacked, "owed", result_bytes=5)
    decision = Walk(tasks=walk.state.tasks).see(events.Restarted(at_s=9))
    told = {decision.state.tasks[line.key].task_id: f"{line.what}: {line.text}" for line in decision.lines}
    assert told == {
        "running": "Interrupted: it was running",
        "unpacking": "Interrupted: it had not started yet",
        "ended": "FoundAgain: its result is packed now",
        "owed": "FoundAgain: its result is sent now",
    }


def test_a_clock_that_is_set_back_makes_no_snooze_longer_than_it_was_asked_for() -> None:
    walk = Walk()
    walk.see(events.PauseAsked(at_s=1_800_000_000, until_s=1_800_000_900))
    walk.see(events.ClockTicked(at_s=0))  # 1970
    assert walk.state.node.until_s == 900
    walk.see(events.ClockTicked(at_s=899))
    assert walk.state.node.mode is Mode.PAUSED
    walk.see(events.ClockTicked(at_s=900))
    assert walk.state.node.mode is Mode.RUN


def test_late_and_doubled_events_change_nothing() -> None:
    walk = Walk()
    walk.run()
    walk.end()
    before = walk.state
    for late in (
        events.Unpacked, lambda **w: events.RunStarted(runtime="wasm", where="", **w),
        lambda **w: events.RunEnded(outcome=Outcome(exit_code=1, problem=None), **w), events.ResultDelivered,
    ):  # fmt: skip
        assert walk.see(late(at_s=1, key=key_of(TaskId("a")), attempt=1)).effects == ()
        assert walk.state == before
    walk.about(events.ResultPacked, attempt=2, result_bytes=1)
    assert walk.state == before


def test_a_blocker_refuses_new_work_and_silences_the_heartbeat_only_when_idle() -> None:
    full = Problem(code=FaultCode.DISK_FULL, about="1 GiB free")
    walk = Walk()
    assert wants_announcement(walk.state)
    walk.run()
    walk.see(events.FactsChanged(at_s=1, total=TOTAL, blocker=full))
    assert refusal(walk.offer("b")) is FaultCode.DISK_FULL
    assert wants_announcement(walk.state)
    walk.end()
    assert not wants_announcement(walk.state)


def test_a_result_that_the_pool_refuses_for_good_is_kept() -> None:
    walk = Walk()
    walk.run()
    walk.end()
    walk.about(events.ResultPacked, result_bytes=5)
    walk.about(events.ResultRefused, problem=Problem(code=FaultCode.POOL_REFUSED, about="no"))
    assert walk.last.changed[0].delivery is Delivery.KEPT
    assert walk.state.tasks == {}


def test_the_folder_of_a_result_too_large_to_send_is_not_removed() -> None:
    walk = Walk()
    walk.run()
    walk.end()
    walk.about(
        events.ResultPacked, result_bytes=5, problem=Problem(code=FaultCode.RESULT_TOO_LARGE, about="120 MiB")
    )
    assert kinds(walk.about(events.ResultDelivered)) == []


def test_effects_are_keyed_by_task_and_attempt() -> None:
    walk = Walk()
    walk.run()
    walk.see(events.PauseAsked(at_s=1))
    assert walk.last.effects == (effects.PauseRun(key=key_of(TaskId("a")), attempt=1),)


def hold(walk: Walk, task_id: str = "a", *, paused: bool = True) -> Decision:
    return walk.see(events.TaskPauseAsked(at_s=walk.at_s, key=key_of(TaskId(task_id)), paused=paused))


def test_a_task_that_is_paused_alone_waits_while_the_others_run() -> None:
    walk = Walk()
    walk.run("a")
    walk.run("b")
    assert kinds(hold(walk)) == ["PauseRun"]
    assert [walk.task(name).state for name in "ab"] == [TaskState.PAUSED, TaskState.RUNNING]
    assert kinds(hold(walk)) == []  # the wish again changes nothing
    walk.see(events.PauseAsked(at_s=walk.at_s))
    walk.see(events.ResumeAsked(at_s=walk.at_s))
    assert [walk.task(name).state for name in "ab"] == [TaskState.PAUSED, TaskState.RUNNING]
    assert kinds(hold(walk, paused=False)) == ["ResumeRun"]
    assert walk.task().state is TaskState.RUNNING


def test_a_task_that_is_paused_before_it_starts_is_frozen_at_its_start_and_can_be_stopped() -> None:
    walk = Walk()
    walk.offer()
    hold(walk)
    walk.about(events.Unpacked)
    assert kinds(walk.about(events.RunStarted, runtime="wasm", where="1")) == ["PauseRun"]
    walk.see(events.StopAsked(at_s=walk.at_s, key=walk.task().key, reason=StopReason.OWNER))
    walk.end(exit_code=None, problem=Problem(code=FaultCode.TIMED_OUT))
    assert walk.task().state is TaskState.STOPPED


def test_a_container_that_was_paused_alone_stays_paused_after_a_restart() -> None:
    walk = Walk()
    walk.offer()
    walk.about(events.Unpacked)
    walk.about(events.RunStarted, runtime="docker", where="1")
    hold(walk)
    walk.see(events.Restarted(at_s=walk.at_s))
    assert kinds(walk.last)[:2] == ["Adopt", "PauseRun"]
    assert walk.task().state is TaskState.PAUSED


def test_pausing_a_task_that_is_not_here_is_refused() -> None:
    assert refusal(hold(Walk())) is FaultCode.UNKNOWN_TASK


def test_a_wish_from_another_machine_is_known_as_one_until_the_next_wish() -> None:
    walk = Walk()
    walk.see(events.PauseAsked(at_s=1, by="larch"))
    assert (walk.state.node.mode, walk.state.node.asked_by) == (Mode.PAUSED, "larch")
    walk.see(events.PauseAsked(at_s=2))
    assert walk.state.node.asked_by == "", "the owner has said it here as well"
    walk.see(events.FinishAsked(at_s=3, by="larch"))
    assert (walk.state.node.mode, walk.state.node.asked_by) == (Mode.PAUSED, "larch"), (
        "nothing was left to do"
    )
    walk.see(events.ResumeAsked(at_s=4))
    assert (walk.state.node.mode, walk.state.node.asked_by) == (Mode.RUN, "")
    walk.see(events.PauseAsked(at_s=5, until_s=10, by="larch"))
    walk.see(events.ClockTicked(at_s=10))
    assert (walk.state.node.mode, walk.state.node.asked_by) == (Mode.RUN, "")
