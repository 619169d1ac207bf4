"""The history by day in a worker's life: what runs and ends, what a crash takes, what was known before."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from hivemind_worker.machine.energy import EnergyMeter
from hivemind_worker.model.days import day_of
from hivemind_worker.model.history import JournalEntry
from hivemind_worker.model.machine import Gpu
from hivemind_worker.model.pools import Balance
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.settings import Settings
from hivemind_worker.model.task import Task, TaskKey, TaskState, Usage
from hivemind_worker.model.worked import EnergySource, Work
from hivemind_worker.nursery import NamedThread, Nursery
from hivemind_worker.presentation.work_history import By, Days, history_table
from hivemind_worker.store.balances import BalanceBook
from hivemind_worker.store.journal import SqliteJournal, connect
from hivemind_worker.store.work_book import WorkBook
from hivemind_worker.worker_node import worked
from hivemind_worker.worker_node.worked import WorkWatch
from tests.fakes.node import make_task

CORES, FULL_W = 2, 40.0
POOL = "10.0.0.1:50051"
TODAY = day_of(time.time())


class Life:
    """Stands for the parts of a worker in one life of a home; `tasks` are those that have not ended."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.now_s = 100.0
        self.probe, self._journal_thread = NamedThread("probe"), NamedThread("journal")
        self.nursery = Nursery("life")
        self.journal = SqliteJournal(connect(home / "journal.sqlite3"), self._journal_thread)
        self.has_journal = True
        self.work, self.balances = WorkBook(home), BalanceBook(home)
        self.settings = Settings(full_load_w=FULL_W, power_price=0.5)
        self.tasks: list[Task] = []
        self.used: dict[TaskKey, float] = {}
        self.cards: tuple[Gpu, ...] = ()
        self.engine = SimpleNamespace(state=SimpleNamespace(unended=lambda: tuple(self.tasks)))
        self.runtime = SimpleNamespace(used_cpu_s=lambda key, _attempt: self.used.get(key))
        (home / "sys").mkdir(exist_ok=True)
        meter = EnergyMeter(
            lambda: self.settings.full_load_w, powercap=home / "sys", supplies=home / "sys",
            steady=lambda: self.now_s, busy=lambda: self.now_s, cores=CORES,
        )  # fmt: skip
        self.watch = WorkWatch(self, meter)  # type: ignore[arg-type]

    async def look(self, passed_s: float = 5.0) -> None:
        self.now_s += passed_s
        await self.watch.look()

    async def end(self, task: Task, cpu_s: float, state: TaskState = TaskState.COMPLETED) -> None:
        """As the engine does: the journal holds it before anything else happens."""
        usage = Usage(cpu_s=cpu_s, wall_s=60.0)
        self.tasks = [other for other in self.tasks if other.key != task.key]
        self.used.pop(task.key, None)
        ended = replace(task, state=state, ended_at_s=time.time(), usage=usage)
        await self.journal.commit(JournalEntry(tasks=(ended,)))

    async def found(self) -> tuple[Work, ...]:
        return (await self.watch.history(TODAY, TODAY)).work

    async def crash(self) -> None:
        """What was not written is gone."""
        await self.work.close()
        await self.leave()

    async def close(self) -> None:
        await self.watch.close()
        await self.leave()

    async def leave(self) -> None:
        await self.balances.close()
        await self.journal.close()
        self.probe.close(wait=False)
        self._journal_thread.close(wait=False)


@pytest.fixture
async def life(tmp_path: Path) -> AsyncIterator[Life]:
    made = Life(tmp_path)
    yield made
    await made.close()


def running(name: str = "a", **more: object) -> Task:
    made = make_task(name, started_at_s=time.time() - 60, pool=POOL, image="cpython-3.12.0-small@sha256:ab")
    return replace(made, **more)  # type: ignore[arg-type]


async def test_energy_of_running_tasks_is_there_before_they_end(life: Life) -> None:
    task = running()
    life.tasks, life.used = [task], {task.key: 3.0}
    await life.look()
    life.used[task.key] = 8.0
    await life.look()
    (found,) = await life.found()
    assert found.joules == {EnergySource.ESTIMATE: pytest.approx(8 * FULL_W / CORES)}
    assert (found.completed, found.wall_s) == (0, 0), "hours stand there when it has ended"
    await life.end(task, 10.0)
    await life.look()
    (found,) = await life.found()
    assert found.joules == {EnergySource.ESTIMATE: pytest.approx(10 * FULL_W / CORES)}
    assert (found.completed, found.wall_s, found.cpu_s) == (1, 60, 10)


async def test_a_task_shorter_than_the_time_between_looks_costs_what_it_used(life: Life) -> None:
    await life.look()
    await life.end(running("short"), 0.7, TaskState.FAILED)
    (found,) = await life.found()
    assert (found.failed, found.cpu_s) == (1, 0.7)
    assert found.joules == {EnergySource.ESTIMATE: pytest.approx(0.7 * FULL_W / CORES)}


async def test_the_history_begins_with_what_the_journal_knows(life: Life) -> None:
    old = [
        replace(running(f"old {number}"), pool="", state=TaskState.COMPLETED, ended_at_s=time.time())
        for number in range(3 * worked.PAGE // 2)
    ]
    await life.journal.commit(JournalEntry(tasks=tuple(old)))
    await life.end(running("last", pool=""), 1.0, TaskState.STOPPED)
    await life.look()
    history = await life.watch.history(TODAY, TODAY)
    table = history_table(history, By.POOL, Days(TODAY, TODAY))
    assert [(row.key, row.completed, row.stopped) for row in table.rows] == [("", 300, 1)]


async def test_a_crash_takes_nothing_that_the_end_of_a_task_does_not_bring_back(
    tmp_path: Path,
) -> None:
    task = running()
    life = Life(tmp_path)
    life.tasks, life.used = [task], {task.key: 4.0}
    await life.look()  # the first look saves
    life.used[task.key] = 9.0
    await life.look()  # noted, and not saved yet: less than a minute has passed
    await life.crash()

    again = Life(tmp_path)
    (found,) = await again.work.read(TODAY, TODAY)
    assert found.joules == {EnergySource.ESTIMATE: pytest.approx(4 * FULL_W / CORES)}, (
        "a save interval is lost"
    )
    await again.end(task, 12.0)
    (found,) = await again.found()
    assert found.joules == {EnergySource.ESTIMATE: pytest.approx(12 * FULL_W / CORES)}, "and brought back"
    assert found.completed == 1
    await again.close()


async def test_a_task_that_outlives_the_worker_goes_on_where_it_was_noted(tmp_path: Path) -> None:
    task = running()
    life = Life(tmp_path)
    life.tasks, life.used = [task], {task.key: 4.0}
    await life.look()
    await life.crash()
    again = Life(tmp_path)
    again.tasks, again.used = [task], {task.key: 6.0}
    await again.watch.begin()
    await again.look()
    (found,) = await again.found()
    assert found.joules == {EnergySource.ESTIMATE: pytest.approx(6 * FULL_W / CORES)}
    await again.close()


async def test_what_ended_at_the_last_is_counted_before_the_worker_ends(tmp_path: Path) -> None:
    life = Life(tmp_path)
    task = running()
    life.tasks = [task]
    await life.look()
    await life.end(task, 2.0, TaskState.STOPPED)
    await life.watch.close()
    await life.watch.look()  # a late look finds the book closed and leaves it alone
    await life.leave()
    again = Life(tmp_path)
    assert [work.stopped for work in await again.work.read(TODAY, TODAY)] == [1]
    await again.close()


async def test_cards_cost_the_tasks_that_were_given_them(life: Life) -> None:
    one = running("one", demand=Resources(gpu=75))
    two = running("two", demand=Resources(gpu=25), image="other")
    life.tasks = [one, two, running("three")]
    life.cards = (Gpu(name="card", percent=1.0, watts=20.0),)
    await life.look()
    life.cards = (Gpu(name="card", percent=95.0, watts=220.0),)
    await life.look()
    found = {work.place.image: work.joules for work in await life.found()}
    assert found["cpython-3.12.0-small"] == {EnergySource.NVML: pytest.approx(200 * 5 * 0.75)}
    assert found["other"] == {EnergySource.NVML: pytest.approx(200 * 5 * 0.25)}


async def test_a_journal_that_cannot_be_read_now_is_waited_for(
    life: Life, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await life.end(running(), 1.0)

    async def broken(*_: object) -> None:
        raise OSError(5, "the journal cannot be used")

    with monkeypatch.context() as patched:
        patched.setattr(life.journal, "ended_page", broken)
        await life.look()
        assert await life.found() == ()
    assert "waits for the journal" in caplog.text
    assert [work.completed for work in await life.found()] == [1]


async def test_credits_and_the_price_come_with_it(life: Life) -> None:
    now_s = time.time()
    await life.balances.note(POOL, "ann", Balance(at_s=now_s - 1, amount=5))
    await life.balances.note(POOL, "ann", Balance(at_s=now_s, amount=12))
    await life.end(running(), 3600.0)
    history = await life.watch.history(TODAY, TODAY)
    total = history_table(history, By.DAY, Days(TODAY, TODAY)).total
    assert total.credits == 7, "what an account begins with is known although both are of the same minute"
    assert total.energy_kwh == pytest.approx(FULL_W / CORES / 1000)
    assert total.cost == pytest.approx(0.5 * FULL_W / CORES / 1000)
