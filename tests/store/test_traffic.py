"""The month's transfers: counted by the calendar on the wall, kept across restarts and a full disk."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from hivemind_worker.store import traffic as room
from hivemind_worker.store.traffic import TrafficBook


class Clock:
    def __init__(self, at_s: float) -> None:
        self.at_s = at_s

    def __call__(self) -> float:
        return self.at_s


@pytest.fixture
def auckland(monkeypatch: pytest.MonkeyPatch) -> Iterator[ZoneInfo]:
    """A zone far ahead of UTC: its months end half a day before."""
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    yield ZoneInfo("Pacific/Auckland")
    monkeypatch.undo()
    time.tzset()


async def test_a_month_ends_at_midnight_by_the_clock_on_the_wall(tmp_path: Path, auckland: ZoneInfo) -> None:
    clock = Clock(datetime(2026, 11, 30, 23, 59, tzinfo=auckland).timestamp())
    book = TrafficBook(tmp_path, clock)
    await book.open()
    book.moved(100, 20)
    clock.at_s += 59
    assert book.month_bytes() == 120
    clock.at_s += 1
    assert book.month_bytes() == 0
    book.moved(0, 7)
    assert book.month_bytes() == 7
    assert await book.months() == {"2026-11": (100, 20), "2026-12": (0, 7)}
    clock.at_s -= 3600  # a clock that was ahead: what was counted stays where it was counted
    assert book.month_bytes() == 120
    await book.close()


async def test_sums_go_on_after_a_restart(tmp_path: Path) -> None:
    for life in range(1, 4):
        book = TrafficBook(tmp_path, Clock(1_796_000_000.0))
        await book.open()
        assert book.month_bytes() == (life - 1) * 30
        book.moved(10, 20)
        await book.close()


async def test_what_a_full_disk_does_not_take_is_written_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = TrafficBook(tmp_path, Clock(1_796_000_000.0))
    await book.open()
    book.moved(10, 1)

    def full(connection: sqlite3.Connection, unkept: object) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(room, "_add", full)
        await book.keep()
    book.moved(5, 0)
    assert book.month_bytes() == 16
    await book.close()
    again = TrafficBook(tmp_path, Clock(1_796_000_000.0))
    await again.open()
    assert again.month_bytes() == 16
    await again.close()


async def test_counts_of_many_threads_are_all_there(tmp_path: Path) -> None:
    book = TrafficBook(tmp_path, Clock(1_796_000_000.0))
    threads = [
        threading.Thread(target=lambda: [book.moved(1, 2) for _ in range(500)] and None) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert book.month_bytes() == 8 * 500 * 3
    assert await book.months() == {"2026-11": (4000, 8000)}
    await book.close()


async def test_two_years_of_months_are_kept(tmp_path: Path) -> None:
    clock = Clock(1_700_000_000.0)
    book = TrafficBook(tmp_path, clock)
    for _ in range(30):
        book.moved(1, 0)
        await book.keep()
        clock.at_s += 31 * 86400
    assert len(await book.months()) == room.KEPT_MONTHS
    await book.close()
