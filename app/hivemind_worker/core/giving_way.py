"""Giving way: what the rules, the memory and the owner's pause do to the tasks that are here.

`core.policy` says who is held; here it is carried out. Counterpart: `core.decide`, the door.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from hivemind_worker.core import guard, policy
from hivemind_worker.core.draft import Draft
from hivemind_worker.core.judge import judge
from hivemind_worker.core.latch import DWELL_S
from hivemind_worker.core.transitions import after
from hivemind_worker.model.effects import Accepted, LimitRun, PauseRun, Refused, Reply, ResumeRun
from hivemind_worker.model.events import (
    ConditionReported,
    FactsSeen,
    GpuPauseAsked,
    RetryAsked,
    RulesChanged,
    RunModeAsked,
    StopAsked,
    TaskPauseAsked,
)  # fmt: skip
from hivemind_worker.model.facts import Condition
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.judgement import Follows
from hivemind_worker.model.snapshot import Mode, NodeState
from hivemind_worker.model.task import Problem, StopReason, TaskState

MAX_CONDITIONS = 20
CLOCK_SLACK_S = 60.0
SHARE_STEP = 0.02
"""Cores by which a share must change to be ordered anew."""

RulesEvent = FactsSeen | RulesChanged | RunModeAsked | GpuPauseAsked | ConditionReported | RetryAsked


def about_rules(draft: Draft, event: RulesEvent) -> None:
    """Take in what was seen, reported or wished; `settle` then carries it out."""
    match event:
        case FactsSeen():
            _facts_seen(draft, event)
        case RulesChanged():
            draft.state = replace(draft.state, rules=event.rules)
        case RunModeAsked():
            _run_mode(draft, event)
        case GpuPauseAsked():
            node = replace(draft.state.node, gpu_paused=event.paused, gpu_until_s=event.until_s)
            draft.set_node(node)
        case RetryAsked():
            draft.set_node(replace(draft.state.node, failures=guard.tried_again(draft.state.node.failures)))
        case ConditionReported():
            _condition_reported(draft, event)
        case _:
            assert_never(event)


def about_task(draft: Draft, event: StopAsked | TaskPauseAsked) -> Reply:
    """A wish about one task. One that has ended is unknown here, whether or not its result is still owed:
    what the asker hears must not depend on how far a delivery is."""
    task = draft.state.tasks.get(event.key)
    if task is None or task.state.has_ended:
        return Refused(problem=Problem(code=FaultCode.UNKNOWN_TASK))
    step = after(task, event, paused=False)
    if step is not None:
        draft.take(step, event.at_s, type(event).__name__)
    return Accepted()


def without_what_ended(node: NodeState, at_s: float) -> NodeState:
    """Wishes with an end, and conditions, lapse by themselves."""
    if node.ignores_until_s is not None and at_s >= node.ignores_until_s:
        node = replace(node, ignores_rules=False, ignores_until_s=None)
    if node.gpu_until_s is not None and at_s >= node.gpu_until_s:
        node = replace(node, gpu_paused=False, gpu_until_s=None)
    if any(_is_over(each, at_s) for each in node.conditions):
        node = replace(node, conditions=tuple(c for c in node.conditions if not _is_over(c, at_s)))
    if any(run.until_s is not None and at_s >= run.until_s for run in node.failures):
        ended = (
            replace(r, until_s=None) if r.until_s is not None and at_s >= r.until_s else r
            for r in node.failures
        )
        node = replace(node, failures=tuple(ended))
    return node


def _is_over(condition: Condition, at_s: float) -> bool:
    """Expired; or reported by a clock that has been set back since, and so of unknown age."""
    return at_s >= condition.ends_at_s or at_s < condition.since_s - CLOCK_SLACK_S


def end_long_pauses(draft: Draft, at_s: float) -> None:
    limit_s = draft.state.rules.pause_ends_task_h * 3600
    for task in tuple(draft.state.tasks.values()):
        if limit_s and task.paused_at_s is not None and at_s - task.paused_at_s >= limit_s:
            about_task(draft, StopAsked(at_s=at_s, key=task.key, reason=StopReason.PAUSE))


# --- rules ------------------------------------------------------------------------------------


def _facts_seen(draft: Draft, event: FactsSeen) -> None:
    state = draft.state
    judgement, memory = judge(
        state.rules, event.facts, state.memory, at_s=event.at_s,
        ignores=state.node.ignores_rules, conditions=state.node.conditions,
    )  # fmt: skip
    draft.state = replace(state, judgement=judgement, memory=memory)
    if memory.jump_s and memory.jumped_at_s == event.facts.steady_s:
        _restart_pauses(draft, event.at_s)
    _ladder(draft, event)


def _restart_pauses(draft: Draft, at_s: float) -> None:
    """The clock was set: how long a task has been paused is not known any more."""
    for task in tuple(draft.state.tasks.values()):
        if task.paused_at_s is not None:
            draft.put(replace(task, paused_at_s=at_s), at_s, "ClockSet")


def _ladder(draft: Draft, event: FactsSeen) -> None:
    """One step a dwell time: hold one task more, or stop the newest; let go when memory is there again."""
    state, steady_s = draft.state, event.facts.steady_s
    pausing = state.judgement.holding(Follows.FREEZE_NEWEST)
    stopping = state.judgement.holding(Follows.STOP_NEWEST)
    moved_s = state.ladder_moved_s
    if moved_s is not None and 0 <= steady_s - moved_s < DWELL_S:
        return
    started = [task for task in state.unended() if task.stop_reason is None]
    if stopping and started:
        newest = max(started, key=lambda task: (task.accepted_at_s, task.key))
        about_task(draft, StopAsked(at_s=event.at_s, key=newest.key, reason=StopReason.MEMORY))
        draft.state = replace(draft.state, ladder_moved_s=steady_s)
    wanted = min(state.ladder_held + 1, len(started)) if pausing else max(0, state.ladder_held - 1)
    if wanted != state.ladder_held:
        draft.state = replace(draft.state, ladder_held=wanted, ladder_moved_s=steady_s)


def _run_mode(draft: Draft, event: RunModeAsked) -> None:
    until_s = event.until_s if event.ignores_rules else None
    node = set_mode(draft.state.node, Mode.RUN, event.at_s)
    draft.set_node(replace(node, ignores_rules=event.ignores_rules, ignores_until_s=until_s))
    judged = replace(draft.state.judgement, ignores=event.ignores_rules)
    draft.state = replace(draft.state, judgement=judged)


def _condition_reported(draft: Draft, event: ConditionReported) -> None:
    kept = [each for each in draft.state.node.conditions if each.name != event.condition.name]
    kept = kept[-(MAX_CONDITIONS - 1) :]
    draft.set_node(replace(draft.state.node, conditions=(*kept, event.condition)))


def settle(draft: Draft, at_s: float) -> None:
    """Freeze and thaw tasks until what runs is what may run, then share out the processor."""
    held = policy.held(draft.state)
    for task in tuple(draft.state.tasks.values()):
        if task.state is TaskState.RUNNING and task.key in held and task.stop_reason is None:
            draft.put(replace(task, state=TaskState.PAUSED, paused_at_s=at_s), at_s, "TaskPaused")
            draft.effects.append(PauseRun(key=task.key, attempt=task.attempt))
        elif task.state is TaskState.PAUSED and task.key not in held:
            draft.put(replace(task, state=TaskState.RUNNING, paused_at_s=None), at_s, "TaskResumed")
            draft.effects.append(ResumeRun(key=task.key, attempt=task.attempt))
    _share_out(draft)


def _share_out(draft: Draft) -> None:
    state = draft.state
    wanted = policy.shares(state)
    known = {key: cores for key, cores in state.shares.items() if key in state.tasks}
    for key, cores in wanted.items():
        task = state.tasks[key]
        ordered = known.get(key, policy.asked_cores(state, task))
        if abs(cores - ordered) >= SHARE_STEP:
            known[key] = cores
            draft.effects.append(LimitRun(key=key, attempt=task.attempt, cores=cores))
    if known != state.shares:
        draft.state = replace(state, shares=known)


def set_mode(node: NodeState, mode: Mode, at_s: float) -> NodeState:
    """The node with this wish of its owner; an earlier end or `quit` is forgotten."""
    since_s = node.mode_since_s if node.mode is mode else at_s
    return replace(node, mode=mode, mode_since_s=since_s, until_s=None, quit_after=False, asked_by="")
