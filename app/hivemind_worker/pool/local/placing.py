"""Which node a waiting task is offered to: pure choice, no I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hivemind_worker.model.pool_records import Demand, PoolNode, PoolTask

ANY_GPU = frozenset({"", "any"})


def _nothing() -> dict[str, int]:
    return defaultdict(int)


@dataclass(slots=True)
class Load:
    """What the tasks on each node take together, by node id; grows as offers are made."""

    cpu: dict[str, int] = field(default_factory=_nothing)
    memory_gb: dict[str, int] = field(default_factory=_nothing)
    gpu: dict[str, int] = field(default_factory=_nothing)
    gpu_memory_gb: dict[str, int] = field(default_factory=_nothing)
    tasks: dict[str, int] = field(default_factory=_nothing)

    def add(self, node_id: str, task: PoolTask) -> None:
        """Count a task on a node."""
        self.cpu[node_id] += task.cpu_score
        self.memory_gb[node_id] += task.memory_gb
        self.gpu[node_id] += task.gpu_score
        self.gpu_memory_gb[node_id] += task.gpu_memory_gb
        self.tasks[node_id] += 1

    def has_room(self, node: PoolNode, demand: Demand) -> bool:
        """Whether the node announced enough for such a task beside the others.

        An announcement is a hint: the worker itself decides, by refusing.
        """
        name = node.node_id
        return (
            self.cpu[name] + demand.cpu_score <= node.cpu_score
            and self.memory_gb[name] + demand.memory_gb <= node.memory_gb
            and self.gpu[name] + demand.gpu_score <= node.gpu_score
            and self.gpu_memory_gb[name] + demand.gpu_memory_gb <= node.gpu_memory_gb
            and _gpu_suits(node, demand)
        )

    def is_full(self, node: PoolNode) -> bool:
        """Whether no task fits that asks for processor and memory at all."""
        name = node.node_id
        return self.cpu[name] >= node.cpu_score or self.memory_gb[name] >= node.memory_gb


def asks_for_little(task: PoolTask) -> bool:
    """Whether the task may fit where `is_full` says that others do not."""
    return task.cpu_score <= 0 or task.memory_gb <= 0


def _gpu_suits(node: PoolNode, demand: Demand) -> bool:
    asked = demand.gpu_name.strip().lower()
    return asked in ANY_GPU or asked == node.gpu_name.strip().lower()


def load_of(tasks: Iterable[PoolTask]) -> Load:
    """The load that running tasks make."""
    load = Load()
    for task in tasks:
        load.add(task.node_id, task)
    return load


def by_preference(nodes: Sequence[PoolNode], load: Load) -> list[PoolNode]:
    """Fewest tasks for its processor first; by name where that is equal."""
    return sorted(nodes, key=lambda node: (load.tasks[node.node_id] / max(node.cpu_score, 1), node.node_id))
