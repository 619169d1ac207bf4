"""What a node has room for by what it announced: tasks that ask for nothing count as the usual task."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hivemind_worker.model.pool_records import Demand, PoolNode, PoolTask, PoolTaskState
from hivemind_worker.model.task import TaskId, key_of
from hivemind_worker.pool.local.placing import Load, Room, load_of

NODE = PoolNode(
    node_id="larch", account="anna", hostname="h", port=1, peer="", cpu_cores=2, cpu_score=200, memory_gb=4,
    gpu_score=0, gpu_memory_gb=0, gpu_name="", location="", docker_status="", status="Idle", heard_at_s=0.0,
)  # fmt: skip
NOTHING = Demand(0, 0, 0, 0, "")


def task(name: str, cpu: int = 0, memory_gb: int = 0) -> PoolTask:
    return PoolTask(
        key=key_of(TaskId(name)), task_id=TaskId(name), owner="ada", state=PoolTaskState.RUNNING,
        archive_bytes=1, cpu_score=cpu, memory_gb=memory_gb, gpu_score=0, gpu_memory_gb=0, gpu_name="",
        location="", uploaded_at_s=0.0, node_id="larch",
    )  # fmt: skip


def load(*tasks: PoolTask) -> Load:
    return load_of(tasks)


def test_a_task_that_asks_for_nothing_counts_as_one_core_and_one_gib() -> None:
    assert load(task("a")).has_room(NODE, NOTHING)
    assert not load(task("a"), task("b")).has_room(NODE, NOTHING)
    assert not load(task("a"), task("b")).has_room(NODE, Demand(10, 0, 0, 0, ""))
    small = replace(NODE, memory_gb=1)
    assert not load(task("a")).has_room(small, NOTHING)


def test_small_tasks_fit_beside_one_another_by_what_they_ask_for() -> None:
    small = [task(str(number), cpu=40, memory_gb=1) for number in range(3)]
    assert load(*small).has_room(NODE, Demand(40, 1, 0, 0, ""))
    assert not load(*small).has_room(NODE, Demand(100, 1, 0, 0, ""))


def test_a_node_that_has_nothing_gets_the_usual_task_however_little_it_announces() -> None:
    assert load().has_room(replace(NODE, cpu_cores=1, cpu_score=50, memory_gb=0), NOTHING)


def test_slow_cores_are_worth_less_to_who_asks_and_a_core_to_who_does_not() -> None:
    slow = replace(NODE, cpu_score=120)
    assert load(task("a")).has_room(slow, NOTHING)
    assert not load(task("a", cpu=100)).has_room(slow, Demand(100, 1, 0, 0, ""))


@pytest.mark.parametrize(("most", "fits"), [(0, True), (1, False), (2, True)])
def test_there_are_no_more_tasks_than_places_where_they_are_told(most: int, fits: bool) -> None:
    node = replace(NODE, most_tasks=most)
    assert load(task("a", cpu=10, memory_gb=1)).has_room(node, Demand(10, 1, 0, 0, "")) is fits


def test_who_is_full_is_not_worth_a_look() -> None:
    assert load().room(NODE) is Room.SOME
    assert load(task("a")).room(NODE) is Room.SOME
    assert load(task("a"), task("b")).room(NODE) is Room.NONE
    slow = replace(NODE, cpu_score=100)
    assert load(task("a", cpu=100)).room(slow) is Room.LITTLE  # a usual task would still fit
    assert load(task("a", cpu=10)).room(replace(NODE, most_tasks=1)) is Room.NONE
