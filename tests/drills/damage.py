"""F11: the journal is cut, emptied, of another version, or has a flipped bit; the worker starts always."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.history import JournalEntry, StoryLine
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.snapshot import NodeState
from hivemind_worker.model.task import Delivery, Task, TaskId, TaskKey, TaskState, key_of
from hivemind_worker.nursery import NamedThread
from hivemind_worker.places import Places
from hivemind_worker.store.codec import BadRowError
from hivemind_worker.store.journal import SqliteJournal, connect, write
from hivemind_worker.store.salvage import open_or_salvage, renewer
from tests.drills.checker import check
from tests.drills.findings import Sheet
from tests.drills.kinds import MIXED
from tests.drills.records import read_journal
from tests.drills.stand import stand

ENDED_ROWS, OPEN_ROWS, LINES = 120, 6, 4
PAGE_ROWS = 20
"""More rows than one page or two of the journal hold: one flipped bit may cost no more than this."""

Harm = Callable[[bytes, random.Random], bytes]


def cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(1, len(content))]


def flip(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :]


def blank(content: bytes, chance: random.Random) -> bytes:
    """A page that the disk has lost."""
    at = chance.randrange(len(content)) // 4096 * 4096
    return content[:at] + bytes(4096) + content[at + 4096 :]


def empty(content: bytes, chance: random.Random) -> bytes:
    return b""


HARMS: dict[str, Harm] = {"cut": cut, "flip": flip, "blank": blank, "empty": empty}


async def f11(sheet: Sheet, seed: int, tries: int, *, whole: int) -> None:
    """Many damaged files in the store's own hands, some of them under a whole worker."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="hivemind-damage-") as name:
        samples = [Path(name) / "ended", Path(name) / "killed"]
        rows = await asyncio.to_thread(make_samples, *samples)
        saved = 0.0
        for n in range(tries):
            sample, harm = chance.choice(samples), chance.choice(("cut", "flip", "flip", "flip", "blank"))
            saved += await _in_the_store(sheet, Path(name) / str(n), sample, rows, harm, chance, n)
            sheet.tries += 1
        sheet.notes.append(f"{saved / tries:.1%} of the rows saved on average")
    for n in range(whole):
        harm = ("flip", "cut", "empty", "later", "flip")[n % 5]
        await _under_a_worker(sheet, seed + n, harm)
        sheet.tries += 1


def make_samples(ended: Path, killed: Path) -> dict[TaskKey, Task]:
    """A journal with ended and open tasks, as an orderly end and as a kill leave it; its rows."""
    ended.mkdir()
    connection = connect(ended / "j")
    rows: dict[TaskKey, Task] = {}
    for n in range(ENDED_ROWS + OPEN_ROWS):
        task_id = TaskId(f"task {n}")
        key = key_of(task_id)
        task = Task(
            task_id=task_id, key=key, attempt=1, body_sha256="ab" * 32, demand=Resources(cpu=100),
            state=TaskState.RUNNING, accepted_at_s=1e9 + n, started_at_s=1e9 + n, entry="main.py",
        )  # fmt: skip
        if n < ENDED_ROWS:
            task = replace(
                task, state=TaskState.COMPLETED, exit_code=0, ended_at_s=1e9 + n, delivery=Delivery.DELIVERED
            )
        lines = tuple(StoryLine(key=key, at_s=1e9, what="Step", text=f"{n}.{k}") for k in range(LINES))
        write(connection, JournalEntry(tasks=(task,), node=NodeState(trust_score=n % 100), lines=lines))
        rows[key] = task
    shutil.copytree(ended, killed)
    connection.close()
    return rows


async def _in_the_store(
    sheet: Sheet, folder: Path, sample: Path, rows: dict[TaskKey, Task], harm: str, chance: random.Random,
    n: int,
) -> float:  # fmt: skip
    """One damaged file: opened, read everywhere, written to. The share of rows that were saved."""
    shutil.copytree(sample, folder)
    path = folder / "j"
    hurt = chance.choice(sorted(folder.iterdir()))
    where = f"{harm} {sample.name} {hurt.name} {n}"
    hurt.write_bytes(HARMS[harm](hurt.read_bytes(), chance))
    damaged = {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.endswith("-shm")}
    thread, told = NamedThread("journal"), list[str]()
    try:
        connection, wrong = await thread.call(open_or_salvage, path, "x")
    except Exception as error:
        sheet.expect("I1", False, f"it does not open: {error!r}", where)
        return 0.0
    journal = SqliteJournal(connection, thread, renewer(path, lambda: "y", told.append))
    try:
        await journal.examine(thread)
        found = await _read_everything(journal, rows)
        await _write_on(journal)
    except Exception as error:
        sheet.expect("I1", False, f"it cannot be used: {error!r}", where)
        return 0.0
    finally:
        await journal.close()
        thread.close()
    trouble = bool(wrong or told)
    changed = [key for key, row in found.items() if row != rows[key] and not _says_so(row)]
    lost_open = [k for k, row in rows.items() if row.is_open and k not in found]
    sheet.expect("I1", not changed, f"{len(changed)} rows are not what was written", where)
    # A log that ends early is what a power cut leaves: nothing in it tells of the writes that are gone.
    silent = lost_open and not trouble and not (harm == "cut" and hurt.name == "j-wal")
    sheet.expect("I1", not silent, f"{len(lost_open)} open tasks are lost without a word", where)
    if trouble:
        copies = [folder / name.replace("j", "j.damaged-x", 1) for name in damaged]
        same = told or all(c.read_bytes() == damaged[n] for c, n in zip(copies, damaged, strict=True))
        sheet.expect("I1", bool(same), "there is no copy of the damaged file", where)
    lost = len(rows) - len(found)
    if harm == "flip" and hurt == path and lost > PAGE_ROWS:
        sheet.notes.append(f"{where}: {lost} rows lost: {wrong or told}")
    if not trouble and harm == "flip":
        sheet.expect("I1", not lost, f"{lost} rows are lost without a word", where)
    shutil.rmtree(folder)
    return len(found) / len(rows)


def _says_so(row: Task) -> bool:
    """Whether it is what is left of a damaged row, and says that."""
    if row.problem is not None:
        return row.problem.code is FaultCode.BAD_JOURNAL
    return row.state is TaskState.ALLOCATED


async def _read_everything(journal: SqliteJournal, rows: dict[TaskKey, Task]) -> dict[TaskKey, Task]:
    """All that a worker ever reads; twice, as the first reading may find the damage."""
    for _ in range(2):
        found = {task.key: task for task in await journal.open_tasks()}
        await journal.node()
        await journal.ended(1000)
        for key in rows:
            row = await journal.find(key)
            await journal.story(key)
            if row is not None:
                found[key] = row
    return {key: row for key, row in found.items() if key in rows}


async def _write_on(journal: SqliteJournal) -> None:
    """New work goes into it; damage met only now costs one try, as in the engine."""
    row = Task(
        task_id=TaskId("new"), key=key_of(TaskId("new")), attempt=1, body_sha256="", demand=Resources(),
        state=TaskState.RUNNING, accepted_at_s=2e9,
    )  # fmt: skip
    line = StoryLine(key=row.key, at_s=2e9, what="Step", text="")
    for n in range(3):
        try:
            await journal.commit(JournalEntry(tasks=(replace(row, attempt=n + 1),), lines=(line,)))
        except OSError:
            await journal.commit(JournalEntry(tasks=(replace(row, attempt=n + 1),), lines=(line,)))
    assert await journal.find(row.key) == replace(row, attempt=3)


async def _under_a_worker(sheet: Sheet, seed: int, harm: str) -> None:
    """A home after some work; its journal is damaged; the next life works on."""
    async with stand(sheet, seed) as made:
        await made.up()
        kinds = [kind for kind in MIXED if kind != "stopped"]
        for kind in kinds:
            await made.give(f"{kind} before", kind)
            await made.result(f"{kind} before")
        await made.settled()
        await made.life.end()
        await asyncio.to_thread(_harm, made.life.places.journal, harm, made.chance)
        life = await made.up()
        copies = list(life.places.data.glob("journal.sqlite3.damaged-*"))
        if copies:
            verdict = await life.tells("recovered")
            named = any(copy.name in verdict["text"] for copy in copies)
            sheet.expect("I6", named, f"the first status names no copy: {verdict['text']}", harm)
        else:
            sheet.expect("I1", harm in ("flip", "empty"), f"{harm}: no copy was kept", harm)
        await made.give("after", "writing")
        await made.result("after")
        await made.settled()
        if not copies and harm != "empty" and _reads_whole(life.places):
            await check(made, harm)
        else:  # rows may be gone, what is told must hold
            state = await life.ask("/api/v1/state")
            sheet.expect("I5", state["total_resources"] == state["available_resources"], "the books", harm)


def _reads_whole(places: Places) -> bool:
    """A flipped bit in the row of an ended task is seen only by who asks for it."""
    try:
        read_journal(places, live=True)
    except (BadRowError, sqlite3.Error):
        return False
    return True


def _harm(journal: Path, harm: str, chance: random.Random) -> None:
    if harm == "later":
        with closing(sqlite3.connect(journal)) as connection:
            connection.execute("PRAGMA user_version=99")
        return
    journal.write_bytes(HARMS[harm](journal.read_bytes(), chance))
