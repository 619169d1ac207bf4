"""Damaged journals: a working one comes of each, and the damaged file is kept byte for byte.

Found cases lie in corpus/journal: NAME.sqlite3, with NAME.sqlite3-wal where there was one, and in
`verdicts` what is to be said of each.
"""

from __future__ import annotations

import asyncio
import functools
import re
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hivemind_worker.model.history import JournalEntry, StoryLine
from hivemind_worker.model.snapshot import NodeState
from hivemind_worker.model.task import Delivery, Task, TaskState, key_of
from hivemind_worker.nursery import NamedThread
from hivemind_worker.store.journal import RenewedError, SqliteJournal, connect, write
from hivemind_worker.store.salvage import open_or_salvage, renewer
from tests.store.test_journal import ENDED, task

CORPUS = sorted((Path(__file__).parent / "corpus" / "journal").glob("*.sqlite3"))
VERDICTS = dict(
    line.split(": ", 1)
    for line in (Path(__file__).parent / "corpus" / "journal" / "verdicts").read_text().splitlines()
)
NEW = task("new", state=TaskState.RUNNING, accepted_at_s=2.0)
Files = tuple[bytes, bytes]
"""The journal's file, and its log when the worker was killed (else nothing)."""


def rows_of_a_life() -> list[JournalEntry]:
    """What a worker wrote: ended and open tasks, its own row, the history."""
    entries = []
    for n in range(24):
        row = task(f"t{n} ü", **(ENDED if n % 3 else {}), accepted_at_s=float(n))
        lines = tuple(
            StoryLine(key=row.key, at_s=float(n), what="TaskAccepted", text="x" * 90) for _ in range(3)
        )
        entries.append(JournalEntry(tasks=(row,), node=NodeState(trust_score=n), lines=lines))
    return entries


ORIGINALS = {row.key: row for entry in rows_of_a_life() for row in entry.tasks}


@functools.cache
def good_files() -> tuple[Files, ...]:
    """A journal closed in order, one killed after it was folded once, one killed at its beginning."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name, fold_at in (("closed", 99), ("killed", 12), ("young", 99)):
            path = Path(folder) / name
            connection = connect(path)
            for n, entry in enumerate(rows_of_a_life()):
                write(connection, entry)
                if n == fold_at:
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if name == "closed":
                connection.close()
            log = Path(f"{path}-wal")
            found.append((path.read_bytes(), log.read_bytes() if log.exists() else b""))
            connection.close()
    return tuple(found)


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """A few changes of the kinds that disks and crashes make."""
    changed = bytearray(content)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 4]))):
        size = len(changed)
        at = draw(st.one_of(st.integers(0, min(size, 120)), st.integers(0, size)))
        page = at // 4096 * 4096
        match draw(st.sampled_from(["flip", "flip", "bytes", "cut", "zeros", "swap", "insert", "text"])):
            case "flip" if at < size:
                changed[at] ^= 1 << draw(st.integers(0, 7))
            case "bytes":
                noise = draw(st.binary(min_size=1, max_size=40))
                changed[at : at + len(noise)] = noise
            case "cut":
                del changed[at:]
            case "zeros":
                changed[page : page + 4096] = bytes(min(4096, size - page))
            case "swap":
                other = draw(st.integers(0, max(size - 1, 0) // 4096)) * 4096
                changed[page : page + 4096] = changed[other : other + 4096]
            case "insert":
                changed[at:at] = draw(st.binary(min_size=1, max_size=8))
            case "text":
                was = draw(
                    st.sampled_from(
                        [b'"state"', b"RUNNING", b"null", b"1.0", b'"key":"', b"CREATE", b"tasks"]
                    )
                )
                now = draw(st.sampled_from([b"", b"\xff", b'"', b"true", b"../../../etc", b"[", b"1e999"]))
                changed = bytearray(bytes(changed).replace(was, now, draw(st.integers(1, 3))))
    return bytes(changed)


async def use(path: Path, connection: sqlite3.Connection) -> dict[str, Task]:
    """Work with the journal as the engine does; the tasks that it holds at the end."""
    thread = NamedThread("journal")
    told: list[str] = []
    journal = SqliteJournal(connection, thread, renewer(path, lambda: "later", told.append))
    line = StoryLine(key=NEW.key, at_s=2.0, what="TaskAccepted", text="")
    entry = JournalEntry(tasks=(NEW,), node=NodeState(trust_score=1), lines=(line,))
    try:
        for again in (False, True):
            try:
                await journal.commit(entry)
                break
            except RenewedError:
                assert not again, "the new journal is damaged as well"
        rows: dict[str, Task] = {
            row.key: row for row in (*await journal.open_tasks(), *await journal.ended(1000))
        }
        for key in (*ORIGINALS, NEW.key):
            found = await journal.find(key)
            if found is not None:
                rows[key] = found
            await journal.story(key)
        assert await journal.node() == NodeState(trust_score=1)
        assert rows[NEW.key] == NEW
        return rows
    finally:
        await journal.close()
        thread.close()


def check(files: Files) -> str:
    """One damaged journal; what was said to be wrong with it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.sqlite3"
        path.write_bytes(files[0])
        if files[1]:
            Path(f"{path}-wal").write_bytes(files[1])
        connection, wrong = open_or_salvage(path, "now")
        if wrong:
            aside = Path(f"{path}.damaged-now")
            assert aside.name in wrong
            assert aside.read_bytes() == files[0]
            kept_log = Path(f"{aside}-wal")
            assert (kept_log.read_bytes() if kept_log.exists() else b"") == files[1]
        rows = asyncio.run(use(path, connection))
        for key, row in rows.items():
            assert row.key == key == key_of(row.task_id)  # names of files come from it
            original = ORIGINALS.get(row.key, NEW)
            assert row == original or row.delivery is Delivery.KEPT or row.body_sha256 == "", row
        again, still_wrong = open_or_salvage(path, "again")
        assert still_wrong == ""
        again.close()
    return wrong


quick = settings(max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("which", range(3))
def test_the_bases_are_good(which: int) -> None:
    assert check(good_files()[which]) == ""


@pytest.mark.release
@given(st.data(), st.sampled_from(range(3)))
@quick
def test_a_working_journal_comes_of_a_damaged_file(data: st.DataObject, which: int) -> None:
    content, log = good_files()[which]
    check((data.draw(damaged(content)), log))


@pytest.mark.release
@given(st.data(), st.sampled_from([1, 2]))
@quick
def test_a_working_journal_comes_of_a_damaged_log(data: st.DataObject, which: int) -> None:
    content, log = good_files()[which]
    check((content, data.draw(damaged(log))))


@pytest.mark.release
@given(st.binary(max_size=300), st.binary(max_size=300))
@quick
def test_a_working_journal_comes_of_noise(content: bytes, log: bytes) -> None:
    check((b"SQLite format 3\0"[: len(content) % 17] + content, log))


@pytest.mark.parametrize("found", CORPUS, ids=lambda path: path.name)
def test_what_was_found_before_stays_mended(found: Path) -> None:
    log = Path(f"{found}-wal")
    said = check((found.read_bytes(), log.read_bytes() if log.exists() else b""))
    assert VERDICTS[found.stem] == (re.sub("kept as .*?; ", "", said) or "seen when it is used")
