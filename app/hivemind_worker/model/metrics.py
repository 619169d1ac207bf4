"""Figures over time, and pages of ended tasks: what front ends ask the store for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from hivemind_worker.model.machine import Sample
from hivemind_worker.model.task import Task, TaskKey

Value = float | None
MEASURED = (
    "cpu_percent", "memory_percent", "disk_available_gb", "gpu_percent", "ours_cpu_percent",
    "ours_memory_percent", "ours_disk_bps", "gpu_memory_percent", "net_down_bps", "net_up_bps",
    "disk_read_bps", "disk_write_bps", "cpu_celsius", "gpu_celsius", "ours_gpu_percent",
)  # fmt: skip
"""The columns that are fields of a `Sample`."""

COLUMNS = (*MEASURED, "running_tasks", "paused")
"""What a point holds. `paused` is the share of the time: 0 or 1, in means between."""


class Step(IntEnum):
    """Distance of points in seconds."""

    SECOND = 1
    MINUTE = 60
    HOUR = 3600


KEPT = {Step.SECOND: 3600, Step.MINUTE: 2880, Step.HOUR: 17_520}
"""Points at most: an hour, two days, two years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The means of one step; `at_s` is its beginning, whole UTC epoch seconds."""

    at_s: int
    values: tuple[Value, ...]  # in the order of COLUMNS


def point_values(sample: Sample, running_tasks: int, paused: bool) -> tuple[Value, ...]:
    """A moment in the order of COLUMNS."""
    measured: tuple[Value, ...] = tuple(getattr(sample, name) for name in MEASURED)
    return (*measured, float(running_tasks), 1.0 if paused else 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in the list of ended tasks, newest first: behind the task with this end and key."""

    ended_at_s: float
    key: TaskKey


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskWindow:
    """Ended tasks by number, newest first (or oldest): those from `offset` on, and how many there are."""

    offset: int
    total: int
    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPage:
    """Ended tasks, newest first, and the place behind them; None when there are no more."""

    tasks: tuple[Task, ...]
    following: Place | None
