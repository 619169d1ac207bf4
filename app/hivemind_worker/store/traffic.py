"""Bytes for tasks, counted by calendar month in local time, and kept across restarts.

`moved` is called wherever such bytes pass, in any thread; `keep` writes what has gathered. What a crash
takes is the few seconds since. Counterpart: the rule "transfers a month", which is judged by `month_bytes`.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from hivemind_worker.store.side_file import SideFile

FILE_NAME = "traffic.sqlite3"
KEPT_MONTHS = 24
SCHEMA = """
CREATE TABLE IF NOT EXISTS traffic (
    month TEXT PRIMARY KEY, received INTEGER NOT NULL, sent INTEGER NOT NULL
) WITHOUT ROWID;
"""
ADD = """
INSERT INTO traffic VALUES (:month, :received, :sent) ON CONFLICT (month)
DO UPDATE SET received = received + :received, sent = sent + :sent
"""
Sums = Mapping[str, tuple[int, int]]


class TrafficBook:
    """The sums. `open` it before anything is counted, `close` it after; nothing it does fails its caller."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._file = SideFile(folder / FILE_NAME, "traffic", "the month's transfers", _prepare)
        self._clock = clock
        self._lock = threading.Lock()
        self._sums: Counter[str] = Counter()
        self._unkept: dict[str, tuple[int, int]] = {}

    async def open(self) -> None:
        """Go on from the sums of before."""
        nothing: Sums = {}
        kept = await self._file.call(_read, nothing)
        with self._lock:
            for month, (received, sent) in kept.items():
                self._sums[month] += received + sent

    def moved(self, received: int, sent: int) -> None:
        """Count bytes that have just passed."""
        if not received and not sent:
            return
        month = month_of(self._clock())
        with self._lock:
            before = self._unkept.get(month, (0, 0))
            self._unkept[month] = (before[0] + received, before[1] + sent)
            self._sums[month] += received + sent

    def month_bytes(self) -> int:
        """All of this month, both ways."""
        with self._lock:
            return self._sums[month_of(self._clock())]

    async def keep(self) -> None:
        """Write what has gathered; what the disk does not take now is written the next time."""
        with self._lock:
            unkept, self._unkept = self._unkept, {}
        if unkept and not await self._file.call(lambda connection: _add(connection, unkept), False):
            with self._lock:
                for month, (received, sent) in unkept.items():
                    since = self._unkept.get(month, (0, 0))
                    self._unkept[month] = (since[0] + received, since[1] + sent)

    async def months(self) -> Sums:
        """Bytes received and sent by month, the oldest first."""
        await self.keep()
        nothing: Sums = {}
        return await self._file.call(_read, nothing)

    async def close(self) -> None:
        """Write the rest and close the file."""
        await self.keep()
        await self._file.close()


def month_of(at_s: float) -> str:
    """The calendar month of a moment by the clock on the wall: 2026-11."""
    return time.strftime("%Y-%m", time.localtime(at_s))


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.executescript(SCHEMA)
    connection.execute("SELECT max(month) FROM traffic").fetchone()


def _read(connection: sqlite3.Connection) -> Sums:
    rows = connection.execute("SELECT month, received, sent FROM traffic ORDER BY month").fetchall()
    return {month: (received, sent) for month, received, sent in rows}


def _add(connection: sqlite3.Connection, unkept: Sums) -> bool:
    for month, (received, sent) in unkept.items():
        connection.execute(ADD, {"month": month, "received": received, "sent": sent})
    last = "(SELECT month FROM traffic ORDER BY month DESC LIMIT ?)"
    connection.execute(f"DELETE FROM traffic WHERE month NOT IN {last}", (KEPT_MONTHS,))  # noqa: S608
    return True
