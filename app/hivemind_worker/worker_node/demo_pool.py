"""The embedded pool as "Try it on this computer": in this process, on loopback, begun anew each time.

Worker and requester speak to it through sockets, as to any other pool; nothing leaves the computer.
"""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import NamedThread
from hivemind_worker.pool.session import Credentials

if TYPE_CHECKING:
    from hivemind_worker.pool.local.pool import LocalPool
    from hivemind_worker.store.pool_book import SqlitePoolBook

USER = "you"
TOKENS = 1000


class DemoPool:
    """`start` once, `close` once. `address` and `credentials` hold while it runs."""

    def __init__(self, folder: Path, files: NamedThread) -> None:
        self._folder, self._files = folder, files
        self._book: SqlitePoolBook | None = None
        self._pool: LocalPool | None = None
        self.address = ""
        self.credentials = Credentials(user=USER, password=secrets.token_urlsafe(24))

    async def start(self) -> Problem | None:
        """Serve on a free port of loopback, with one account; nothing is left running after a problem."""
        from hivemind_worker.pool.local.pool import LocalPool  # noqa: PLC0415 - only who tries it pays for it
        from hivemind_worker.store.pool_book import SqlitePoolBook  # noqa: PLC0415

        try:
            await self._files.call(lambda: shutil.rmtree(self._folder, ignore_errors=True))
            self._book = SqlitePoolBook(self._folder)
            problem = await self._book.open()
            if problem is None:
                self._pool = LocalPool(self._book, self._folder, "127.0.0.1:0")
                problem = await self._serve(self._pool)
        except OSError as error:
            problem = Problem(code=FaultCode.DISK_FULL, about=str(error.strerror or error))
        if problem is not None:
            await self.close()
        return problem

    async def _serve(self, pool: LocalPool) -> Problem | None:
        address = await pool.start()
        if isinstance(address, Problem):
            return address
        self.address = address
        return await pool.add_account(USER, self.credentials.password, TOKENS)

    async def close(self) -> None:
        """End it and remove what it kept."""
        if self._pool is not None:
            await self._pool.close()
        if self._book is not None:
            await self._book.close()
        self._pool = self._book = None
        await self._files.call(lambda: shutil.rmtree(self._folder, ignore_errors=True))
