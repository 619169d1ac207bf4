"""All that runs beside its caller: named asyncio tasks and the few named threads.

Nothing else in the program calls `create_task` or makes a thread pool, so whatever runs
can be listed, is ended in order, and never fails silently. Child processes: `nursery.children`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

log = logging.getLogger(__name__)
Result = TypeVar("Result")


class Nursery:
    """Named asyncio tasks with one owner. Use from the loop's thread only."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work` beside the caller; an exception that nobody awaits is logged as a bug.

        Raises:
            RuntimeError: the nursery is closed, or no loop runs; `work` is closed too.
        """
        try:
            if self._closed:
                raise RuntimeError(f"nursery {self.name} is closed")
            loop = asyncio.get_running_loop()
        except RuntimeError:
            work.close()
            raise
        task = loop.create_task(work, name=f"{self.name}:{name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("bug in %s: %r", task.get_name(), error, exc_info=error)

    def names(self) -> tuple[str, ...]:
        """Names of what runs now."""
        return tuple(sorted(task.get_name() for task in self._tasks))

    async def close(self, limit_s: float = 5.0) -> tuple[str, ...]:
        """Cancel everything and wait at most `limit_s`; returns the names of what did not end."""
        self._closed = True
        running = set(self._tasks)
        for task in running:
            task.cancel()
        if not running:
            return ()
        _, late = await asyncio.wait(running, timeout=limit_s)
        for task in late:
            log.warning("%s did not end within %g s", task.get_name(), limit_s)
        return tuple(task.get_name() for task in late)


async def comes_within(event: asyncio.Event, limit_s: float) -> bool:
    """Wait for an event, so long at most; whether it came.

    Not by `asyncio.wait_for`: of Python 3.11 it swallows a cancel that comes in the same turn as the event,
    and who waits in a loop would never end.
    """
    try:
        async with asyncio.timeout(limit_s):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True


def heed_cancel() -> None:
    """Let a cancel count that a library has swallowed (its `asyncio.wait_for`, for one).

    Raises:
        asyncio.CancelledError: the running task was cancelled.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class NamedThread:
    """One thread (or a few) with a name, for calls that block. Calls run in order when it is one."""

    def __init__(self, name: str, threads: int = 1) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def call(self, function: Callable[..., Result], *args: Any) -> Result:
        """Run `function` in the thread and return what it returns; a cancelled caller does not end it."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)

    def close(self, wait: bool = True) -> None:
        """Take no more calls; those waiting are dropped, the running one ends by itself."""
        self._pool.shutdown(wait=wait, cancel_futures=True)
