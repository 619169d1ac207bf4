"""A pool process on a NATS server: the embedded pool's services, with everything that lasts kept there.

Any number of these run at once for one pool, and each may end at any moment: none holds what others need.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import NamedThread, Nursery
from hivemind_worker.pool.local.book import StoreAwayError
from hivemind_worker.pool.local.pool import LocalPool
from hivemind_worker.pool.nats.archives import NatsArchives
from hivemind_worker.pool.nats.book import NatsPoolBook
from hivemind_worker.pool.nats.desk import Desk
from hivemind_worker.pool.nats.engine import Connect, Engine
from hivemind_worker.pool.nats.layout import HELD_S


class EnginePool:
    """One process of a pool. `start` once, then `close` once."""

    def __init__(
        self,
        connect: Connect,
        folder: Path,
        listen: str,
        *,
        replicas: int = 1,
        charges: bool = False,
        held_s: float = HELD_S,
        keep_bytes: int | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`folder` is for archives while they are used; `replicas`: how many servers keep each record;
        `held_s`: for so long one worker may have a task; `keep_bytes`: what the servers may keep, where
        they do not say it."""
        self._nursery = Nursery("pool engine")
        self._files = NamedThread("pool-archives", threads=2)
        self.engine = Engine(connect, replicas=replicas, keep_bytes=keep_bytes)
        self.book = NatsPoolBook(self.engine)
        archives = NatsArchives(self.engine, self.book, folder / "in-use", self._files)
        self.desk = Desk(
            self.engine, self.book, archives, self._nursery, clock=clock, monotonic=monotonic,
            charges=charges, held_s=held_s,
        )  # fmt: skip
        self.local = LocalPool(
            self.book, folder, listen, charges=charges, clock=clock, monotonic=monotonic,
            archives=archives, signing=self.book.signing_key,
        )  # fmt: skip

    async def start(self) -> str | Problem:
        """Begin to serve; returns the bound HOST:PORT, or why not (nothing is left running then)."""
        problem = await self.book.open()
        if problem is not None:
            await self.close()
            return problem
        self._nursery.start("engine", self.engine.run())
        address = await self.local.start()
        if isinstance(address, Problem):
            await self.close()
            return address
        try:
            await self.desk.open()
        except StoreAwayError as away:
            await self.close()
            return away.problem
        self._nursery.start("desk", self.desk.run())
        return address

    async def close(self) -> None:
        """End all calls. Everything stays at the server, for the other processes and the next start."""
        await self.local.close()
        await self._nursery.close()
        await self.book.close()
        self._files.close()
