"""Files beside the journal: damage begins them anew, a full disk never does."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from hivemind_worker.store.side_file import SideFile


def prepare(connection: sqlite3.Connection) -> None:
    connection.executescript("CREATE TABLE IF NOT EXISTS words (word TEXT NOT NULL)")
    connection.execute("SELECT max(word) FROM words").fetchone()


def prepare_without_room(connection: sqlite3.Connection) -> None:
    """As on a full disk: SQLite may not take another page."""
    connection.execute("PRAGMA max_page_count=1")
    connection.executescript("CREATE TABLE more (word TEXT NOT NULL)")


def words(connection: sqlite3.Connection) -> list[str]:
    return [word for (word,) in connection.execute("SELECT word FROM words")]


async def kept_words(path: Path) -> list[str]:
    file = SideFile(path, "words", "words", prepare)
    try:
        return await file.call(words, [])
    finally:
        await file.close()


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A file with one word in it."""
    path = tmp_path / "words.sqlite3"
    file = SideFile(path, "words", "words", prepare)
    await file.call(lambda connection: connection.execute("INSERT INTO words VALUES ('kept')") and None, None)
    await file.close()
    return path


async def test_a_full_disk_costs_nothing_of_what_is_kept(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = SideFile(path, "words", "words", prepare_without_room)
    assert await file.call(words, ["otherwise"]) == ["otherwise"]
    await file.close()
    assert "words could not be kept or read: database or disk is full" in caplog.text
    assert await kept_words(path) == ["kept"]


async def test_a_damaged_file_is_begun_anew(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 50)
    assert await kept_words(path) == []


async def test_work_that_fails_half_way_leaves_nothing_of_itself(path: Path) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO words VALUES ('half')")
        connection.execute("INSERT INTO words VALUES (NULL)")

    file = SideFile(path, "words", "words", prepare)
    await file.call(fail, None)
    await file.close()
    assert await kept_words(path) == ["kept"]
