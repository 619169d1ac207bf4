"""Which tasks are handed out next: those that wait longest, found without a look at all the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hivemind_worker.model.pool_records import Demand, PoolTask, PoolTaskState, Queue
from hivemind_worker.model.task import TaskId, key_of
from hivemind_worker.store.pool_tables import PoolTables

SMALL, LARGE = Demand(100, 1, 0, 0, ""), Demand(100, 8, 50, 4, "RTX 4090")


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[PoolTables]:
    made = PoolTables(tmp_path / "book.sqlite3")
    made._base.execute("PRAGMA synchronous = OFF")
    yield made
    made.close()


def put(tables: PoolTables, name: str, demand: Demand = SMALL, at_s: float = 1e9) -> PoolTask:
    task = PoolTask(
        key=key_of(TaskId(name)), task_id=TaskId(name), owner="ada", state=PoolTaskState.PENDING,
        archive_bytes=9, location="", uploaded_at_s=at_s, **demand._asdict(),
    )  # fmt: skip
    assert tables.add_task(task)
    return task


def test_tasks_come_by_how_long_they_wait_whatever_they_ask_for(tables: PoolTables) -> None:
    put(tables, "third", SMALL, 30.0)
    put(tables, "first", LARGE, 10.0)
    put(tables, "second", SMALL, 20.0)
    for n in range(3):
        put(tables, f"same second {n}", (LARGE, SMALL)[n % 2], 40.0)
    names = [task.task_id for task in tables.waiting({SMALL, LARGE}, 9, set())]
    assert names == ["first", "second", "third", "same second 0", "same second 1", "same second 2"]
    assert [task.task_id for task in tables.waiting({SMALL}, 2, {key_of(TaskId("second"))})] == [
        "third", "same second 1",
    ]  # fmt: skip
    assert tables.waiting((), 9, set()) == ()


def test_what_is_asked_for_is_told_once_and_only_while_a_task_of_it_waits(tables: PoolTables) -> None:
    odd = Demand(0, 0, 0, 0, "ü' OR 1=1 --")
    for n in range(3):
        put(tables, f"small {n}")
    large, strange = put(tables, "large", LARGE), put(tables, "odd", odd)
    assert set(tables.demands()) == {SMALL, LARGE, odd} and len(tables.demands()) == 3
    assert tables.waiting({odd}, 9, set()) == (strange,)
    tables.begin(large.key, "wim", 1e9)
    tables.end(strange.key, PoolTaskState.STOPPED, "", 1e9)
    assert tables.demands() == (SMALL,) and tables.waiting({LARGE, odd}, 9, set()) == ()


def test_waiting_tasks_are_counted_by_what_they_ask_for_with_the_first_of_each(tables: PoolTables) -> None:
    for number, demand in enumerate((SMALL, LARGE, SMALL)):
        put(tables, f"t{number}", demand, 50.0 - number)
    tables.begin(put(tables, "runs", SMALL, 1.0).key, "wim", 1e9)
    assert set(tables.queues()) == {
        Queue(demand=SMALL, count=2, oldest_at_s=48.0), Queue(demand=LARGE, count=1, oldest_at_s=49.0),
    }  # fmt: skip


def test_nodes_that_may_hold_a_waiting_task_are_found_and_those_of_others_are_not(tables: PoolTables) -> None:
    for name in ("waits", "runs"):
        tables.offer(put(tables, name).key, "wim")
    put(tables, "was never offered")
    tables.begin(key_of(TaskId("runs")), "wim", 1e9)
    assert tables.offered() == ((key_of(TaskId("waits")), "wim"),)


def steps(tables: PoolTables, look: Callable[[], object]) -> int:
    """How many instructions SQLite's machine takes for it: the same on every computer."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    tables._base.set_progress_handler(count, 1)
    look()
    tables._base.set_progress_handler(None, 1)
    return taken


def test_finding_the_next_tasks_costs_the_same_however_many_wait(tables: PoolTables) -> None:
    looks: tuple[Callable[[], object], ...] = (
        tables.demands, lambda: tables.waiting({SMALL, LARGE}, 20, set()), lambda: tables.tasks_of("ada", 20),
        lambda: tables.tasks_in(PoolTaskState.RUNNING),
    )  # fmt: skip
    costs = []
    for first, last in ((0, 100), (100, 3000)):
        for n in range(first, last):
            put(tables, f"t{n}", (SMALL, LARGE)[n % 2], 1e9 + n)
        costs.append([steps(tables, look) for look in looks])
    for few, many in zip(*costs, strict=True):
        assert many <= 1.2 * few + 20, costs
