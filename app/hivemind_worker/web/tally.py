"""Counts the tasks that end while the worker lives: outcomes, and how long they took. For GET /metrics."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from hivemind_worker.model.task import Task, TaskKey, TaskState

OUTCOMES = (TaskState.COMPLETED, TaskState.FAILED, TaskState.STOPPED)
BOUNDS_S = (0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 21_600.0, 86_400.0)


class Durations:
    """A histogram: how many lasted at most so long."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds


class Tally:
    """Outcomes since the worker started. An ended task stays open until its result is settled: it is seen."""

    def __init__(self) -> None:
        self.ended = dict.fromkeys(OUTCOMES, 0)
        self.durations = Durations()
        self._counted: set[TaskKey] = set()

    def begin(self, open_tasks: Iterable[Task]) -> None:
        """What had ended before the worker started is not counted."""
        self._counted = {task.key for task in open_tasks if task.state.has_ended}

    def look(self, open_tasks: Iterable[Task]) -> None:
        """Count those that have ended since the last look."""
        ended = {task.key: task for task in open_tasks if task.state.has_ended}
        for key in ended.keys() - self._counted:
            self._count(ended[key])
        self._counted = set(ended)

    def _count(self, task: Task) -> None:
        self.ended[task.state] += 1
        if task.started_at_s is not None and task.ended_at_s is not None:
            self.durations.add(max(0.0, task.ended_at_s - task.started_at_s))
