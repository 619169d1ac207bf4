"""The log of each task as its requester sees it: the worker's output and the pool's own lines, in order.

One stream in the order of arrival, where the original pool shows its own lines first.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from hivemind_worker.model.task import TaskKey
from hivemind_worker.pool.local.book import PoolBook
from hivemind_worker.pool.local.limits import LOG_BYTES


def line_ended(text: str) -> str:
    """Output as it is kept: it ends a line, as the protocol says that each call does."""
    return text if text.endswith("\n") else f"{text}\n"


class TaskLog:
    """Appends; the book keeps the last 1 MiB of each task."""

    def __init__(self, book: PoolBook, clock: Callable[[], float]) -> None:
        self._book, self._clock = book, clock

    async def system(self, key: TaskKey, text: str) -> None:
        """Add a line of the pool's own."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self._clock()))
        line = " ".join(text.split())[:1000]  # may quote a worker: kept to one line
        await self._book.append_log(key, [f"[{stamp}] [system] {line}\n"], LOG_BYTES)

    async def output(self, key: TaskKey, text: str) -> None:
        """Add output of the task."""
        if text:
            await self._book.append_log(key, [line_ended(text)], LOG_BYTES)

    async def read(self, key: TaskKey) -> tuple[int, str]:
        """Bytes cut off at the start so far, and the text."""
        return await self._book.log(key)
