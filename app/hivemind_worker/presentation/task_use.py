"""What one running task used lately, kept while somebody looks, and its graph. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from hivemind_worker.model.resources import CPU_SCORE_PER_CORE
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.model.task import TaskKey
from hivemind_worker.model.work import RunFigures
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.graphs import BUCKETS, PERCENT, Graph, Role, Series
from hivemind_worker.presentation.task_columns import Facts, gpu_words, short_id

EVERY_S = 1.0
LEAST_APART_S = 0.7


@dataclass(slots=True)
class TaskUse:
    """Processor of the running tasks, in percent of what each asked for: the last two minutes, 1 Hz."""

    _kept: dict[TaskKey, deque[tuple[float, float]]] = field(default_factory=dict)

    def note(self, snapshot: Snapshot, uses: Mapping[TaskKey, RunFigures]) -> None:
        """Keep what is known now; tasks that have gone are forgotten."""
        tasks = {task.key: task for task in snapshot.tasks}
        self._kept = {key: kept for key, kept in self._kept.items() if key in tasks}
        for key, used in uses.items():
            kept = self._kept.setdefault(key, deque(maxlen=BUCKETS))
            cores = tasks[key].demand.cpu / CPU_SCORE_PER_CORE if key in tasks else 0.0
            if cores and (not kept or snapshot.at_s - kept[-1][0] >= LEAST_APART_S):
                kept.append((snapshot.at_s, 100 * used.cores / cores))

    def graph(self, key: TaskKey, now_s: float) -> Graph:
        """The last two minutes of a task; gaps where nobody looked or it stood still."""
        begin_s = now_s - BUCKETS * EVERY_S
        slots: list[float | None] = [None] * BUCKETS
        for at_s, percent in self._kept.get(key, ()):
            number = int((at_s - begin_s) / EVERY_S) - 1
            if 0 <= number < BUCKETS:
                slots[number] = percent
        return Graph(
            kind="task", title=_("CPU of limit"), unit=PERCENT, digits=0, top=100.0, stacked=False,
            begin_s=begin_s, end_s=now_s, times_s=tuple(begin_s + (n + 1) * EVERY_S for n in range(BUCKETS)),
            series=(Series(role=Role.OURS, name=_("this task"), values=tuple(_bridged(slots))),),
        )  # fmt: skip


def gpu_by_task(snapshot: Snapshot, uses: Mapping[TaskKey, RunFigures]) -> str:
    """What each running task that asked for a graphics card takes of it; "" where none did."""
    facts = Facts(now_s=snapshot.at_s, time_limit_s=0.0, uses=uses)
    return "; ".join(
        _("task {task}: {use}", task=short_id(task), use=gpu_words(task, facts))
        for task in snapshot.tasks if task.demand.gpu and task.key in uses
    )  # fmt: skip


def _bridged(slots: list[float | None]) -> list[float | None]:
    """A single second that no look fell into is not a gap."""
    filled = list(slots)
    for number in range(1, len(slots) - 1):
        if slots[number] is None and slots[number + 1] is not None:
            filled[number] = slots[number - 1]
    if filled[-1] is None:  # the second that has just begun
        filled[-1] = filled[-2]
    return filled
