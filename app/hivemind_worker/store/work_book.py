"""The history by day, pool and image: what ended tasks came to, and the energy of all tasks.

Each ended task is counted once, however often it is offered: its number is kept beside the sums, in the same
transaction. What a task's processor time was noted for while it ran is kept until it has ended, so that the
rest of it is all that its end adds, also after a crash. The tasks' part can be made anew from the journal.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from hivemind_worker.model.task import Task, TaskKey
from hivemind_worker.model.worked import EnergySource, Place, Rate, RunId, Work, work_of
from hivemind_worker.store.journal import primary_code
from hivemind_worker.store.side_file import SideFile

FILE_NAME = "work.sqlite3"
KEPT_DAYS = 1100
"""Days with something in them: three years, whatever the clock said meanwhile."""
KEPT_TASKS = 200_000
"""Ended tasks that are known to be counted; older ones are not looked at any more."""
MIGRATIONS = (
    """
    CREATE TABLE work (
        day TEXT NOT NULL, pool TEXT NOT NULL, image TEXT NOT NULL, completed INTEGER NOT NULL,
        failed INTEGER NOT NULL, stopped INTEGER NOT NULL, wall_s REAL NOT NULL, cpu_s REAL NOT NULL,
        PRIMARY KEY (day, pool, image)
    ) WITHOUT ROWID;
    CREATE TABLE energy (
        day TEXT NOT NULL, pool TEXT NOT NULL, image TEXT NOT NULL, source TEXT NOT NULL,
        joules REAL NOT NULL, PRIMARY KEY (day, pool, image, source)
    ) WITHOUT ROWID;
    CREATE TABLE counted (
        key TEXT NOT NULL, attempt INTEGER NOT NULL, ended_at_s REAL NOT NULL, PRIMARY KEY (key, attempt)
    ) WITHOUT ROWID;
    CREATE INDEX counted_by_end ON counted (ended_at_s);
    CREATE TABLE noted (
        key TEXT NOT NULL, attempt INTEGER NOT NULL, cpu_s REAL NOT NULL, PRIMARY KEY (key, attempt)
    ) WITHOUT ROWID;
    CREATE TABLE marks (name TEXT PRIMARY KEY, at_s REAL NOT NULL) WITHOUT ROWID;
    """,
)
"""The step to each version of the schema; a step that was released is never changed."""
ADD_WORK = """
INSERT INTO work VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (day, pool, image) DO UPDATE SET
    completed = completed + excluded.completed, failed = failed + excluded.failed,
    stopped = stopped + excluded.stopped, wall_s = wall_s + excluded.wall_s, cpu_s = cpu_s + excluded.cpu_s
"""
ADD_ENERGY = """
INSERT INTO energy VALUES (?, ?, ?, ?, ?) ON CONFLICT (day, pool, image, source)
DO UPDATE SET joules = joules + excluded.joules
"""
PASSED, FORGOTTEN = "passed", "forgotten"
"""When the last whole look at the journal was; until which end counted tasks were forgotten."""

Joules = Mapping[tuple[Place, EnergySource], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How many of the offered tasks were new; `failed`: nothing could be written."""

    fresh: int = 0
    failed: bool = False


class WorkBook:
    """The file. Nothing it does fails its caller; what cannot be written is told, to be tried again."""

    def __init__(self, folder: Path) -> None:
        self._file = SideFile(folder / FILE_NAME, "work", "the history by day", _prepare)

    async def noted(self) -> dict[RunId, float]:
        """Processor seconds of tasks that have not ended, for which energy has been noted."""
        nothing: dict[RunId, float] = {}
        return await self._file.call(_read_noted, nothing)

    async def note(self, joules: Joules, cpu_s: Mapping[RunId, float]) -> bool:
        """Keep energy of running tasks, and up to which processor second of theirs; all or nothing."""
        return await self._file.call(lambda connection: _note(connection, joules, cpu_s), False)

    async def count(self, ended: Sequence[Task], rate: Callable[[Task], Rate]) -> Counted:
        """Add the tasks that are not counted yet; `rate` prices what was not noted while they ran."""
        return await self._file.call(lambda connection: _count(connection, ended, rate), Counted(failed=True))

    async def floor_s(self, now_s: float, overlap_s: float) -> float:
        """Tasks that ended before this moment need not be looked at: they are counted, or forgotten."""
        return await self._file.call(lambda connection: _floor_s(connection, now_s, overlap_s), 0.0)

    async def passed(self, now_s: float) -> None:
        """The journal has been looked through down to the floor."""
        await self._file.call(lambda connection: _mark(connection, PASSED, now_s), None)

    async def read(self, first: date, last: date) -> tuple[Work, ...]:
        """The work of these days."""
        return await self._file.call(lambda connection: _read(connection, first, last), ())

    async def close(self) -> None:
        """Close the file and end the thread."""
        await self._file.close()


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise ValueError(f"written by a later version (schema {version})")
    if version < len(MIGRATIONS):
        _take_forward(connection, version)
    connection.execute("SELECT max(day) FROM work").fetchone()


def _take_forward(connection: sqlite3.Connection, version: int) -> None:
    """All steps or none. A step that does not fit is a bug of ours: it must not cost the history."""
    steps = "".join(MIGRATIONS[version:])
    try:
        connection.executescript(f"BEGIN; {steps} PRAGMA user_version={len(MIGRATIONS)}; COMMIT;")
    except sqlite3.OperationalError as error:
        if primary_code(error) == sqlite3.SQLITE_ERROR:
            raise ValueError(f"schema {version} cannot be taken forward: {error}") from error
        raise


def _read_noted(connection: sqlite3.Connection) -> dict[RunId, float]:
    rows = connection.execute("SELECT key, attempt, cpu_s FROM noted").fetchall()
    return {(TaskKey(key), attempt): cpu_s for key, attempt, cpu_s in rows}


def _note(connection: sqlite3.Connection, joules: Joules, cpu_s: Mapping[RunId, float]) -> bool:
    _add_joules(connection, joules)
    connection.executemany(
        "INSERT OR REPLACE INTO noted VALUES (?, ?, ?)", [(*run, used) for run, used in cpu_s.items()]
    )
    return True


def _add_joules(connection: sqlite3.Connection, joules: Joules) -> None:
    connection.executemany(
        ADD_ENERGY,
        [(*_key(place), source.value, amount) for (place, source), amount in joules.items() if amount > 0],
    )


def _key(place: Place) -> tuple[str, str, str]:
    return place.day.isoformat(), place.pool, place.image


def _count(connection: sqlite3.Connection, ended: Iterable[Task], rate: Callable[[Task], Rate]) -> Counted:
    fresh = 0
    for task in ended:
        run = (task.key, task.attempt)
        added = connection.execute(
            "INSERT OR IGNORE INTO counted VALUES (?, ?, ?)", (*run, task.ended_at_s or 0.0)
        )
        if added.rowcount:
            _add_task(connection, task, rate(task))
            connection.execute("DELETE FROM noted WHERE key=? AND attempt=?", run)
            fresh += 1
    if fresh:
        _forget(connection)
    return Counted(fresh=fresh)


def _add_task(connection: sqlite3.Connection, task: Task, rate: Rate) -> None:
    found = connection.execute(
        "SELECT cpu_s FROM noted WHERE key=? AND attempt=?", (task.key, task.attempt)
    ).fetchone()
    noted_s = float(found[0]) if found else 0.0
    if noted_s > task.usage.cpu_s:  # of one that was cut off no more is known than what was noted
        task = replace(task, usage=replace(task.usage, cpu_s=noted_s))
    rest_s = task.usage.cpu_s - noted_s
    for work in work_of(task, {rate.source: rest_s * rate.joules}):
        row = (work.completed, work.failed, work.stopped, work.wall_s, work.cpu_s)
        connection.execute(ADD_WORK, (*_key(work.place), *row))
        _add_joules(connection, {(work.place, source): joules for source, joules in work.joules.items()})


def _forget(connection: sqlite3.Connection) -> None:
    """By number, not by the clock: one that was ahead for a while must not cost the history."""
    for table in ("work", "energy"):
        oldest = "(SELECT DISTINCT day FROM work ORDER BY day DESC LIMIT 1 OFFSET ?)"
        connection.execute(f"DELETE FROM {table} WHERE day < {oldest}", (KEPT_DAYS - 1,))  # noqa: S608
    found = connection.execute(
        "SELECT ended_at_s FROM counted ORDER BY ended_at_s DESC LIMIT 1 OFFSET ?", (KEPT_TASKS,)
    ).fetchone()
    if found is not None:
        connection.execute("DELETE FROM counted WHERE ended_at_s <= ?", found)
        _mark(connection, FORGOTTEN, found[0])


def _mark(connection: sqlite3.Connection, name: str, at_s: float) -> None:
    connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, at_s))


def _floor_s(connection: sqlite3.Connection, now_s: float, overlap_s: float) -> float:
    marks: dict[str, float] = dict(connection.execute("SELECT name, at_s FROM marks").fetchall())
    passed_s = min(marks.get(PASSED, float("-inf")), now_s) - overlap_s
    return max(passed_s, marks.get(FORGOTTEN, float("-inf")))


def _read(connection: sqlite3.Connection, first: date, last: date) -> tuple[Work, ...]:
    days = (first.isoformat(), last.isoformat())
    found: dict[Place, Work] = {}
    for day, pool, image, *sums in connection.execute("SELECT * FROM work WHERE day BETWEEN ? AND ?", days):
        place = Place(date.fromisoformat(day), pool, image)
        completed, failed, stopped, wall_s, cpu_s = sums
        found[place] = Work(
            place=place, completed=completed, failed=failed, stopped=stopped, wall_s=wall_s, cpu_s=cpu_s
        )
    for day, pool, image, source, joules in connection.execute(
        "SELECT * FROM energy WHERE day BETWEEN ? AND ?", days
    ):
        place = Place(date.fromisoformat(day), pool, image)
        work = found.get(place, Work(place=place))
        found[place] = replace(work, joules={**work.joules, EnergySource(source): joules})
    return tuple(
        found[place] for place in sorted(found, key=lambda place: (place.day, place.pool, place.image))
    )
