"""The journal on a real disk: what is committed is there again, damage is set aside, nothing is deleted."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.history import JournalEntry, StoryLine
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.snapshot import Mode, NodeState
from hivemind_worker.model.task import (
    Delivery,
    Problem,
    StopReason,
    Task,
    TaskId,
    TaskState,
    Usage,
    key_of,
)
from hivemind_worker.nursery import NamedThread
from hivemind_worker.store.journal import SqliteJournal, connect
from hivemind_worker.store.salvage import open_or_salvage


def task(name: str, **changes: object) -> Task:
    row = {
        "task_id": TaskId(name),
        "key": key_of(TaskId(name)),
        "attempt": 1,
        "body_sha256": "ab",
        "demand": Resources(cpu=100, memory_gb=0.5),
        "state": TaskState.RUNNING,
        "accepted_at_s": 1.0,
    }
    return Task(**{**row, **changes})  # type: ignore[arg-type]


ENDED = {"state": TaskState.COMPLETED, "ended_at_s": 5.0, "delivery": Delivery.DELIVERED}


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    thread = NamedThread("journal")
    made = SqliteJournal(connect(tmp_path / "j.sqlite3"), thread)
    yield made
    await made.close()
    thread.close()


async def test_rows_come_back_as_they_were(journal: SqliteJournal) -> None:
    full = task(
        "Ünïcode \u202e /../ \U0001f41d",
        state=TaskState.FAILED,
        ended_at_s=3.5,
        exit_code=3,
        stop_reason=StopReason.POOL,
        problem=Problem(code=FaultCode.OUT_OF_MEMORY, about="1 GiB"),
        usage=Usage(cpu_s=1.5, peak_memory_bytes=7),
        delivery=Delivery.OWED,
        trust_change=-5,
        entry="main.py",
    )
    await journal.commit(
        JournalEntry(tasks=(full,), node=NodeState(mode=Mode.PAUSED, until_s=9.0, trust_score=42))
    )
    assert await journal.find(full.key) == full
    assert await journal.open_tasks() == (full,)
    assert await journal.node() == NodeState(mode=Mode.PAUSED, until_s=9.0, trust_score=42)


async def test_a_new_journal_holds_a_new_node_and_no_task(journal: SqliteJournal) -> None:
    assert await journal.node() == NodeState()
    assert await journal.open_tasks() == ()
    assert await journal.find(key_of(TaskId("x"))) is None


async def test_only_open_rows_are_open_and_ended_ones_come_newest_first(journal: SqliteJournal) -> None:
    rows = tuple(task(f"t{n}", **{**ENDED, "ended_at_s": float(n)}) for n in range(10))
    await journal.commit(JournalEntry(tasks=(*rows, task("open"))))
    assert [row.task_id for row in await journal.open_tasks()] == ["open"]
    assert [row.task_id for row in await journal.ended(3)] == ["t9", "t8", "t7"]


async def test_the_story_of_a_task_is_kept_in_order(journal: SqliteJournal) -> None:
    key = key_of(TaskId("a"))
    lines = tuple(StoryLine(key=key, at_s=float(n), what="Step", text=str(n)) for n in range(5))
    await journal.commit(JournalEntry(lines=lines))
    assert await journal.story(key) == lines


async def test_a_task_is_found_by_the_start_of_its_key(journal: SqliteJournal) -> None:
    await journal.commit(JournalEntry(tasks=(task("a"), task("b"))))
    key = key_of(TaskId("a"))
    assert await journal.find_by_prefix(key[:8]) == task("a")
    assert await journal.find_by_prefix("") is None


async def test_a_failed_commit_leaves_nothing(journal: SqliteJournal, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "j.sqlite3", isolation_level=None)
    other.execute("CREATE TRIGGER no BEFORE INSERT ON history BEGIN SELECT RAISE(ABORT, 'no room'); END")
    other.close()
    line = StoryLine(key=key_of(TaskId("a")), at_s=1.0, what="x", text="")
    with pytest.raises(OSError, match="no room"):
        await journal.commit(JournalEntry(tasks=(task("a"),), lines=(line,)))
    assert await journal.find(key_of(TaskId("a"))) is None


def write_rows(path: Path, count: int = 50) -> None:
    from hivemind_worker.store.journal import write

    connection = connect(path)
    for n in range(count):
        key = key_of(TaskId(f"t{n}"))
        line = StoryLine(key=key, at_s=float(n), what="TaskAccepted", text="x" * 200)
        write(
            connection,
            JournalEntry(tasks=(task(f"t{n}"),), node=NodeState(trust_score=n % 100), lines=(line,)),
        )
    connection.close()


def open_keys(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM tasks WHERE is_open").fetchone()[0])


def test_a_sound_journal_is_opened_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    write_rows(path)
    connection, wrong = open_or_salvage(path, "now")
    assert wrong == ""
    assert open_keys(connection) == 50
    connection.close()
    assert not list(tmp_path.glob("*damaged*"))


@pytest.mark.parametrize("damage", ["noise", "empty-text", "cut", "flipped", "later"])
def test_a_damaged_journal_is_set_aside_and_the_worker_starts(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "j.sqlite3"
    write_rows(path)
    content = path.read_bytes()
    if damage == "noise":
        path.write_bytes(os.urandom(5000))
    elif damage == "empty-text":
        path.write_bytes(b"this is no journal\n" * 100)
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        path.write_bytes(content.replace(b'"state":"RUNNING"', b'"state":"RUNNINH"', 3))
    else:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version=99")
        connection.close()
    damaged = path.read_bytes()
    connection, wrong = open_or_salvage(path, "now")
    assert "kept as j.sqlite3.damaged-now" in wrong
    assert (tmp_path / "j.sqlite3.damaged-now").read_bytes() == damaged
    carried = open_keys(connection)
    if damage == "flipped":
        assert carried == 47
    if damage == "later":
        assert carried == 50
    connection.close()
    again, wrong = open_or_salvage(path, "later")
    assert wrong == ""
    assert open_keys(again) == carried
    again.close()


def test_an_empty_file_becomes_a_new_journal(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    path.touch()
    connection, wrong = open_or_salvage(path, "now")
    assert wrong == ""
    connection.close()


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_the_journal_is_private(tmp_path: Path) -> None:
    connect(tmp_path / "j.sqlite3").close()
    assert (tmp_path / "j.sqlite3").stat().st_mode & 0o777 == 0o600
