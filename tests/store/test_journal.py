"""The journal on a real disk: what is committed is there again, damage is set aside, nothing is deleted."""

from __future__ import annotations

import errno
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
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
from hivemind_worker.store.first_page import layout, layout_of, made
from hivemind_worker.store.journal import (
    SCHEMA_VERSION,
    RenewedError,
    SqliteJournal,
    connect,
    read_node,
    read_open,
    write,
)
from hivemind_worker.store.salvage import open_or_salvage, renewer


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


CUT_SHORT = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.executescript("PRAGMA cache_size=1; BEGIN; CREATE TABLE made (content)")
for _ in range(100):
    connection.execute("INSERT INTO made VALUES (randomblob(3000))")
os._exit(0)
"""
"""As a kill in the middle of the making: written in part, and beside it what is needed to undo it."""
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


async def test_a_full_disk_is_told_apart_from_other_trouble(tmp_path: Path) -> None:
    thread, connection = NamedThread("journal"), connect(tmp_path / "j.sqlite3")
    connection.execute("PRAGMA max_page_count=1")  # the pages that there are, and no more
    journal = SqliteJournal(connection, thread)
    line = StoryLine(key=key_of(TaskId("a")), at_s=1.0, what="x", text="x" * 100_000)
    with pytest.raises(OSError, match="full") as caught:
        await journal.commit(JournalEntry(lines=(line,)))
    assert caught.value.errno == errno.ENOSPC
    await journal.close()
    thread.close()


def write_rows(path: Path, count: int = 50) -> None:
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
        assert carried == 50
        cut_off = [row for row in read_open(connection) if row.state is TaskState.ALLOCATED]
        assert len(cut_off) == 3  # their ids are whole: the pool is told of them
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


# --- damage that shows later, or not by itself ------------------------------------------------


async def test_damage_met_while_working_costs_one_try_and_the_journal_is_another_one(tmp_path: Path) -> None:
    path, thread, told = tmp_path / "j.sqlite3", NamedThread("journal"), list[str]()
    write_rows(path, 200)
    connection, wrong = open_or_salvage(path, "now")
    assert wrong == ""
    connection.execute("PRAGMA cache_size=0")
    content = bytearray(path.read_bytes())
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name='history'").fetchone()[0]
    content[(root - 1) * 4096 : root * 4096] = bytes(4096)
    path.write_bytes(content)
    journal = SqliteJournal(connection, thread, renewer(path, lambda: "later", told.append))
    line = StoryLine(key=key_of(TaskId("t1")), at_s=1.0, what="x", text="")
    with pytest.raises(RenewedError, match="damaged"):
        await journal.commit(JournalEntry(lines=(line,)))
    assert "kept as j.sqlite3.damaged-later" in told[0]
    await journal.commit(JournalEntry(lines=(line,)))
    assert len(await journal.open_tasks()) == 200
    assert await journal.story(line.key) == (line,)
    await journal.close()
    thread.close()


def hide_a_row(path: Path) -> None:
    """A leaf of the tasks with one cell less than it has: no reading meets anything wrong."""
    content = bytearray(path.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name='tasks'").fetchone()[0]
    at = (root - 1) * 4096
    assert content[at] in (2, 10)  # a branch or a leaf of an index tree
    content[at + 3 : at + 5] = (int.from_bytes(content[at + 3 : at + 5], "big") - 1).to_bytes(2, "big")
    path.write_bytes(content)


async def test_rows_that_damage_hides_without_a_word_are_found_missing_by_a_look_at_the_whole(
    tmp_path: Path,
) -> None:
    path, told = tmp_path / "j", list[str]()
    write_rows(path)
    hide_a_row(path)
    connection, wrong = open_or_salvage(path, "x")
    assert not wrong
    thread = NamedThread("journal")
    journal = SqliteJournal(connection, thread, renewer(path, lambda: "y", told.append))
    await journal.examine(thread)
    assert len(told) == 1
    assert "kept as j.damaged-y" in told[0]
    with pytest.raises(RenewedError):  # so that all that is open is written again
        await journal.commit(JournalEntry(node=NodeState()))
    await journal.commit(JournalEntry(node=NodeState()))
    await journal.examine(thread)
    assert len(told) == 1
    await journal.close()
    thread.close()


@pytest.mark.release
def test_no_bit_of_the_layout_costs_a_row(tmp_path: Path) -> None:
    """A column of another name, a table that SQLite takes for none: the first page is known beforehand."""
    path, chance = tmp_path / "j.sqlite3", random.Random(1)
    write_rows(path)
    good = path.read_bytes()
    begins = good.index(b"CREATE INDEX")
    for at in chance.sample([*range(108), *range(begins - 40, 4096)], 120):
        path.write_bytes(good[:at] + bytes([good[at] ^ (1 << chance.randrange(8))]) + good[at + 1 :])
        connection, wrong = open_or_salvage(path, str(at))
        write(connection, JournalEntry(tasks=(task("new"),)))
        assert open_keys(connection) == 51, f"byte {at}: {wrong}"
        assert connection.execute("SELECT count(*) FROM history").fetchone() == (50,), f"byte {at}: {wrong}"
        connection.close()
        for file in tmp_path.iterdir():
            file.unlink()


def test_a_lost_first_page_costs_no_row(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    write_rows(path)
    path.write_bytes(bytes(4096) + path.read_bytes()[4096:])
    connection, wrong = open_or_salvage(path, "now")
    assert "101 rows carried over" in wrong
    assert open_keys(connection) == 50
    connection.close()


def test_the_layout_that_a_first_page_is_made_with_is_the_one_of_a_real_journal(tmp_path: Path) -> None:
    connection = connect(tmp_path / "j.sqlite3")
    assert layout(connection) == layout_of(SCHEMA_VERSION)
    begins = "SELECT name, rootpage FROM sqlite_master ORDER BY rowid"
    with closing(made(SCHEMA_VERSION)) as fresh:
        assert connection.execute(begins).fetchall() == fresh.execute(begins).fetchall()
    connection.close()


@pytest.mark.parametrize("name", ["database or disk is full", "disk I/O error"])
def test_trouble_of_the_disk_never_sets_a_good_journal_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / "j.sqlite3"
    write_rows(path)
    error = sqlite3.OperationalError(name)
    error.sqlite_errorcode = sqlite3.SQLITE_FULL if "full" in name else sqlite3.SQLITE_IOERR

    def refuse(connection: sqlite3.Connection) -> None:
        raise error

    monkeypatch.setattr("hivemind_worker.store.salvage.read_open", refuse)
    with pytest.raises(OSError, match=name):
        open_or_salvage(path, "now")
    assert not list(tmp_path.glob("*damaged*"))


def test_a_flipped_digit_inside_a_row_is_seen_and_the_id_is_not_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    connection = connect(path)
    write(connection, JournalEntry(tasks=(task("open"), task("ended", **ENDED))))
    connection.close()
    path.write_bytes(path.read_bytes().replace(b'"attempt":1', b'"attempt":3'))
    connection, wrong = open_or_salvage(path, "now")
    assert "checksum" in wrong
    (row,) = read_open(connection)
    assert (row.task_id, row.state, row.attempt) == ("open", TaskState.ALLOCATED, 1)
    connection.close()


async def test_what_is_left_of_a_damaged_ended_row_keeps_its_id_from_running_again(tmp_path: Path) -> None:
    path, thread = tmp_path / "j.sqlite3", NamedThread("journal")
    connection = connect(path)
    write(connection, JournalEntry(tasks=(task("ended", **ENDED),)))
    connection.execute("UPDATE tasks SET row = replace(row, 'COMPLETED', 'COMPLETEE')")
    journal = SqliteJournal(connection, thread)
    row = await journal.find(key_of(TaskId("ended")))
    assert row is not None
    assert (row.task_id, row.ended_at_s, row.is_open) == ("ended", 5.0, False)
    assert row.problem == Problem(code=FaultCode.BAD_JOURNAL, about="what it held of this task")
    assert await journal.ended(1) == (row,)
    await journal.close()
    thread.close()


def killed(path: Path, count: int = 50) -> bytes:
    """The files as a kill leaves them: everything in the write-ahead log; that log's content."""
    other = path.with_name("other")
    write_rows(other)
    connection = connect(other)
    for n in range(count):
        write(connection, JournalEntry(node=NodeState(trust_score=n)))
    for suffix in ("", "-wal"):
        Path(f"{path}{suffix}").write_bytes(Path(f"{other}{suffix}").read_bytes())
    connection.close()
    return Path(f"{path}-wal").read_bytes()


def test_the_log_that_a_kill_leaves_is_taken_whole(tmp_path: Path) -> None:
    killed(tmp_path / "j.sqlite3")
    connection, wrong = open_or_salvage(tmp_path / "j.sqlite3", "now")
    assert wrong == ""
    assert read_node(connection).trust_score == 49
    connection.close()


def test_writes_that_a_damaged_log_hides_are_counted_and_the_copy_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    log = bytearray(killed(path))
    log[len(log) // 2] ^= 4
    Path(f"{path}-wal").write_bytes(log)
    connection, wrong = open_or_salvage(path, "now")
    assert "the last 26 writes to it cannot be read" in wrong
    assert read_node(connection).trust_score == 23
    assert Path(f"{path}.damaged-now-wal").read_bytes() == log
    connection.close()


@pytest.mark.parametrize("left", [1, 60, 4096 * 3 + 100, -100])
def test_a_journal_without_its_end_is_set_aside(tmp_path: Path, left: int) -> None:
    path = tmp_path / "j.sqlite3"
    write_rows(path)
    path.write_bytes(path.read_bytes()[:left])
    connection, wrong = open_or_salvage(path, "now")
    assert "its end is missing; kept as" in wrong
    connection.close()


def test_rows_on_both_sides_of_a_lost_page_are_carried_over(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    write_rows(path, 300)
    content = bytearray(path.read_bytes())
    leaves = [
        at
        for at in range(0, len(content), 4096)
        if content[at] == 10 and b'"task_id":"t' in content[at : at + 4096]
    ]
    content[leaves[10] : leaves[10] + 4096] = bytes(4096)
    path.write_bytes(content)
    connection, wrong = open_or_salvage(path, "now")
    assert "at least 1 lost" in wrong
    assert 280 <= open_keys(connection) < 300
    connection.close()


def test_a_crash_while_rows_are_carried_over_costs_nothing_but_another_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "j.sqlite3"
    write_rows(path)
    damaged = path.read_bytes().replace(b'"state":"RUNNING"', b'"state":"RUNNINH"', 1)
    path.write_bytes(damaged)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    for step in ("_carry_over", "_free_name"):
        with monkeypatch.context() as patched:
            patched.setattr(f"hivemind_worker.store.salvage.{step}", die)
            with pytest.raises(KeyboardInterrupt):
                open_or_salvage(path, "now")
        assert path.read_bytes() == damaged
    connection, wrong = open_or_salvage(path, "now")
    assert "kept as j.sqlite3.damaged-now; 101 rows" in wrong
    assert open_keys(connection) == 50
    connection.close()
    path.rename(tmp_path / "j.sqlite3.new")  # died between the two renames
    connection, wrong = open_or_salvage(path, "later")
    assert (wrong, open_keys(connection)) == ("", 50)
    connection.close()
    assert not list(tmp_path.glob("*.new*"))


# --- versions ---------------------------------------------------------------------------------

VERSIONS = sorted(Path(__file__).parent.glob("journal_v*.sql"))


def test_a_file_of_every_released_version_is_kept(tmp_path: Path) -> None:
    assert [path.stem for path in VERSIONS] == [f"journal_v{n + 1}" for n in range(len(VERSIONS))]
    assert len(VERSIONS) in (SCHEMA_VERSION - 1, SCHEMA_VERSION)  # the present one may not be released yet


@pytest.mark.parametrize("script", VERSIONS, ids=lambda path: path.stem)
async def test_a_journal_of_a_released_version_opens_for_ever(tmp_path: Path, script: Path) -> None:
    path, thread = tmp_path / "j.sqlite3", NamedThread("journal")
    old = sqlite3.connect(path)
    old.executescript(script.read_text(encoding="utf-8"))
    old.close()
    connection, wrong = open_or_salvage(path, "now")
    assert wrong == ""
    assert connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
    journal = SqliteJournal(connection, thread)
    rows = {row.task_id: row for row in await journal.open_tasks()}
    assert set(rows) == {"failed Ünïcode/..", "stopped", "running", "just accepted"}
    assert rows[TaskId("running")].attempt == 2
    assert rows[TaskId("failed Ünïcode/..")].problem == Problem(code=FaultCode.EXIT_CODE, about="3")
    ended = {row.task_id: row for row in await journal.ended(10)}
    assert ended[TaskId("completed")].usage == Usage(cpu_s=1.5, wall_s=4.0, peak_memory_bytes=7 << 20)
    assert ended[TaskId("refused by its pool")].delivery is Delivery.KEPT
    assert (await journal.node()).trust_score == 12
    assert len(await journal.story(key_of(TaskId("completed")))) == 2
    await journal.commit(JournalEntry(tasks=tuple(rows.values())))  # each row in the present form
    assert {row.task_id: row for row in await journal.open_tasks()} == rows
    await journal.close()
    thread.close()


def test_a_journal_whose_making_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    subprocess.run([sys.executable, "-c", CUT_SHORT, str(path)], check=True)
    assert path.stat().st_size and Path(f"{path}-journal").stat().st_size
    connection, wrong = open_or_salvage(path, "now")
    with closing(connection):
        assert (wrong, layout(connection)) == ("", layout_of(SCHEMA_VERSION))
        write(connection, JournalEntry(tasks=(task("a"),)))
    assert not list(tmp_path.glob("*damaged*"))
