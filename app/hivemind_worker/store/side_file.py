"""A small SQLite file beside the journal, for what may be lost: figures and records over time.

Owns its connection and its thread. A damaged file is begun anew; trouble of the disk or of the moment
leaves it as it is. Counterparts: `history`, `records`, `balances`, which say what is in theirs.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hivemind_worker.nursery import NamedThread
from hivemind_worker.store.journal import NO_DAMAGE, primary_code

log = logging.getLogger(__name__)
Result = TypeVar("Result")


class SideFile:
    """`prepare` makes the tables and reads from one, so that damage shows; `what` names it in the log."""

    def __init__(
        self, file: Path, thread: str, what: str, prepare: Callable[[sqlite3.Connection], object]
    ) -> None:
        self._file = file
        self._thread = NamedThread(thread)
        self._what = what
        self._prepare = prepare
        self._connection: sqlite3.Connection | None = None

    async def call(self, work: Callable[[sqlite3.Connection], Result], otherwise: Result) -> Result:
        """What `work` returns, run in the thread as one transaction; `otherwise` when it does not work."""
        return await self._thread.call(self._guarded, work, otherwise)

    async def close(self) -> None:
        """Close the file and end the thread."""
        await self._thread.call(self._drop)
        self._thread.close(wait=False)

    # --- in the thread ------------------------------------------------------------------------

    def _guarded(self, work: Callable[[sqlite3.Connection], Result], otherwise: Result) -> Result:
        try:
            connection = self._open()
            with connection:
                return work(connection)
        except (sqlite3.Error, OSError, ValueError) as error:
            log.warning("%s could not be kept or read: %s", self._what, error)
            self._drop()
            return otherwise

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = self._connect()
            except sqlite3.DatabaseError as error:
                if primary_code(error) in NO_DAMAGE:
                    raise
                for end in ("", "-journal"):
                    Path(f"{self._file}{end}").unlink(missing_ok=True)
                self._connection = self._connect()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        self._file.touch(mode=0o600)
        connection = sqlite3.connect(self._file, check_same_thread=False)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _drop(self) -> None:
        """Have the file looked at anew the next time."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
