"""The graphs of the dashboard and of the monitor: drawn from the node's figures, with what holds now."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hivemind_worker.model.machine import Sample
from hivemind_worker.model.metrics import Point, point_values
from hivemind_worker.model.resources import CPU_SCORE_PER_CORE
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.model.task import Task
from hivemind_worker.model.work import UsePoint
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.drawing import Drawing, drawing
from hivemind_worker.presentation.graphs import Graph, Limit, Slices, graph, latest, sliced, table_head
from hivemind_worker.presentation.ranges import RANGES, Range
from hivemind_worker.presentation.task_curve import curve_words, task_curves

if TYPE_CHECKING:
    from hivemind_worker.engine.face import NodeFace

MOST_POINTS = 3600
MONITOR = ("cpu", "memory", "gpu", "network", "disk", "temperature")
DASHBOARD = ("cpu", "memory", "gpu")
NEEDS = {"gpu": "gpu_percent", "temperature": "cpu_celsius"}
"""Graphs of what not every computer has, and the figure without which they are left out."""

LIVE = {
    "cpu": ("ours_cpu_percent", "others_cpu_percent", "cpu_percent"),
    "memory": ("ours_memory_gb", "others_memory_gb", "memory_used_gb"),
    "gpu": ("gpu_percent", ""),
    "network": ("net_down_mib_s", "net_up_mib_s", ""),
    "disk": ("ours_disk_mib_s", "others_disk_mib_s", "disk_mib_s"),
    "temperature": ("cpu_celsius", ""),
}
"""The keys of the event `metrics` under which a graph's parts and their sum go on, in the graph's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A value that the page keeps up to date: its name, the text now, the key of the events."""

    name: str
    text: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One graph on a page. `whole` stands at its right, set off."""

    graph: Graph
    drawing: Drawing
    parts: tuple[Figure, ...]
    whole: Figure | None
    head: tuple[str, ...]


async def shown_graphs(node: NodeFace, sample: Sample, span: Range, kinds: tuple[str, ...]) -> list[Shown]:
    """The graphs of a range that ends now; those of parts that this computer lacks are left out."""
    snapshot = node.snapshot()
    points = await node.history(span.step, snapshot.at_s - span.length_s, MOST_POINTS)
    there = [kind for kind in kinds if kind not in NEEDS or getattr(sample, NEEDS[kind]) is not None]
    cut = sliced(points, span, snapshot.at_s)
    return [_shown(kind, cut, snapshot, sample) for kind in there]


def shown_use(task: Task, points: Sequence[UsePoint]) -> list[Shown]:
    """What a task has used over its time; nothing where that is not known."""
    return [
        Shown(
            graph=made, drawing=drawing(made), parts=(), head=table_head(made),
            whole=Figure(name="", text=curve_words(made, ended=task.state.has_ended), key=""),
        )
        for made in task_curves(task, points)
    ]  # fmt: skip


def _shown(kind: str, cut: Slices, snapshot: Snapshot, sample: Sample) -> Shown:
    scale, limit = sample.memory_total_gb or 1.0, _limit(kind, snapshot)
    made = graph(cut, kind, scale=scale, limit=limit)
    parts, whole = _now(kind, snapshot, sample, scale)
    return Shown(graph=made, drawing=drawing(made), parts=parts, whole=whole, head=table_head(made))


def _now(
    kind: str, snapshot: Snapshot, sample: Sample, scale: float
) -> tuple[tuple[Figure, ...], Figure | None]:
    """What holds at this moment, made of the sample as the graph is made of its points."""
    moment = Point(at_s=int(snapshot.at_s), values=point_values(sample, 0, False))
    now = latest(graph(sliced((moment,), RANGES["1m"], snapshot.at_s + 1), kind, scale=scale))
    if now is None:
        return (), None
    *keys, whole_key = LIVE[kind]
    figures = tuple(
        Figure(name=name, text=text, key=key) for (_role, name, text), key in zip(now.rows, keys, strict=True)
    )
    if now.total:
        return figures, Figure(name="", text=now.total, key=whole_key)
    return ((), figures[0]) if len(figures) == 1 else (figures, None)


def _limit(kind: str, snapshot: Snapshot) -> Limit | None:
    """What is lent to tasks at most, in the unit of the graph."""
    if kind == "memory":
        return Limit(value=snapshot.total.memory_gb, name=_("lent at most"))
    if kind == "cpu":
        cores = snapshot.total.cpu / CPU_SCORE_PER_CORE
        return Limit(value=min(100.0, 100.0 * cores / (os.cpu_count() or 1)), name=_("lent at most"))
    return None
