"""What is kept of the past for its owner: facts every five minutes, and how fast it gave way.

Disposable: the journal holds what must not be lost. A damaged file is begun anew.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from hivemind_worker.model.facts import RuleFacts, Zone
from hivemind_worker.model.preview import Moment
from hivemind_worker.model.yields import Yielding
from hivemind_worker.store.side_file import SideFile

FILE_NAME = "records.sqlite3"
MOMENTS_KEPT_S = 8 * 86400.0
YIELDS_KEPT = 1000
SCHEMA = """
CREATE TABLE IF NOT EXISTS moments (at_s REAL PRIMARY KEY, facts TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS yields (at_s REAL NOT NULL, tasks INTEGER NOT NULL, took_ms REAL NOT NULL);
"""


class Records:
    """The file. Nothing it does fails its caller: what cannot be kept is dropped with a line in the log."""

    def __init__(self, folder: Path) -> None:
        self._file = SideFile(records_file(folder), "records", "records of the past", _prepare)

    async def add_moment(self, moment: Moment) -> None:
        """Keep the facts of a moment."""
        row = (moment.at_s, encoded_facts(moment.facts))

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO moments VALUES (?, ?)", row)
            limits = (moment.at_s - MOMENTS_KEPT_S, moment.at_s + 86400)  # the clock may have been ahead
            connection.execute("DELETE FROM moments WHERE at_s < ? OR at_s > ?", limits)

        await self._file.call(write, None)

    async def moments(self, from_s: float) -> tuple[Moment, ...]:
        """Facts from a moment on, oldest first."""
        query = "SELECT at_s, facts FROM moments WHERE at_s >= ? ORDER BY at_s"
        rows: Sequence[Any] = await self._file.call(lambda c: c.execute(query, (from_s,)).fetchall(), [])
        return tuple(Moment(at_s=at_s, facts=decoded_facts(text)) for at_s, text in rows)

    async def add_yielding(self, yielding: Yielding) -> None:
        """Keep one time that the computer was given back."""
        row = (yielding.at_s, yielding.tasks, yielding.took_ms)

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO yields VALUES (?, ?, ?)", row)
            last = "(SELECT rowid FROM yields ORDER BY rowid DESC LIMIT ?)"
            connection.execute(f"DELETE FROM yields WHERE rowid NOT IN {last}", (YIELDS_KEPT,))  # noqa: S608

        await self._file.call(write, None)

    async def yieldings(self) -> tuple[Yielding, ...]:
        """The last thousand, oldest first."""
        query = "SELECT at_s, tasks, took_ms FROM yields ORDER BY rowid"
        rows: Sequence[Any] = await self._file.call(lambda c: c.execute(query).fetchall(), [])
        return tuple(Yielding(at_s=row[0], tasks=row[1], took_ms=row[2]) for row in rows)

    async def close(self) -> None:
        """Close the file."""
        await self._file.close()


def records_file(folder: Path) -> Path:
    """Where they lie; there from the first record on."""
    return folder / FILE_NAME


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.executescript(SCHEMA)
    connection.execute("SELECT max(at_s) FROM moments").fetchone()


def encoded_facts(facts: RuleFacts) -> str:
    """The facts as JSON."""
    return json.dumps({**asdict(facts), "programs": sorted(facts.programs or ())}, separators=(",", ":"))


def decoded_facts(text: str) -> RuleFacts:
    """The facts again; of a later version only what this one knows.

    Raises:
        ValueError: it is no such text.
    """
    found = json.loads(text)
    known = {row.name: found[row.name] for row in fields(RuleFacts) if row.name in found}
    zone = {row.name: value for row in fields(Zone) if (value := found["zone"].get(row.name)) is not None}
    return RuleFacts(**{**known, "zone": Zone(**zone), "programs": frozenset(found["programs"])})
