"""The failure guard: three failures in a row of one image hold new work back, for longer each time."""

from __future__ import annotations

from dataclasses import replace

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.snapshot import FailureRun
from hivemind_worker.model.task import Task, TaskState

PATIENCE = 3
HOLDS_S = (300.0, 900.0, 3600.0)
MOST_IMAGES = 50
ABOUT_CHARS = 200
NOT_ITS_FAULT = (FaultCode.INTERRUPTED,)


def image_of(task: Task) -> str:
    """What a task ran in: an image, or the built-in sandbox."""
    return task.image or task.runtime


def after_end(runs: tuple[FailureRun, ...], task: Task, at_s: float) -> tuple[FailureRun, ...]:
    """The runs after a task has ended. One that never ran says nothing of its image."""
    image = image_of(task)
    if not image or task.state is TaskState.STOPPED:
        return runs
    if task.problem is not None and task.problem.code in NOT_ITS_FAULT:
        return runs
    others = tuple(run for run in runs if run.image != image)[-(MOST_IMAGES - 1) :]
    if task.state is TaskState.COMPLETED:
        return others
    before = next((run for run in runs if run.image == image), FailureRun(image=image))
    return (*others, _failed_again(before, task, at_s))


def _failed_again(run: FailureRun, task: Task, at_s: float) -> FailureRun:
    code, about = (task.problem.code.value, task.problem.about) if task.problem else ("", "")
    run = replace(
        run, count=run.count + 1, last_code=code, last_about=about[:ABOUT_CHARS], last_task=task.task_id
    )
    held = run.until_s is not None and at_s < run.until_s  # tasks that ran already when it began
    if run.count < PATIENCE or held:
        return run
    hold_s = HOLDS_S[min(run.holds, len(HOLDS_S) - 1)]
    return replace(run, holds=run.holds + 1, since_s=at_s, until_s=at_s + hold_s)


def tried_again(runs: tuple[FailureRun, ...]) -> tuple[FailureRun, ...]:
    """Every hold ended by the owner; the next failure begins a longer one."""
    return tuple(replace(run, until_s=None) for run in runs)
