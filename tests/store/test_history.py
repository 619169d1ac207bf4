"""The rings of figures, and pages of ended tasks."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hivemind_worker.model.history import JournalEntry
from hivemind_worker.model.machine import Sample
from hivemind_worker.model.metrics import COLUMNS, KEPT, Place, Step, Value, point_values
from hivemind_worker.model.task import Task, TaskState
from hivemind_worker.nursery import NamedThread
from hivemind_worker.store.history import FILE_NAME, MetricHistory
from hivemind_worker.store.journal import SqliteJournal, connect
from tests.fakes.node import NOW_S, make_task

HOUR = int(NOW_S) // 3600 * 3600


def values(cpu: float, gpu: Value = None) -> tuple[Value, ...]:
    sample = Sample(cpu_percent=cpu, memory_percent=50.0, memory_available_gb=4.0, disk_available_gb=100.0,
                    gpu_percent=gpu)  # fmt: skip
    return point_values(sample, 1, paused=False)


async def note(history: MetricHistory, seconds: range, cpu: Callable[[int], float] = float) -> None:
    for second in seconds:
        over = history.add(HOUR + second + 0.5, values(cpu(second)))
        if over is not None:
            await history.write(over)


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[MetricHistory]:
    made = MetricHistory(tmp_path)
    yield made
    await made.close()


async def test_a_second_is_there_at_once_and_a_minute_when_it_is_over(history: MetricHistory) -> None:
    await note(history, range(60))
    seconds = await history.read(Step.SECOND, HOUR, 1000)
    assert [point.at_s for point in seconds] == [HOUR + n for n in range(60)]
    assert seconds[7].values == values(7.0)
    assert await history.read(Step.MINUTE, HOUR, 1000) == ()
    await note(history, range(60, 121))
    minutes = await history.read(Step.MINUTE, HOUR, 1000)
    assert [(point.at_s - HOUR, point.values[0]) for point in minutes] == [(0, 29.5), (60, 89.5)]
    hours = await history.read(Step.HOUR, HOUR, 1000)
    assert [(point.at_s - HOUR, point.values[0]) for point in hours] == [(0, 59.5)]
    assert len(await history.read(Step.SECOND, HOUR, 1000)) == 121
    assert [point.at_s - HOUR for point in await history.read(Step.SECOND, HOUR, 2)] == [119, 120]


async def test_a_figure_that_is_not_measured_stays_none(history: MetricHistory) -> None:
    await note(history, range(0, 130, 5))
    minute = (await history.read(Step.MINUTE, HOUR, 10))[0]
    assert minute.values[COLUMNS.index("gpu_percent")] is None
    assert minute.values[0] == 27.5


async def test_figures_survive_a_restart(tmp_path: Path) -> None:
    first = MetricHistory(tmp_path)
    await note(first, range(0, 90, 5))
    await first.close()
    second = MetricHistory(tmp_path)
    assert len(await second.read(Step.SECOND, HOUR, 100)) == 18
    assert len(await second.read(Step.MINUTE, HOUR, 100)) == 2
    await second.close()


async def test_the_rings_are_bounded_and_a_clock_that_was_ahead_leaves_nothing(
    history: MetricHistory,
) -> None:
    for hour in range(0, 60):  # two days and a half
        await note(history, range(hour * 3600, hour * 3600 + 3600, 300))
    assert len(await history.read(Step.SECOND, 0, 10**6)) <= KEPT[Step.SECOND]
    minutes = await history.read(Step.MINUTE, 0, 10**6)
    assert minutes[0].at_s > minutes[-1].at_s - KEPT[Step.MINUTE] * 60
    assert len(await history.read(Step.HOUR, 0, 10**6)) == 60
    await note(history, range(-7200, -7000))
    assert (await history.read(Step.HOUR, 0, 10**6))[-1].at_s < HOUR


async def test_a_damaged_file_of_figures_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database at all" * 50)
    history = MetricHistory(tmp_path)
    await note(history, range(0, 70, 5))
    assert len(await history.read(Step.MINUTE, HOUR, 10)) == 1
    await history.close()


async def test_figures_of_an_earlier_version_are_kept_and_new_ones_join_them(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / FILE_NAME)
    old.executescript(
        "CREATE TABLE points (step INTEGER NOT NULL, at_s INTEGER NOT NULL, cpu_percent REAL,"
        " memory_percent REAL, disk_available_gb REAL, gpu_percent REAL, running_tasks REAL, paused REAL,"
        " PRIMARY KEY (step, at_s)) WITHOUT ROWID;"
        f"INSERT INTO points VALUES (60, {HOUR - 60}, 42.0, 51.0, 99.0, NULL, 2.0, 1.0);"
    )
    old.close()
    history = MetricHistory(tmp_path)
    await note(history, range(0, 70, 5))
    earlier, later = await history.read(Step.MINUTE, HOUR - 60, 10)
    by_name = dict(zip(COLUMNS, earlier.values, strict=True))
    assert (by_name["cpu_percent"], by_name["running_tasks"], by_name["paused"]) == (42.0, 2.0, 1.0)
    assert by_name["ours_cpu_percent"] is None, "it was not measured then"
    assert dict(zip(COLUMNS, later.values, strict=True))["ours_cpu_percent"] == 0.0
    await history.close()


async def test_figures_that_cannot_be_kept_hurt_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE_NAME).mkdir()
    history = MetricHistory(tmp_path)
    await note(history, range(0, 70, 5))
    assert len(await history.read(Step.SECOND, HOUR, 10)) == 2, "the fresh ones are in memory"
    assert "could not be kept" in caplog.text
    await history.close()


# --- pages --------------------------------------------------------------------------------------


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    thread = NamedThread("journal")
    made = SqliteJournal(connect(tmp_path / "journal.sqlite3"), thread)
    yield made
    await made.close()
    thread.close()


def ended(number: int, state: TaskState = TaskState.COMPLETED) -> Task:
    return replace(make_task(f"task {number}", state), ended_at_s=NOW_S + number // 3)


async def test_pages_show_every_ended_task_once_also_where_many_ended_at_once(journal: SqliteJournal) -> None:
    tasks = [ended(number) for number in range(100)] + [make_task("running")]
    random.Random(7).shuffle(tasks)
    await journal.commit(JournalEntry(tasks=tuple(tasks)))
    seen: list[Task] = []
    place: Place | None = None
    for _ in range(100):
        page = await journal.ended_page(7, place)
        assert len(page.tasks) <= 7
        seen += page.tasks
        place = page.following
        if place is None:
            break
    assert len(seen) == len({task.key for task in seen}) == 100
    order = [(task.ended_at_s or 0.0, task.key) for task in seen]
    assert order == sorted(order, reverse=True)


async def test_a_task_that_ends_between_two_pages_moves_nothing(journal: SqliteJournal) -> None:
    await journal.commit(JournalEntry(tasks=tuple(ended(number) for number in range(10))))
    first = await journal.ended_page(5)
    await journal.commit(JournalEntry(tasks=(ended(50),)))
    second = await journal.ended_page(5, first.following)
    assert {task.task_id for task in (*first.tasks, *second.tasks)} == {f"task {n}" for n in range(10)}
    assert second.following is None


async def test_a_page_of_one_state_looks_at_a_bounded_number_of_rows(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hivemind_worker.store.task_pages.SCANNED", 20)
    states = [TaskState.FAILED if n % 30 == 0 else TaskState.COMPLETED for n in range(100)]
    await journal.commit(JournalEntry(tasks=tuple(ended(n, state) for n, state in enumerate(states))))
    found: list[str] = []
    place: Place | None = None
    pages = 0
    while pages < 100:
        pages += 1
        page = await journal.ended_page(3, place, TaskState.FAILED)
        found += [task.task_id for task in page.tasks]
        place = page.following
        if place is None:
            break
    assert found == ["task 90", "task 60", "task 30", "task 0"]
    assert 5 <= pages <= 9


async def test_an_id_that_reads_like_a_row_is_not_taken_for_its_state(journal: SqliteJournal) -> None:
    sly = replace(make_task('","state":"FAILED","x":"', TaskState.COMPLETED), ended_at_s=NOW_S)
    await journal.commit(JournalEntry(tasks=(sly,)))
    assert (await journal.ended_page(10, None, TaskState.FAILED)).tasks == ()
    assert len((await journal.ended_page(10, None, TaskState.COMPLETED)).tasks) == 1


async def test_a_damaged_row_is_left_out_of_its_page(journal: SqliteJournal) -> None:
    await journal.commit(JournalEntry(tasks=tuple(ended(number) for number in range(5))))
    journal._connection.execute("UPDATE tasks SET row='{}' WHERE task_id='task 2'")
    page = await journal.ended_page(10)
    assert sorted(task.task_id for task in page.tasks) == ["task 0", "task 1", "task 3", "task 4"]


async def test_a_window_shows_ended_tasks_by_number_in_both_directions(journal: SqliteJournal) -> None:
    await journal.commit(JournalEntry(tasks=(*(ended(number) for number in range(30)), make_task("open"))))
    newest = [task async for task in _through(journal, oldest_first=False)]
    oldest = [task async for task in _through(journal, oldest_first=True)]
    assert len(newest) == 30
    assert newest == oldest[::-1]
    assert (await journal.ended_window(28, 7)).total == 30


async def _through(journal: SqliteJournal, *, oldest_first: bool) -> AsyncIterator[str]:
    for offset in range(0, 30, 7):
        for task in (await journal.ended_window(offset, 7, "", oldest_first)).tasks:
            yield task.task_id


async def test_a_window_with_a_text_holds_those_whose_name_has_it(journal: SqliteJournal) -> None:
    await journal.commit(JournalEntry(tasks=tuple(ended(number) for number in range(30))))
    found = await journal.ended_window(0, 5, "TASK 2")
    assert found.total == 11  # 2 and 20 to 29
    assert all(task.task_id.startswith("task 2") for task in found.tasks)
    assert len(found.tasks) == 5
    assert (await journal.ended_window(0, 5, "no such")).total == 0


async def test_a_window_with_states_holds_those_in_them_too_in_both_directions(
    journal: SqliteJournal,
) -> None:
    states = (TaskState.COMPLETED, TaskState.FAILED, TaskState.STOPPED)
    tasks = [replace(ended(number), state=states[number % 3]) for number in range(30)]
    await journal.commit(JournalEntry(tasks=tuple(tasks)))
    wanted = (TaskState.FAILED, TaskState.STOPPED)
    newest = await journal.ended_window(0, 40, "failed", states=wanted)
    assert (newest.total, len(newest.tasks)) == (20, 20)
    assert {task.state for task in newest.tasks} == set(wanted)
    oldest = await journal.ended_window(0, 40, "failed", oldest_first=True, states=wanted)
    assert oldest.tasks == newest.tasks[::-1]
    named = await journal.ended_window(0, 40, "TASK 0", states=(TaskState.STOPPED,))
    assert named.total == 11, "by name or by state"
    assert (await journal.ended_window(0, 40, "failed")).total == 0
