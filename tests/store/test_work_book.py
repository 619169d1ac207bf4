"""The history by day: each ended task once, over crashes, full disks, clocks that jump and later versions."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from hivemind_worker.model.days import begin_s, day_of, spread
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem, Task, TaskState, Usage
from hivemind_worker.model.worked import EnergySource, Place, Rate, Work
from hivemind_worker.store import work_book as room
from hivemind_worker.store.work_book import FILE_NAME, WorkBook
from tests.fakes.node import NOW_S, make_task

BERLIN = ZoneInfo("Europe/Berlin")
RATE = Rate(source=EnergySource.ESTIMATE, joules=10.0)
EVER = (date(1990, 1, 1), date(2990, 1, 1))
POOL = "10.0.0.1:50051"


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A zone whose clocks change on 29 March and 25 October 2026."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(*when: int) -> float:
    return datetime(*when, tzinfo=BERLIN).timestamp()  # type: ignore[arg-type,misc]


def ended(name: str, from_s: float, to_s: float, cpu_s: float = 0.0, **fields: object) -> Task:
    made = make_task(
        name, TaskState.COMPLETED, started_at_s=from_s, ended_at_s=to_s, pool=POOL,
        image="cpython-3.12.0-small@sha256:ab", usage=Usage(wall_s=to_s - from_s, cpu_s=cpu_s),
    )  # fmt: skip
    return replace(made, **fields)  # type: ignore[arg-type]


def price(_task: Task) -> Rate:
    return RATE


async def everything(book: WorkBook) -> tuple[Work, ...]:
    return await book.read(*EVER)


# --- days ---------------------------------------------------------------------------------------


def test_days_of_23_and_25_hours_are_whole(berlin: None) -> None:
    for day, hours in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 7, 1), 24)):
        assert begin_s(day + timedelta(days=1)) - begin_s(day) == hours * 3600
        shares = spread(begin_s(day) - 3600, begin_s(day) + (hours + 1) * 3600)
        assert [found for found, _share in shares] == [day + timedelta(days=n) for n in (-1, 0, 1)]
        assert [round(share * (hours + 2), 6) for _day, share in shares] == [1, hours, 1]


def test_a_moment_is_of_the_day_that_the_clock_on_the_wall_shows(berlin: None) -> None:
    assert day_of(at(2026, 10, 25, 23, 59)) == date(2026, 10, 25)
    assert day_of(at(2026, 10, 26, 0, 0)) == date(2026, 10, 26)


@pytest.mark.parametrize("from_s", [NOW_S + 60, NOW_S, -1e12, float("nan")])
def test_a_time_that_cannot_be_lies_in_its_last_day(from_s: float) -> None:
    assert spread(from_s, NOW_S) == ((day_of(NOW_S), 1.0),)


def test_moments_that_no_calendar_has_are_of_the_first_day_of_all() -> None:
    assert {day_of(at_s) for at_s in (float("inf"), float("nan"), 1e30, -1e30)} == {date.min}


async def test_hours_fall_on_their_days_and_the_task_on_that_of_its_end(tmp_path: Path, berlin: None) -> None:
    book = WorkBook(tmp_path)
    night = ended("night", at(2026, 10, 24, 22), at(2026, 10, 26, 1), cpu_s=2800)
    assert (await book.count([night], price)).fresh == 1
    found = await everything(book)
    assert [(w.place.day.day, w.completed, w.wall_s / 3600, w.cpu_s) for w in found] == [
        (24, 0, 2, 200), (25, 0, 25, 2500), (26, 1, 1, 100),
    ]  # fmt: skip
    assert [round(w.joules[EnergySource.ESTIMATE]) for w in found] == [2000, 25_000, 1000]
    assert found[0].place == Place(date(2026, 10, 24), POOL, "cpython-3.12.0-small")
    await book.close()


async def test_hours_of_what_was_cut_off_lie_before_the_crash_and_not_before_the_return(
    tmp_path: Path, berlin: None
) -> None:
    cut_off = ended(
        "cut off", at(2026, 7, 1, 22), at(2026, 7, 4, 9), state=TaskState.FAILED,
        usage=Usage(wall_s=3 * 3600), problem=Problem(code=FaultCode.INTERRUPTED, about="it was running"),
    )  # fmt: skip
    book = WorkBook(tmp_path)
    assert await book.note({}, {(cut_off.key, 1): 900.0})  # all that is known of its processor time
    await book.count([cut_off], price)
    found = await everything(book)
    assert [(w.place.day.day, w.failed, w.wall_s / 3600, round(w.cpu_s)) for w in found] == [
        (1, 0, 2, 600), (2, 0, 1, 300), (4, 1, 0, 0),
    ]  # fmt: skip
    assert sum(sum(w.joules.values()) for w in found) == 0, "its energy was noted already"
    await book.close()


# --- once each ----------------------------------------------------------------------------------


async def test_a_task_is_counted_once_however_often_it_is_offered(tmp_path: Path) -> None:
    task = ended("once", NOW_S - 60, NOW_S, cpu_s=30)
    for _life in range(3):
        book = WorkBook(tmp_path)
        await book.count([task, task], price)
        await book.close()
    book = WorkBook(tmp_path)
    assert (await book.count([replace(task, attempt=2)], price)).fresh == 1, "another attempt is another run"
    (found,) = await everything(book)
    assert (found.completed, found.wall_s, found.joules) == (2, 120, {EnergySource.ESTIMATE: 600})
    await book.close()


async def test_the_end_adds_only_what_was_not_noted_while_it_ran(tmp_path: Path) -> None:
    task = ended("noted", NOW_S - 60, NOW_S, cpu_s=30)
    place = Place(day_of(NOW_S), POOL, "cpython-3.12.0-small")
    book = WorkBook(tmp_path)
    assert await book.note({(place, EnergySource.RAPL): 77.0}, {(task.key, 1): 25.0})
    await book.close()  # a crash: all that is not on the disk is gone
    book = WorkBook(tmp_path)
    assert await book.noted() == {(task.key, 1): 25.0}
    await book.count([task], price)
    (found,) = await everything(book)
    assert found.joules == {EnergySource.RAPL: 77.0, EnergySource.ESTIMATE: 50.0}
    assert await book.noted() == {}
    await book.close()


async def test_a_count_that_is_cut_off_half_way_leaves_nothing_of_itself(tmp_path: Path) -> None:
    def breaks(task: Task) -> Rate:
        if task.task_id == "third":
            raise sqlite3.OperationalError("disk I/O error")
        return RATE

    tasks = [ended(name, NOW_S - 60, NOW_S, cpu_s=1) for name in ("first", "second", "third")]
    book = WorkBook(tmp_path)
    assert (await book.count(tasks, breaks)).failed
    assert await everything(book) == ()
    assert (await book.count(tasks, price)).fresh == 3
    assert (await everything(book))[0].completed == 3
    await book.close()


async def test_a_full_disk_is_told_and_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    book = WorkBook(tmp_path)
    place = (Place(day_of(NOW_S), POOL, ""), EnergySource.RAPL)
    assert await book.note({place: 5.0}, {})
    with monkeypatch.context() as patched:
        patched.setattr(room, "_add_joules", full)
        assert not await book.note({place: 5.0}, {})
    (found,) = await everything(book)
    assert found.joules == {EnergySource.RAPL: 5.0}
    await book.close()


# --- bounds -------------------------------------------------------------------------------------


async def test_only_so_many_days_and_tasks_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "KEPT_DAYS", 5)
    monkeypatch.setattr(room, "KEPT_TASKS", 7)
    book = WorkBook(tmp_path)
    for number in range(12):
        at_s = NOW_S + number * 86_400
        await book.count([ended(f"t{number}", at_s - 10, at_s, cpu_s=1)], price)
    assert [work.place.day for work in await everything(book)] == [
        day_of(NOW_S + number * 86_400) for number in range(7, 12)
    ]
    assert await book.floor_s(NOW_S, 10) == NOW_S + 4 * 86_400, "what is forgotten is not counted again"
    await book.close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        assert connection.execute("SELECT count(*) FROM counted").fetchone() == (7,)
        assert connection.execute("SELECT count(DISTINCT day) FROM energy").fetchone() == (5,)


async def test_a_clock_that_was_years_ahead_costs_no_history(tmp_path: Path) -> None:
    book = WorkBook(tmp_path)
    ahead_s = NOW_S + 40 * 365 * 86_400
    await book.count([ended("true", NOW_S - 60, NOW_S), ended("ahead", ahead_s - 60, ahead_s)], price)
    await book.passed(ahead_s)
    assert await book.floor_s(NOW_S, 3600) == NOW_S - 3600, "what ends now is looked at"
    await book.count([ended("after", NOW_S, NOW_S + 60)], price)
    assert [work.completed for work in await everything(book)] == [2, 1]
    await book.close()


# --- versions -----------------------------------------------------------------------------------


async def test_a_file_of_an_earlier_version_is_taken_forward(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = WorkBook(tmp_path)
    await book.count([ended("old", NOW_S - 60, NOW_S, cpu_s=3)], price)
    before = await everything(book)
    await book.close()
    step = "CREATE TABLE later (word TEXT); INSERT INTO later SELECT day FROM work;"
    monkeypatch.setattr(room, "MIGRATIONS", (*room.MIGRATIONS, step))
    book = WorkBook(tmp_path)
    assert await everything(book) == before
    await book.close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        assert connection.execute("SELECT count(*) FROM later").fetchone() == (1,)
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)


async def test_a_step_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = WorkBook(tmp_path)
    await book.count([ended("old", NOW_S - 60, NOW_S)], price)
    await book.close()
    with monkeypatch.context() as patched:
        step = "CREATE TABLE later (word TEXT); DROP TABLE work; INSERT INTO nowhere VALUES (1);"
        patched.setattr(room, "MIGRATIONS", (*room.MIGRATIONS, step))
        book = WorkBook(tmp_path)
        assert await everything(book) == ()
        await book.close()
    book = WorkBook(tmp_path)
    assert [work.completed for work in await everything(book)] == [1]
    await book.close()


async def test_a_file_of_a_later_version_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    book = WorkBook(tmp_path)
    await book.count([ended("new", NOW_S - 60, NOW_S)], price)
    await book.close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("PRAGMA user_version=9")
    kept = (tmp_path / FILE_NAME).read_bytes()
    book = WorkBook(tmp_path)
    assert await everything(book) == ()
    assert (await book.count([ended("x", NOW_S, NOW_S)], price)).failed
    await book.close()
    assert (tmp_path / FILE_NAME).read_bytes() == kept
    assert "written by a later version" in caplog.text


async def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database" * 100)
    book = WorkBook(tmp_path)
    assert (await book.count([ended("a", NOW_S - 60, NOW_S)], price)).fresh == 1
    assert (await everything(book))[0].completed == 1
    await book.close()


async def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    book = WorkBook(tmp_path)
    await everything(book)
    await book.close()
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0
