"""Requests of workers that wait for a task: one new task wakes one of them, not all thousand.

Whoever is woken and has no use for the task passes the word on, each time to one who has waited since before.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import count


@dataclass(slots=True, eq=False)
class Waiter:
    """One request that waits. `news`: which piece of news woke it; `full`: its worker has no room."""

    name: str
    since: int
    full: bool = False
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    news: int = 0


class Waiters:
    """Those who wait, the longest first."""

    def __init__(self) -> None:
        self._waiting: dict[Waiter, None] = {}
        self._full: dict[Waiter, None] = {}
        self._by_name: dict[str, dict[Waiter, None]] = {}
        self._numbers = count(1)

    async def wait(self, name: str, limit_s: float, *, full: bool = False) -> int | None:
        """The news that woke this request; None when there was none within the time.

        Of a worker that is `full` no word of a new task comes here, but for what asks for little: else each
        word went through the hands of hundreds who have no use for it.
        """
        waiter = Waiter(name, next(self._numbers), full)
        (self._full if full else self._waiting)[waiter] = None
        self._by_name.setdefault(name, {})[waiter] = None
        try:
            async with asyncio.timeout(max(0.0, limit_s)):
                await waiter.woken.wait()
        except TimeoutError:
            return waiter.news if waiter.woken.is_set() else None
        except asyncio.CancelledError:
            if waiter.woken.is_set():
                self.pass_on(waiter.news)  # the word is not lost with whom it woke
            raise
        finally:
            self._leave(waiter)
        return waiter.news

    def wake_one(self, *, full: bool = False) -> None:
        """A task waits: somebody may have room for it; with `full` even who has none for others."""
        if full:
            self._waiting |= self._full
            self._full.clear()
        self.pass_on(next(self._numbers))

    def wake(self, name: str) -> None:
        """This worker has room again."""
        for waiter in list(self._by_name.get(name, ())):
            self._wake(waiter, 0)

    def pass_on(self, news: int) -> None:
        """Let the next one hear it, of those who have waited since before the news."""
        waiter = next(iter(self._waiting), None)
        if waiter is not None and waiter.since < news:
            self._wake(waiter, news)

    def _wake(self, waiter: Waiter, news: int) -> None:
        self._leave(waiter)
        waiter.news = news
        waiter.woken.set()

    def _leave(self, waiter: Waiter) -> None:
        self._waiting.pop(waiter, None)
        self._full.pop(waiter, None)
        same = self._by_name.get(waiter.name, {})
        same.pop(waiter, None)
        if not same:
            self._by_name.pop(waiter.name, None)
