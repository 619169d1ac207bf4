"""The accounts' balances over time: a row for each change, at most one in ten minutes, for two years.

Disposable, as the other figures over time: a damaged file is begun anew.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from hivemind_worker.model.pools import Balance
from hivemind_worker.store.side_file import SideFile

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
        self._file = SideFile(folder / FILE_NAME, "balances", "the balances over time", _prepare)
        self._latest: dict[tuple[str, str], int] = {}

    def is_news(self, pool: str, user: str, amount: int) -> bool:
        """Whether this account's balance differs from the one noted last in this run."""
        return self._latest.get((pool, user)) != amount

    async def note(self, pool: str, user: str, balance: Balance) -> None:
        """Keep a balance; within ten minutes the later one counts."""
        self._latest[pool, user] = balance.amount
        await self._file.call(lambda connection: _note(connection, pool, user, balance), None)

    async def read(self, pool: str, user: str, from_s: float) -> tuple[Balance, ...]:
        """The balances from a moment on, oldest first, with the last one before it as the first."""
        return await self._file.call(lambda connection: _read(connection, pool, user, from_s), ())

    async def read_all(self, from_s: float) -> dict[tuple[str, str], tuple[Balance, ...]]:
        """As `read`, of every account of every pool."""
        nothing: dict[tuple[str, str], tuple[Balance, ...]] = {}
        return await self._file.call(lambda connection: _read_all(connection, from_s), nothing)

    async def close(self) -> None:
        """Close the file and end the thread."""
        await self._file.close()


def _prepare(connection: sqlite3.Connection) -> None:
    connection.executescript(SCHEMA)
    connection.execute("SELECT max(at_s) FROM balances").fetchone()


def _note(connection: sqlite3.Connection, pool: str, user: str, balance: Balance) -> None:
    slot = int(balance.at_s // EVERY_S)
    account = (pool, user)
    if (
        connection.execute("SELECT 1 FROM balances WHERE pool=? AND user=? LIMIT 1", account).fetchone()
        is None
    ):
        slot -= 1  # what an account begins with stays known when it earns within the same ten minutes
    connection.execute(
        "INSERT OR REPLACE INTO balances VALUES (?, ?, ?, ?, ?)",
        (pool, user, slot, balance.at_s, balance.amount),
    )
    connection.execute("DELETE FROM balances WHERE at_s < ?", (balance.at_s - KEPT_S,))


def _read_all(connection: sqlite3.Connection, from_s: float) -> dict[tuple[str, str], tuple[Balance, ...]]:
    accounts = connection.execute("SELECT DISTINCT pool, user FROM balances").fetchall()
    return {(pool, user): _read(connection, pool, user, from_s) for pool, user in accounts}


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
