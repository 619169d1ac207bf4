"""What one task has used over its whole time, as graphs: processor and memory against its limits. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hivemind_worker.model.resources import CPU_SCORE_PER_CORE
from hivemind_worker.model.task import Task
from hivemind_worker.model.work import UsePoint
from hivemind_worker.presentation.amounts import cores_words
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.graphs import BUCKETS, GIB_UNIT, PERCENT, Band, Graph, Role, Series

GIB = 1 << 30


def task_curves(task: Task, points: Sequence[UsePoint]) -> tuple[Graph, ...]:
    """Processor and memory from its start to the last point; nothing of a task that nothing is known of."""
    if not points or task.started_at_s is None or points[-1].at_s <= task.started_at_s:
        return ()
    cores, memory_gb = task.demand.cpu / CPU_SCORE_PER_CORE, task.demand.memory_gb

    def percent(point: UsePoint) -> float | None:
        return None if point.cores is None else min(100.0, 100 * point.cores / cores)

    def memory(point: UsePoint) -> float | None:
        return None if point.memory_bytes is None else point.memory_bytes / GIB

    cpu_title = _("CPU of its {cores}", cores=cores_words(cores))
    memory_title = _("Memory of its {memory} GiB", memory=f"{memory_gb:g}")
    begin_s = task.started_at_s
    return (
        Graph(kind="task-cpu", title=cpu_title, unit=PERCENT, digits=0, top=100.0,
              **_drawn(begin_s, points, percent)),
        Graph(kind="task-memory", title=memory_title, unit=GIB_UNIT, digits=2, top=memory_gb,
              **_drawn(begin_s, points, memory)),
    )  # fmt: skip


def curve_words(made: Graph, *, ended: bool) -> str:
    """Its figure: what holds now, and of a task that has ended the mean of its processor, the most memory."""
    known = [value for value in made.series[0].values if value is not None]
    if not known:
        return made.figure(None)
    if not ended:
        return made.figure(known[-1])
    if made.unit == PERCENT:
        return _("{value} on average", value=made.figure(sum(known) / len(known)))
    return _("{value} at most", value=made.figure(max(known)))


def _drawn(
    begin_s: float, points: Sequence[UsePoint], value: Callable[[UsePoint], float | None]
) -> dict[str, Any]:
    """What of a graph comes of the points: each slice has the value of the one that tells of its end."""
    end_s = points[-1].at_s
    step_s, ends = (end_s - begin_s) / BUCKETS, [point.at_s for point in points]
    times_s = tuple(begin_s + (number + 1) * step_s for number in range(BUCKETS))
    told = [points[min(bisect_left(ends, at_s), len(points) - 1)] for at_s in times_s]
    line = Series(role=Role.OURS, name=_("this task"), values=tuple(value(point) for point in told))
    return {
        "stacked": False, "begin_s": begin_s, "end_s": end_s, "times_s": times_s, "series": (line,),
        "bands": tuple(_bands(told)),
    }  # fmt: skip


def _bands(told: Sequence[UsePoint]) -> Iterable[Band]:
    first = None
    for number, point in enumerate(told):
        if point.paused and first is None:
            first = number
        if first is not None and (not point.paused or number == len(told) - 1):
            yield Band(first=first, last=number if point.paused else number - 1, name=_("paused"))
            first = None
