"""What an event does to one task: the table is the documentation.

Every pair of state and event is in it; `_same` is the cell of a late or doubled event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hivemind_worker.model.effects import (
    Adopt,
    AnyEffect,
    PackResult,
    PauseRun,
    Reclaim,
    RemoveWorkspace,
    ResumeRun,
    StartRun,
    StopRun,
    UploadResult,
)  # fmt: skip
from hivemind_worker.model.events import (
    Event,
    ResultDelivered,
    ResultPacked,
    ResultRefused,
    RunEnded,
    RunLost,
    RunPrepared,
    RunStarted,
    StopAsked,
    TaskPauseAsked,
    Unpacked,
)  # fmt: skip
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Delivery, Phase, Problem, StopReason, Task, TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The changed row, what to do, and particulars for the story."""

    task: Task
    effects: tuple[AnyEffect, ...] = ()
    text: str = ""


Cell = Callable[[Task, Any, bool], Step | None]


def after(task: Task, event: Event, *, paused: bool) -> Step | None:
    """The step of this task at this event; None when nothing changes. `paused`: the node is."""
    return TABLE[type(event)][task.state](task, event, paused)


OUTLIVES_THE_WORKER = frozenset({"docker"})
"""Sandboxes whose programs go on when the worker dies."""


def found_again(task: Task, at_s: float) -> Step:
    """What becomes of a task that an earlier life of the worker left unended: it goes on, or has ended."""
    if task.state is TaskState.ALLOCATED or task.runtime not in OUTLIVES_THE_WORKER:
        return interrupted(task, at_s)
    # The earlier life may have ended between writing a wish down and acting on it.
    wish = StopRun if task.stop_reason else PauseRun if task.state is TaskState.PAUSED else ResumeRun
    effects = (Adopt(key=task.key, attempt=task.attempt), wish(key=task.key, attempt=task.attempt))
    return Step(task=task, effects=effects, text=f"{task.runtime} {task.where}")


def ran_until(task: Task, alive_s: float) -> Task:
    """With the hours that are known of it: from its start to the last sign of life, or to its pause."""
    last_s = alive_s if task.paused_at_s is None else min(alive_s, task.paused_at_s)
    wall_s = last_s - (last_s if task.started_at_s is None else task.started_at_s)
    return replace(task, usage=replace(task.usage, wall_s=max(0.0, wall_s, task.usage.wall_s)))


def interrupted(task: Task, at_s: float) -> Step:
    """The end of a task that an earlier life of the worker left behind."""
    problem = _interruption(task)
    reclaim = Reclaim(key=task.key, attempt=task.attempt)
    ending = _ended(task, at_s, TaskState.FAILED, problem)
    return replace(ending, effects=(reclaim, *ending.effects), text=problem.about)


def _interruption(task: Task) -> Problem:
    return Problem(code=FaultCode.INTERRUPTED, about=_WHERE_IT_WAS[task.state])


_WHERE_IT_WAS = {
    TaskState.ALLOCATED: "it had not started yet",
    TaskState.RUNNING: "it was running",
    TaskState.PAUSED: "it was paused",
}


def _ended(task: Task, at_s: float, state: TaskState, problem: Problem | None) -> Step:
    row = replace(task, state=state, phase=Phase.PACKING, ended_at_s=at_s, problem=problem, paused_at_s=None)
    text = problem.code.value if problem else state.value
    return Step(task=row, effects=(PackResult(key=task.key, attempt=task.attempt),), text=text)


def _stopped(task: Task, at_s: float) -> Step:
    problem = None
    if task.stop_reason is StopReason.SHUTDOWN:
        problem = Problem(code=FaultCode.INTERRUPTED, about="the worker was shut down")
    elif task.stop_reason is StopReason.MEMORY:
        problem = Problem(code=FaultCode.INTERRUPTED, about="the computer had no memory left")
    elif task.stop_reason is StopReason.PAUSE:
        problem = Problem(code=FaultCode.INTERRUPTED, about="the computer was needed for too long")
    return _ended(task, at_s, TaskState.STOPPED, problem)


def _same(_task: Task, _event: Any, _paused: bool) -> None:
    return None


def _unpacked(task: Task, event: Unpacked, _paused: bool) -> Step:
    if task.stop_reason is not None:
        return _stopped(task, event.at_s)
    if event.problem is not None:
        return _ended(task, event.at_s, TaskState.FAILED, event.problem)
    start = StartRun(key=task.key, attempt=task.attempt)
    return Step(task=replace(task, phase=Phase.NONE), effects=(start,))


def _prepared(task: Task, event: RunPrepared, _paused: bool) -> Step | None:
    if task.stop_reason is not None:
        return None
    return Step(task=replace(task, phase=event.phase), text=f"{event.phase.value} {event.text}".strip())


def _started(task: Task, event: RunStarted, paused: bool) -> Step:
    row = replace(
        task, state=TaskState.RUNNING, phase=Phase.NONE, started_at_s=event.at_s,
        runtime=event.runtime, where=event.where, image=event.image,
    )  # fmt: skip
    text = " ".join(filter(None, (event.runtime, event.where, event.image)))
    if task.stop_reason is not None:  # asked before there was anything to stop
        return Step(
            task=replace(row, phase=Phase.STOPPING),
            effects=(StopRun(key=task.key, attempt=task.attempt),),
            text=text,
        )
    if paused:
        return Step(
            task=replace(row, state=TaskState.PAUSED, paused_at_s=event.at_s),
            effects=(PauseRun(key=task.key, attempt=task.attempt),),
            text=text,
        )
    return Step(task=row, text=text)


def _run_ended(task: Task, event: RunEnded, _paused: bool) -> Step:
    outcome = event.outcome
    row = replace(task, exit_code=outcome.exit_code, usage=outcome.usage)
    if outcome.problem is None and outcome.exit_code == 0:  # it was faster than a stop
        return _ended(row, event.at_s, TaskState.COMPLETED, None)
    if task.stop_reason is not None:
        return _stopped(row, event.at_s)
    problem = outcome.problem or Problem(code=FaultCode.SANDBOX_FAILED, about="it ended without saying how")
    return _ended(row, event.at_s, TaskState.FAILED, problem)


def _lost(task: Task, event: RunLost, _paused: bool) -> Step:
    if task.stop_reason is not None:
        return _stopped(task, event.at_s)
    return _ended(task, event.at_s, TaskState.FAILED, _interruption(task))


def _packed(task: Task, event: ResultPacked, _paused: bool) -> Step | None:
    if task.delivery is not Delivery.NONE:
        return None
    row = replace(
        task, phase=Phase.NONE, delivery=Delivery.OWED, result_bytes=event.result_bytes,
        problem=task.problem or event.problem,
    )  # fmt: skip
    upload = UploadResult(key=task.key, attempt=task.attempt)
    return Step(task=row, effects=(upload,), text=f"{event.result_bytes} bytes")


def _delivered(task: Task, event: ResultDelivered, _paused: bool) -> Step | None:
    if task.delivery is not Delivery.OWED:
        return None
    row = replace(task, delivery=Delivery.DELIVERED, delivered_at_s=event.at_s)
    if row.problem is not None and row.problem.code is FaultCode.RESULT_TOO_LARGE:
        return Step(task=row, text="its logs; the whole result stays in its folder here")
    return Step(task=row, effects=(RemoveWorkspace(key=task.key, attempt=task.attempt),))


def _refused(task: Task, event: ResultRefused, _paused: bool) -> Step | None:
    if task.delivery is not Delivery.OWED:
        return None
    row = replace(task, delivery=Delivery.KEPT, problem=task.problem or event.problem)
    remove = RemoveWorkspace(key=task.key, attempt=task.attempt)
    return Step(task=row, effects=(remove,), text=event.problem.about)


def _stop(task: Task, event: StopAsked, _paused: bool) -> Step | None:
    if task.stop_reason is not None:
        return None
    row = replace(task, stop_reason=event.reason, phase=Phase.STOPPING)
    return Step(
        task=row, effects=(StopRun(key=task.key, attempt=task.attempt),), text=f"by {event.reason.value}"
    )


def _hold(task: Task, event: TaskPauseAsked, _paused: bool) -> Step | None:
    """Only the wish is noted here: who runs and who does not is settled for all tasks at once."""
    if task.held is event.paused or task.stop_reason is not None:
        return None
    return Step(task=replace(task, held=event.paused), text="pause" if event.paused else "resume")


def _row(allocated: Cell, running: Cell, ended: Cell) -> dict[TaskState, Cell]:
    return {
        TaskState.ALLOCATED: allocated,
        TaskState.RUNNING: running,
        TaskState.PAUSED: running,
        TaskState.COMPLETED: ended,
        TaskState.FAILED: ended,
        TaskState.STOPPED: ended,
    }


TABLE: dict[type[Event], dict[TaskState, Cell]] = {
    #                    ALLOCATED    RUNNING, PAUSED  ended
    Unpacked: _row(_unpacked, _same, _same),
    RunPrepared: _row(_prepared, _same, _same),
    RunStarted: _row(_started, _same, _same),
    RunEnded: _row(_run_ended, _run_ended, _same),
    RunLost: _row(_same, _lost, _same),
    ResultPacked: _row(_same, _same, _packed),
    ResultDelivered: _row(_same, _same, _delivered),
    ResultRefused: _row(_same, _same, _refused),
    StopAsked: _row(_stop, _stop, _same),
    TaskPauseAsked: _row(_hold, _hold, _same),
}
