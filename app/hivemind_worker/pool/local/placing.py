"""Which node a waiting task is offered to: pure choice, no I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from hivemind_worker.model.pool_records import Demand, PoolNode, PoolTask
from hivemind_worker.model.resources import DEFAULT_CPU_SCORE, DEFAULT_MEMORY_GB

USUAL_CPU, USUAL_MEMORY_GB = int(DEFAULT_CPU_SCORE), int(DEFAULT_MEMORY_GB)
ANY_GPU = frozenset({"", "any"})


def _nothing() -> dict[str, int]:
    return defaultdict(int)


class Room(Enum):
    """What a node still has room for."""

    SOME = auto()
    LITTLE = auto()  # only for a task that asks for no processor or no memory
    NONE = auto()


@dataclass(slots=True)
class Load:
    """What the tasks on each node take together, by node id; grows as offers are made.

    What a task does not ask for it gets all the same: one core and 1 GiB (`model.resources.normal_demand`).
    Without counting that, a full node would be given one such task after the other and refuse each.
    """

    cpu: dict[str, int] = field(default_factory=_nothing)
    memory_gb: dict[str, int] = field(default_factory=_nothing)
    gpu: dict[str, int] = field(default_factory=_nothing)
    gpu_memory_gb: dict[str, int] = field(default_factory=_nothing)
    tasks: dict[str, int] = field(default_factory=_nothing)
    usual_cpu: dict[str, int] = field(default_factory=_nothing)
    """Beside `cpu`, since what a node announces of slow cores is less than its cores."""

    def add(self, node_id: str, task: PoolTask) -> None:
        """Count a task on a node."""
        self.cpu[node_id] += task.cpu_score
        self.memory_gb[node_id] += task.memory_gb or USUAL_MEMORY_GB
        self.gpu[node_id] += task.gpu_score
        self.gpu_memory_gb[node_id] += task.gpu_memory_gb
        self.tasks[node_id] += 1
        self.usual_cpu[node_id] += task.cpu_score or USUAL_CPU

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
            and self._fits_beside(node, demand.cpu_score or USUAL_CPU, demand.memory_gb or USUAL_MEMORY_GB)
        )

    def _fits_beside(self, node: PoolNode, cpu: int, memory_gb: int) -> bool:
        """The first task may always come: a small node that announces less than the usual may yet take it."""
        name = node.node_id
        return not self.tasks[name] or (
            self.usual_cpu[name] + cpu <= max(node.cpu_score, node.cpu_cores * USUAL_CPU)
            and self.memory_gb[name] + memory_gb <= node.memory_gb
            and (not node.most_tasks or self.tasks[name] < node.most_tasks)
        )

    def room(self, node: PoolNode) -> Room:
        """What a new task may ask for to be worth a look at this node."""
        name = node.node_id
        if not self._fits_beside(node, 1, 1):
            return Room.NONE
        is_full = self.cpu[name] >= node.cpu_score or self.memory_gb[name] >= node.memory_gb
        return Room.LITTLE if is_full else Room.SOME


def asks_for_little(task: PoolTask) -> bool:
    """Whether the task may fit where there is `Room.LITTLE`."""
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
