"""Figures of the computer over time, in three rings: seconds, minutes, hours. Disposable: a damaged file is
begun anew.

Points of seconds stay in memory until their minute is over, so that there is one small write a minute.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from hivemind_worker.model.metrics import COLUMNS, KEPT, Point, Step, Value
from hivemind_worker.store.side_file import SideFile

FILE_NAME = "metrics.sqlite3"
NAMES = ", ".join(COLUMNS)
MARKS = ", ".join("?" for _ in COLUMNS)
MEANS = ", ".join(f"avg({name})" for name in COLUMNS)
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS points (
    step INTEGER NOT NULL, at_s INTEGER NOT NULL, {", ".join(f"{name} REAL" for name in COLUMNS)},
    PRIMARY KEY (step, at_s)
) WITHOUT ROWID;
"""


class MetricHistory:
    """The rings. `add` never waits; nothing it does can fail its caller."""

    def __init__(self, folder: Path) -> None:
        self._file = SideFile(folder / FILE_NAME, "metrics", "figures over time", _prepare)
        self._minute: dict[int, tuple[Value, ...]] = {}

    def add(self, at_s: float, values: Sequence[Value]) -> Iterable[Point] | None:
        """Note a moment. Returns a minute's points when one is over: the caller has them written."""
        second = int(at_s)
        begun = next(iter(self._minute), second)
        over = None
        if second // Step.MINUTE != begun // Step.MINUTE:
            over, self._minute = self._points(), {}
        self._minute[second] = tuple(values)
        return over

    def _points(self) -> tuple[Point, ...]:
        return tuple(Point(at_s=at_s, values=values) for at_s, values in self._minute.items())

    async def write(self, points: Iterable[Point]) -> None:
        """Keep a minute's points; what cannot be written is dropped."""
        if kept := tuple(points):
            await self._file.call(lambda connection: _write(connection, kept), None)

    async def read(self, step: Step, from_s: float, most: int) -> tuple[Point, ...]:
        """The points from a moment on, oldest first; the newest when there are more than `most`."""
        nothing: tuple[Point, ...] = ()
        kept = await self._file.call(lambda connection: _read(connection, step, from_s, most), nothing)
        if step is not Step.SECOND:
            return kept
        fresh = {point.at_s: point for point in (*kept, *self._points()) if point.at_s >= from_s}
        return tuple(fresh[at_s] for at_s in sorted(fresh))[-most:]

    async def close(self) -> None:
        """Write what is pending and close the file."""
        await self.write(self._points())
        await self._file.close()


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.executescript(SCHEMA)
    _add_missing_columns(connection)
    connection.execute("SELECT max(at_s) FROM points").fetchone()


def _add_missing_columns(connection: sqlite3.Connection) -> None:
    """A file of an earlier version keeps its points; what was not measured then stays unknown."""
    present = {row[1] for row in connection.execute("PRAGMA table_info(points)")}
    for name in COLUMNS:
        if name not in present:
            connection.execute(f"ALTER TABLE points ADD COLUMN {name} REAL")


def _write(connection: sqlite3.Connection, points: tuple[Point, ...]) -> None:
    _insert(connection, points)
    _fold(connection, points[0].at_s)
    _forget(connection, points[-1].at_s)


def _read(connection: sqlite3.Connection, step: Step, from_s: float, most: int) -> tuple[Point, ...]:
    query = (
        f"SELECT at_s, {NAMES} FROM points WHERE step=? AND at_s >= ?"  # noqa: S608 - our own names
        " ORDER BY at_s DESC LIMIT ?"
    )
    rows = connection.execute(query, (int(step), from_s, most)).fetchall()
    return tuple(Point(at_s=row[0], values=tuple(row[1:])) for row in reversed(rows))


def _insert(connection: sqlite3.Connection, points: tuple[Point, ...]) -> None:
    connection.executemany(
        f"INSERT OR REPLACE INTO points (step, at_s, {NAMES}) VALUES (?, ?, {MARKS})",  # noqa: S608
        [(int(Step.SECOND), point.at_s, *point.values) for point in points],
    )


def _fold(connection: sqlite3.Connection, at_s: int) -> None:
    """Means of the minute around a moment, and of the hour so far."""
    for fine, coarse in ((Step.SECOND, Step.MINUTE), (Step.MINUTE, Step.HOUR)):
        begin = at_s - at_s % coarse
        connection.execute(
            f"INSERT OR REPLACE INTO points (step, at_s, {NAMES})"  # noqa: S608
            f" SELECT ?, ?, {MEANS} FROM points"
            " WHERE step=? AND at_s >= ? AND at_s < ?",
            (int(coarse), begin, int(fine), begin, begin + int(coarse)),
        )


def _forget(connection: sqlite3.Connection, now_s: int) -> None:
    """What has left its ring, and what a clock that was ahead has left."""
    for step, kept in KEPT.items():
        connection.execute(
            "DELETE FROM points WHERE step=? AND (at_s <= ? OR at_s > ?)",
            (int(step), now_s - kept * step, now_s),
        )
