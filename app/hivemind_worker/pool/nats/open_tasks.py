"""The tasks that are not done with, as one pool process last heard of them: found by state, node and demand.

Only a picture for choosing quickly; whether a choice holds is decided by compare-and-set at the server.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection
from heapq import merge
from itertools import islice
from typing import TypeVar

from hivemind_worker.model.pool_records import Demand, PoolTask, PoolTaskState, Queue
from hivemind_worker.model.task import TaskKey
from hivemind_worker.pool.nats.layout import TaskRecord

REMEMBERED_ENDED = 10_000
LOOKED_AT = 20
Name = TypeVar("Name")


def is_untold(task: PoolTask) -> bool:
    """Whether a node has yet to hear that the task was stopped."""
    stopped = task.state is PoolTaskState.STOPPED and not task.stop_told
    return stopped and bool(task.node_id) and not task.has_result


class OpenTasks:
    """Records by key, each with its sequence; a later one stays, whatever order they come in."""

    def __init__(self) -> None:
        self._known: dict[TaskKey, tuple[TaskRecord, int]] = {}
        self._ended: OrderedDict[TaskKey, int] = OrderedDict()
        self._by_state: dict[PoolTaskState, dict[TaskKey, None]] = defaultdict(dict)
        self._by_node: dict[str, dict[TaskKey, None]] = defaultdict(dict)
        self._waiting: dict[Demand, dict[TaskKey, None]] = defaultdict(dict)

    def clear(self) -> None:
        """Know nothing again."""
        for each in (self._known, self._ended, self._by_state, self._by_node, self._waiting):
            each.clear()

    def note(self, record: TaskRecord, revision: int) -> bool:
        """Take in a record; False when a later one is known."""
        key = record.task.key
        if self.knows(key, revision):
            return False
        before = self._known.get(key)
        if before is not None:
            self._leave(before[0].task)
        if record.task.state.has_ended and not is_untold(record.task) and record.owed is None:
            self._known.pop(key, None)
            self._ended[key] = revision
            if len(self._ended) > REMEMBERED_ENDED:
                self._ended.popitem(last=False)
        else:
            self._ended.pop(key, None)
            self._known[key] = (record, revision)
            self._enter(record.task)
        return True

    def _enter(self, task: PoolTask) -> None:
        self._by_state[task.state][task.key] = None
        if task.node_id:
            self._by_node[task.node_id][task.key] = None
        if task.state is PoolTaskState.PENDING:
            self._waiting[task.demand][task.key] = None

    def _leave(self, task: PoolTask) -> None:
        self._by_state[task.state].pop(task.key, None)
        _drop(self._by_node, task.node_id, task.key)
        _drop(self._waiting, task.demand, task.key)

    def knows(self, key: TaskKey, revision: int) -> bool:
        """Whether this record, or a later one, was taken in."""
        known = self._known.get(key)
        return revision <= (known[1] if known else self._ended.get(key, 0))

    def get(self, key: TaskKey) -> tuple[TaskRecord, int] | None:
        """A record and its sequence."""
        return self._known.get(key)

    def all(self) -> list[TaskRecord]:
        """Every record."""
        return [record for record, _ in self._known.values()]

    def in_state(self, state: PoolTaskState) -> list[TaskRecord]:
        """Oldest first."""
        found = [self._known[key][0] for key in self._by_state[state]]
        return sorted(found, key=_age)

    def of_node(self, node_id: str) -> list[TaskRecord]:
        """What a node has."""
        return [self._known[key][0] for key in self._by_node.get(node_id, ())]

    def demands(self) -> list[Demand]:
        """What waiting tasks ask for."""
        return [demand for demand, keys in self._waiting.items() if keys]

    def queues(self) -> list[Queue]:
        """The same with how many there are and since when."""
        return [
            Queue(
                demand=demand, count=len(keys),
                oldest_at_s=min(self._known[key][0].task.uploaded_at_s for key in keys),
            )
            for demand, keys in self._waiting.items()
            if keys
        ]  # fmt: skip

    def waiting(
        self, demands: Collection[Demand], most: int, besides: Collection[TaskKey]
    ) -> list[TaskRecord]:
        """Those of these demands that wait longest, oldest first."""
        found = (
            (self._known[key][0] for key in self._waiting.get(demand, ()) if key not in besides)
            for demand in demands
        )
        return list(islice(merge(*found, key=_age), most))

    def pick(
        self, has_room: Callable[[Demand], bool], may: Callable[[TaskRecord], bool]
    ) -> TaskRecord | None:
        """A waiting task that fits, of each demand the one that waits longest here; it is picked once.

        Costs by the number of different demands, not of tasks.
        """
        fitting = (keys for demand, keys in self._waiting.items() if keys and has_room(demand))
        found = (self._first(keys, may) for keys in fitting)
        chosen = min((each for each in found if each is not None), key=_age, default=None)
        if chosen is not None:
            self._waiting[chosen.task.demand].pop(chosen.task.key)
        return chosen

    def _first(self, keys: dict[TaskKey, None], may: Callable[[TaskRecord], bool]) -> TaskRecord | None:
        """The first that may, of the first few: tasks of one demand differ only by who has refused them."""
        few = (self._known[key][0] for key in islice(keys, LOOKED_AT))
        return next((each for each in few if may(each)), None)

    def waits(self, key: TaskKey) -> bool:
        """Whether a task waits, and is not picked."""
        known = self._known.get(key)
        return known is not None and key in self._waiting.get(known[0].task.demand, ())

    def put_back(self, key: TaskKey) -> None:
        """What was picked is not taken: it waits on, behind the others."""
        known = self._known.get(key)
        if known is not None and known[0].task.state is PoolTaskState.PENDING:
            self._waiting[known[0].task.demand][key] = None


def _drop(index: dict[Name, dict[TaskKey, None]], name: Name, key: TaskKey) -> None:
    found = index.get(name, {})
    found.pop(key, None)
    if not found:
        index.pop(name, None)


def _age(record: TaskRecord) -> tuple[float, int]:
    return (record.task.uploaded_at_s, record.order)
