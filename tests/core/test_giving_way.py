"""What rules do to tasks: who is frozen, who is refused, what is shared out; live and simulated alike."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace

import pytest

from hivemind_worker.core.decide import decide
from hivemind_worker.core.draft import Decision
from hivemind_worker.core.invariants import broken
from hivemind_worker.core.policy import objection, room, shares
from hivemind_worker.core.simulate import freezing, simulate
from hivemind_worker.core.state import State
from hivemind_worker.model import events
from hivemind_worker.model.effects import LimitRun, PauseRun, Refused, ResumeRun, StopRun
from hivemind_worker.model.facts import Condition
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.judgement import RuleCode
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.rules import DAYS, Level, Rules, painted
from hivemind_worker.model.task import Offer, Phase, StopReason, Task, TaskId, TaskState, key_of
from tests.core.test_rules import ALL, FREE, MONDAY_S, random_trace

TOTAL = Resources(cpu=400, memory_gb=8, gpu=100, gpu_memory_gb=8)
NOON_S = MONDAY_S + 12 * 3600


def running(number: int, *, gpu: float = 0.0, cpu: float = 100.0) -> Task:
    task_id = TaskId(f"t{number}")
    return Task(
        task_id=task_id, key=key_of(task_id), attempt=1, body_sha256="x", state=TaskState.RUNNING,
        demand=Resources(cpu=cpu, memory_gb=1, gpu=gpu), accepted_at_s=NOON_S + number, phase=Phase.NONE,
    )  # fmt: skip


class Life:
    """A worker's decisions, with tasks that run; time passes by `see`."""

    def __init__(self, *tasks: Task, rules: Rules = ALL) -> None:
        self.state = State(tasks={task.key: task for task in tasks}, total=TOTAL, max_tasks=4, rules=rules)
        self.at_s, self.steady_s = NOON_S + 100, 100.0
        self.effects: list[object] = []

    def tell(self, event: events.AnyEvent) -> Decision:
        decision = decide(self.state, event)
        self.state = decision.state
        self.effects = list(decision.effects)
        assert broken(self.state) == ()
        return decision

    def see(self, seconds: int = 1, **facts: object) -> None:
        seen: list[object] = []
        for _ in range(seconds):
            self.at_s, self.steady_s = self.at_s + 1, self.steady_s + 1
            shown = replace(FREE, steady_s=self.steady_s, **facts)
            self.tell(events.FactsSeen(at_s=self.at_s, facts=shown))
            seen += self.effects
        self.effects = seen

    def states(self) -> list[TaskState]:
        return [self.state.tasks[key_of(TaskId(f"t{n}"))].state for n in range(len(self.state.tasks))]

    def offer(self, gpu: float = 0.0, cpu: float = 100.0) -> object:
        offer = Offer(
            task_id=TaskId("new"), body_sha256="y", archive_bytes=1,
            demand=Resources(cpu=cpu, memory_gb=1, gpu=gpu),
        )  # fmt: skip
        return decide(self.state, events.TaskOffered(at_s=self.at_s, offer=offer, spool="s")).reply


RUN, HELD = TaskState.RUNNING, TaskState.PAUSED


def test_a_touch_freezes_all_tasks_in_one_decision_and_refuses_new_ones() -> None:
    life = Life(*(running(n) for n in range(4)))
    life.see(idle_s=0.0)
    assert [type(effect) for effect in life.effects] == [PauseRun] * 4
    assert life.states() == [HELD] * 4
    refused = life.offer()
    assert isinstance(refused, Refused)
    assert (refused.problem.code, "in_use" in refused.problem.about) == (FaultCode.NOT_ACCEPTING, True)
    life.see(30)
    assert [type(effect) for effect in life.effects] == [ResumeRun] * 4


def test_a_hot_card_freezes_only_the_tasks_that_use_it() -> None:
    life = Life(running(0), running(1, gpu=50))
    life.see(gpu_celsius=95.0)
    assert life.states() == [RUN, HELD]
    assert isinstance(life.offer(gpu=10), Refused)
    assert not isinstance(life.offer(), Refused)


def test_the_owner_may_pause_the_card_alone_and_for_a_while() -> None:
    life = Life(running(0), running(1, gpu=50))
    life.tell(events.GpuPauseAsked(at_s=life.at_s, paused=True, until_s=life.at_s + 60))
    assert life.states() == [RUN, HELD]
    life.tell(events.ClockTicked(at_s=life.at_s + 61))
    assert life.states() == [RUN, RUN]


def test_programs_may_pause_the_card_alone() -> None:
    life = Life(running(0), running(1, gpu=50), rules=replace(ALL, programs_gpu_only=True))
    life.see(full_screen=True)
    assert life.states() == [RUN, HELD]


def test_a_lower_level_holds_the_newest_tasks_and_slows_the_rest() -> None:
    light = painted(
        replace(ALL, light_tasks=2, light_cores=1.0, light_cpu_percent=50), DAYS, 0, 48, Level.LIGHT
    )
    life = Life(*(running(n) for n in range(4)))
    life.see()
    life.tell(events.RulesChanged(at_s=life.at_s, rules=light))
    life.see(11)
    assert life.states() == [RUN, RUN, HELD, HELD]
    limits = {effect.key: effect.cores for effect in life.effects if isinstance(effect, LimitRun)}
    assert limits == {key_of(TaskId("t0")): 0.25, key_of(TaskId("t1")): 0.25}
    life.tell(events.RulesChanged(at_s=life.at_s, rules=ALL))
    life.see(11)
    assert life.states() == [RUN] * 4
    assert all(cores == 1.0 for cores in life.state.shares.values())


def test_the_owners_limits_win_over_every_level_and_every_demand() -> None:
    greedy = replace(ALL, full_cores=64.0, full_memory_gb=500.0, full_tasks=50)
    life = Life(running(0, cpu=900.0), rules=greedy)
    life.see()
    assert room(life.state).fits_in(TOTAL)
    assert sum(shares(life.state).values()) <= TOTAL.cpu / 100
    assert isinstance(life.offer(cpu=500.0), Refused)


def test_scarce_memory_refuses_then_holds_the_newest_then_ends_it() -> None:
    life = Life(*(running(n) for n in range(3)))
    life.see(memory_percent=85.0)
    assert life.states() == [RUN] * 3
    assert isinstance(life.offer(), Refused)
    life.see(memory_percent=92.0)
    assert life.states() == [RUN, RUN, HELD]
    life.see(9, memory_percent=92.0)
    assert life.states() == [RUN, RUN, HELD]
    life.see(2, memory_percent=92.0)
    assert life.states() == [RUN, HELD, HELD]
    life.see(11, memory_percent=97.0)
    stops = [effect.key for effect in life.effects if isinstance(effect, StopRun)]
    assert stops == [key_of(TaskId("t2"))]
    assert life.state.tasks[stops[0]].stop_reason is StopReason.MEMORY
    life.see(60, memory_percent=30.0)
    assert life.states() == [RUN] * 3


def test_a_pause_that_outlasts_its_time_ends_the_task_and_tells_why() -> None:
    life = Life(running(0), rules=replace(ALL, pause_ends_task_h=1.0))
    life.see(idle_s=0.0)
    paused_at_s = life.at_s
    life.tell(events.ClockTicked(at_s=paused_at_s + 3599))
    assert life.effects == []
    life.tell(events.ClockTicked(at_s=paused_at_s + 3600))
    assert [type(effect) for effect in life.effects] == [StopRun]
    assert life.state.tasks[key_of(TaskId("t0"))].stop_reason is StopReason.PAUSE


def test_a_clock_that_is_set_ahead_ends_no_paused_task() -> None:
    life = Life(running(0), rules=replace(ALL, pause_ends_task_h=1.0))
    life.see(idle_s=0.0)
    life.at_s += 86400
    life.see(idle_s=0.0)
    life.tell(events.ClockTicked(at_s=life.at_s))
    assert life.states() == [HELD]
    assert life.state.tasks[key_of(TaskId("t0"))].stop_reason is None


def test_run_works_on_while_the_computer_is_used_until_its_end() -> None:
    life = Life(running(0))
    life.see(idle_s=0.0)
    life.tell(events.RunModeAsked(at_s=life.at_s, ignores_rules=True, until_s=life.at_s + 3600))
    life.see(idle_s=0.0)
    assert life.states() == [RUN]
    life.tell(events.ClockTicked(at_s=life.at_s + 3601))
    life.see(idle_s=0.0)
    assert life.states() == [HELD]


def test_a_condition_is_kept_with_the_node_and_lapses_by_itself() -> None:
    life = Life(running(0))
    bad = Condition(name="solar", ok=False, reason="clouds", since_s=life.at_s, ends_at_s=life.at_s + 30)
    decision = life.tell(events.ConditionReported(at_s=life.at_s, condition=bad))
    assert decision.node is not None
    assert decision.node.conditions == (bad,)
    life.see()
    assert life.states() == [HELD]
    life.tell(events.ConditionReported(at_s=life.at_s, condition=replace(bad, ok=True)))
    life.see(12)
    assert life.states() == [RUN]
    life.tell(events.ClockTicked(at_s=bad.ends_at_s))
    assert life.state.node.conditions == ()


def test_a_metered_network_lets_what_runs_go_on_and_takes_nothing_new() -> None:
    life = Life(running(0))
    life.see(metered=True)
    assert life.states() == [RUN]
    assert objection(life.state) is not None


def test_facts_write_nothing_into_the_journal_while_nothing_changes() -> None:
    life = Life(running(0))
    life.see(5)
    shown = replace(FREE, steady_s=life.steady_s + 1)
    decision = decide(life.state, events.FactsSeen(at_s=life.at_s + 1, facts=shown))
    assert (decision.changed, decision.node, decision.lines, decision.effects) == ((), None, (), ())


# --- properties ------------------------------------------------------------------------------------


@pytest.mark.release
def test_the_simulator_and_the_live_policy_agree_on_ten_thousand_random_traces() -> None:
    random_ = random.Random(20261128)
    frozen = 0
    for number in range(10_000):
        rules, trace = random_rules(random_), random_trace(random_)
        task = running(0)
        state = State(tasks={task.key: task}, total=TOTAL, max_tasks=4, rules=rules)
        live: list[tuple[Level, RuleCode | None]] = []
        for moment in trace:
            state = decide(state, events.FactsSeen(at_s=moment.at_s, facts=moment.facts)).state
            stopping = state.tasks[task.key].stop_reason is not None
            paused = state.tasks[task.key].state is HELD
            assert stopping or paused == (state.judgement.freezes or state.ladder_held > 0), number
            live.append((state.judgement.level, freezing(state.judgement)))
            frozen += paused
        assert broken(state) == (), number
        simulated = [(span.level, span.cause) for span in simulate(rules, trace, longest_s=math.inf).spans]
        assert [key for key, _ in itertools.groupby(live)] == simulated, number
    assert 10_000 < frozen < 50_000, "the traces must try both"


def random_rules(random_: random.Random) -> Rules:
    rules = replace(
        ALL, idle_on=random_.random() < 0.5, battery_on=random_.random() < 0.5,
        load_on=random_.random() < 0.5,
        programs_gpu_only=random_.random() < 0.3, heat_on=random_.random() < 0.7,
    )  # fmt: skip
    first = random_.randrange(48)
    return painted(
        rules, (random_.choice(DAYS),), first, first + random_.randrange(1, 30), random_.choice(list(Level))
    )
