"""The accounts' balances over time: a row for each change, at most one in ten minutes, for two years.

Disposable, as the other figures over time: a damaged file is begun anew.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hivemind_worker.model.pools import Balance
from hivemind_worker.nursery import NamedThread

log = logging.getLogger(__name__)
Result = TypeVar("Result")

FILE_NAME = "balances.sqlite3"
EVERY_S = 600
KEPT_S = 730 * 86_400
SCHEMA = """
CREATE TABLE IF NOT EXISTS balances (
    pool TEXT NOT NULL, user TEXT NOT NULL, slot INTEGER NOT NULL, at_s REAL NOT NULL,
    amount INTEGER NOT NULL, PRIMARY KEY (pool, user, slot)
) WITHOUT ROWID;
"""


class BalanceBook:
    """The balances. Nothing it does can fail its caller; calls run in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE_NAME
        self._thread = NamedThread("balances")
        self._connection: sqlite3.Connection | None = None
        self._latest: dict[tuple[str, str], int] = {}

    def is_news(self, pool: str, user: str, amount: int) -> bool:
        """Whether this account's balance differs from the one noted last in this run."""
        return self._latest.get((pool, user)) != amount

    async def note(self, pool: str, user: str, balance: Balance) -> None:
        """Keep a balance; within ten minutes the later one counts."""
        self._latest[pool, user] = balance.amount
        await self._thread.call(
            self._guarded, lambda connection: _note(connection, pool, user, balance), None
        )

    async def read(self, pool: str, user: str, from_s: float) -> tuple[Balance, ...]:
        """The balances from a moment on, oldest first, with the last one before it as the first."""
        return await self._thread.call(
            self._guarded, lambda connection: _read(connection, pool, user, from_s), ()
        )

    async def close(self) -> None:
        """Close the file and end the thread."""
        await self._thread.call(self._drop)
        self._thread.close(wait=False)

    # --- in the thread ------------------------------------------------------------------------

    def _guarded(self, work: Callable[[sqlite3.Connection], Result], otherwise: Result) -> Result:
        try:
            return work(self._open())
        except (sqlite3.Error, OSError) as error:
            log.warning("the balances over time cannot be kept or read: %s", error)
            self._drop()
            return otherwise

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = _connect(self._file)
            except sqlite3.DatabaseError:
                for end in ("", "-journal"):
                    Path(f"{self._file}{end}").unlink(missing_ok=True)
                self._connection = _connect(self._file)
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def _connect(file: Path) -> sqlite3.Connection:
    file.touch(mode=0o600)
    connection = sqlite3.connect(file, check_same_thread=False)
    try:
        connection.executescript(SCHEMA)
        connection.execute("SELECT max(at_s) FROM balances").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _note(connection: sqlite3.Connection, pool: str, user: str, balance: Balance) -> None:
    slot = int(balance.at_s // EVERY_S)
    with connection:
        connection.execute(
            "INSERT OR REPLACE INTO balances VALUES (?, ?, ?, ?, ?)",
            (pool, user, slot, balance.at_s, balance.amount),
        )
        connection.execute("DELETE FROM balances WHERE at_s < ?", (balance.at_s - KEPT_S,))


def _read(connection: sqlite3.Connection, pool: str, user: str, from_s: float) -> tuple[Balance, ...]:
    account = (pool, user, from_s)
    before = connection.execute(
        "SELECT at_s, amount FROM balances WHERE pool=? AND user=? AND at_s < ? ORDER BY at_s DESC LIMIT 1",
        account,
    ).fetchall()
    later = connection.execute(
        "SELECT at_s, amount FROM balances WHERE pool=? AND user=? AND at_s >= ? ORDER BY at_s", account
    ).fetchall()
    return tuple(Balance(at_s=at_s, amount=amount) for at_s, amount in (*before, *later))
