"""Random orders of events: whatever comes, the invariants hold and every accepted task is answered for."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from hivemind_worker.core.decide import decide
from hivemind_worker.core.invariants import broken
from hivemind_worker.core.state import State
from hivemind_worker.model import events
from hivemind_worker.model.effects import Accepted, Adopt, PackResult, Refused, Unpack, UploadResult
from hivemind_worker.model.facts import Condition, RuleFacts
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.snapshot import Mode
from hivemind_worker.model.task import (
    Delivery,
    Offer,
    Outcome,
    Phase,
    Problem,
    StopReason,
    Task,
    TaskId,
    TaskKey,
    key_of,
)

IDS = st.sampled_from(["a", "b", "c", "d"]).map(TaskId)
ATTEMPTS = st.integers(1, 2)
TIMES = st.floats(0, 10_000)
PROBLEMS = st.none() | st.sampled_from([FaultCode.BAD_ARCHIVE, FaultCode.OUT_OF_MEMORY]).map(
    lambda code: Problem(code=code)
)
OUTCOMES = st.sampled_from(
    [
        Outcome(exit_code=0, problem=None),
        Outcome(exit_code=3, problem=Problem(code=FaultCode.EXIT_CODE, about="3")),
        Outcome(exit_code=None, problem=Problem(code=FaultCode.TIMED_OUT)),
        Outcome(exit_code=None, problem=None),
    ]
)
AMOUNTS = st.floats(0, 300)
OFFERS = st.builds(
    Offer, task_id=IDS, body_sha256=st.sampled_from(["x", "y"]), archive_bytes=st.just(1),
    demand=st.builds(Resources, cpu=AMOUNTS, memory_gb=st.floats(0, 5)),
)  # fmt: skip
KEYED = {"at_s": TIMES, "key": IDS.map(key_of), "attempt": ATTEMPTS}
EVENTS = st.one_of(
    st.builds(
        events.TaskOffered, at_s=TIMES, offer=OFFERS, spool=st.just("s"), known=st.none(), problem=PROBLEMS
    ),
    st.builds(events.Unpacked, problem=PROBLEMS, **KEYED),
    st.builds(events.RunPrepared, phase=st.just(Phase.PULLING), **KEYED),
    st.builds(events.RunStarted, runtime=st.sampled_from(["wasm", "docker"]), where=st.just("1"), **KEYED),
    st.builds(events.RunEnded, outcome=OUTCOMES, **KEYED),
    st.builds(events.RunLost, **KEYED),
    st.builds(events.ResultPacked, result_bytes=st.just(1), problem=st.none(), **KEYED),
    st.builds(events.ResultDelivered, **KEYED),
    st.builds(events.ResultRefused, problem=st.just(Problem(code=FaultCode.POOL_REFUSED)), **KEYED),
    st.builds(events.StopAsked, at_s=TIMES, key=IDS.map(key_of), reason=st.sampled_from(StopReason)),
    st.builds(events.TaskPauseAsked, at_s=TIMES, key=IDS.map(key_of), paused=st.booleans()),
    st.builds(events.PauseAsked, at_s=TIMES, until_s=st.none() | TIMES),
    st.builds(events.ResumeAsked, at_s=TIMES),
    st.builds(events.FinishAsked, at_s=TIMES, quit_after=st.booleans()),
    st.builds(events.ShutdownAsked, at_s=TIMES),
    st.builds(events.ClockTicked, at_s=TIMES),
    st.builds(events.Restarted, at_s=TIMES),
    st.builds(
        events.FactsChanged, at_s=TIMES, total=st.just(Resources(cpu=400, memory_gb=8)), blocker=PROBLEMS
    ),
    st.builds(
        events.FactsSeen, at_s=TIMES,
        facts=st.builds(
            RuleFacts, steady_s=TIMES, idle_s=st.none() | TIMES, on_battery=st.none() | st.booleans(),
            memory_percent=st.floats(50, 100), cpu_celsius=st.floats(40, 130),
        ),
    ),
    st.builds(events.RunModeAsked, at_s=TIMES, ignores_rules=st.booleans(), until_s=st.none() | TIMES),
    st.builds(events.GpuPauseAsked, at_s=TIMES, paused=st.booleans(), until_s=st.none() | TIMES),
    st.builds(
        events.ConditionReported, at_s=TIMES,
        condition=st.builds(
            Condition, name=st.sampled_from("ab"), ok=st.booleans(), reason=st.just(""), since_s=TIMES,
            ends_at_s=TIMES,
        ),
    ),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(EVENTS, max_size=60))
def test_invariants_hold_after_every_step_of_any_walk(walk: list[events.AnyEvent]) -> None:
    state = State(total=Resources(cpu=400, memory_gb=8), max_tasks=3)
    for event in walk:
        decision = decide(state, event)
        assert broken(decision.state) == ()
        for task in decision.changed:
            if task.key not in decision.state.tasks:  # nothing leaves before its result is settled
                assert task.delivery in (Delivery.DELIVERED, Delivery.KEPT)
        if (
            isinstance(event, events.TaskOffered)
            and isinstance(decision.reply, Accepted)
            and decision.reply.fresh
        ):
            assert event.offer.key in decision.state.tasks
        state = decision.state


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(EVENTS, st.booleans()), max_size=60))
def test_with_a_journal_that_remembers_no_id_ever_runs_twice_while_its_result_is_kept(
    walk: list[tuple[events.AnyEvent, bool]],
) -> None:
    state, journal = State(total=Resources(cpu=400, memory_gb=8), max_tasks=3), dict[TaskKey, Task]()
    for walked, kept in walk:
        event, known = walked, None
        if isinstance(event, events.TaskOffered):  # as the loop asks the journal before it decides
            known = state.tasks.get(event.offer.key) or journal.get(event.offer.key)
            event = replace(event, known=known, result_kept=known is not None and kept)
        decision = decide(state, event)
        assert broken(decision.state) == ()
        if isinstance(event, events.TaskOffered) and known is not None and decision.reply is not None:
            runs = any(isinstance(effect, Unpack) for effect in decision.effects)
            same = known.body_sha256 == event.offer.body_sha256
            assert not (runs and (known.is_open or event.result_kept or not same))
            assert isinstance(decision.reply, Refused) or same
        journal.update({task.key: task for task in decision.changed})
        state = decision.state
    assert all(journal[key] == task for key, task in state.tasks.items())


@settings(max_examples=200, deadline=None)
@given(st.lists(EVENTS, max_size=60))
def test_a_restart_owes_an_archive_for_every_task_still_open(walk: list[events.AnyEvent]) -> None:
    state = State(total=Resources(cpu=400, memory_gb=8), max_tasks=3)
    for event in walk:
        state = decide(state, event).state
    decision = decide(State(total=state.total, tasks=state.tasks, node=state.node), events.Restarted(at_s=1))
    owed = {effect.key for effect in decision.effects if isinstance(effect, PackResult | UploadResult)}
    going_on = {effect.key for effect in decision.effects if isinstance(effect, Adopt)}
    assert owed | going_on == set(state.tasks)
    assert not owed & going_on
    assert all(task.state.has_ended or task.key in going_on for task in decision.state.tasks.values())


@settings(max_examples=200, deadline=None)
@given(st.lists(EVENTS, max_size=60), TIMES)
def test_a_snooze_always_ends_whatever_happens_meanwhile(
    walk: list[events.AnyEvent], length_s: float
) -> None:
    state = decide(State(), events.PauseAsked(at_s=1000, until_s=1000 + length_s)).state
    for event in walk:
        if not isinstance(
            event, events.PauseAsked | events.ResumeAsked | events.FinishAsked | events.RunModeAsked
        ):
            state = decide(state, event).state
    until_s = state.node.until_s
    if until_s is None:  # it has ended already
        assert state.node.mode is not Mode.PAUSED
        return
    assert until_s - state.node.mode_since_s <= length_s + 1e-6
    ended = decide(state, events.ClockTicked(at_s=max(until_s, state.node.mode_since_s))).state
    assert ended.node.mode is Mode.RUN
