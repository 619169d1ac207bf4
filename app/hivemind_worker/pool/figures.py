"""Looks at a pool process and its store, for whoever watches it. The store is asked at most every 5 s."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from hivemind_worker import __version__
from hivemind_worker.model.pool_figures import Class, PoolFigures, StreamFigures, class_of
from hivemind_worker.model.pool_records import PoolNode, PoolTaskState
from hivemind_worker.pool.local.book import PoolBook
from hivemind_worker.pool.local.limits import HEARD_LIMIT_S

FRESH_S = 5.0


class Store(Protocol):
    """Where the pool's book and archives lie."""

    @property
    def kind(self) -> str: ...

    async def archives_bytes(self) -> int: ...

    async def streams(self) -> tuple[StreamFigures, ...]: ...

    async def room(self) -> tuple[int, int | None]:
        """Bytes in use, and the most that there may be; None where no limit is set."""
        ...


class Watcher:
    """`figures` never fails: what the store does not tell is left out."""

    def __init__(
        self, book: PoolBook, store: Store, *, clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._book, self._store, self._clock, self._monotonic = book, store, clock, monotonic
        self._started_at_s = clock()
        self._looked_at, self._seen = -FRESH_S, self._nothing()
        self._one = asyncio.Lock()

    async def figures(self) -> PoolFigures:
        """The pool now."""
        async with self._one:  # several scrapers at once cost what one does
            if self._monotonic() - self._looked_at >= FRESH_S:
                self._seen = await self._look()
                self._looked_at = self._monotonic()
        return replace(self._seen, cpu_s=time.process_time())

    def _nothing(self) -> PoolFigures:
        return PoolFigures(
            version=__version__, engine=self._store.kind, store_up=False, pending=0, running=0, waiting={},
            oldest_wait_s=0.0, workers={}, counts=self._book.counts, archives_bytes=None, accounts=None,
            credits=None, streams=(), store_bytes=None, store_limit_bytes=None,
            started_at_s=self._started_at_s, cpu_s=0.0,
        )  # fmt: skip

    async def _look(self) -> PoolFigures:
        try:
            return await self._asked()
        except OSError:
            return self._nothing()

    async def _asked(self) -> PoolFigures:
        queues = await self._book.queues()
        running = await self._book.tasks_in(PoolTaskState.RUNNING)
        accounts = await self._book.accounts()
        held_bytes, limit_bytes = await self._store.room()
        now_s, waiting = self._clock(), Counter[Class]()
        for queue in queues:
            waiting[class_of(queue.demand)] += queue.count
        return replace(
            self._nothing(), store_up=True, pending=waiting.total(), running=len(running), waiting=waiting,
            oldest_wait_s=max((now_s - queue.oldest_at_s for queue in queues), default=0.0),
            workers=Counter(self._place(node, now_s) for node in await self._book.nodes()),
            archives_bytes=await self._store.archives_bytes(), accounts=len(accounts),
            credits=sum(each.balance for each in accounts), streams=await self._store.streams(),
            store_bytes=held_bytes, store_limit_bytes=limit_bytes,
        )  # fmt: skip

    def _place(self, node: PoolNode, now_s: float) -> tuple[str, str]:
        here = now_s - node.heard_at_s <= HEARD_LIMIT_S
        return "asks" if node.asks else "is_called", "here" if here else "away"


class DiskStore:
    """A pool's folder on this computer."""

    kind = "sqlite"

    def __init__(self, folder: Path, call: Callable[[Callable[[], int]], Awaitable[int]]) -> None:
        """`call` runs what blocks elsewhere."""
        self._folder, self._call = folder, call

    async def archives_bytes(self) -> int:
        """Of tasks and results."""
        return await self._call(lambda: size_of(self._folder / "archives"))

    async def streams(self) -> tuple[StreamFigures, ...]:
        """None here."""
        return ()

    async def room(self) -> tuple[int, int | None]:
        """The whole folder."""
        return await self._call(lambda: size_of(self._folder)), None


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder; those that go meanwhile count nothing. Blocks."""
    found = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    found += size_of(Path(entry.path))
                else:
                    found += entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return found
    return found
