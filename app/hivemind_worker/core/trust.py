"""The trust score of the original documentation: +2 for a completed task, -5 for a failed one, 0 to 100."""

from __future__ import annotations

from hivemind_worker.model.task import TaskState

LOWEST, HIGHEST = 0, 100
HIGH_FROM, MEDIUM_FROM = 80, 50
CHANGES = {TaskState.COMPLETED: +2, TaskState.FAILED: -5, TaskState.STOPPED: 0}


def moved(score: int, ended_as: TaskState) -> int:
    """The score after a task ended so."""
    return min(HIGHEST, max(LOWEST, score + CHANGES[ended_as]))


def group(score: int) -> str:
    """high from 80, medium from 50, else low."""
    if score >= HIGH_FROM:
        return "high"
    return "medium" if score >= MEDIUM_FROM else "low"
