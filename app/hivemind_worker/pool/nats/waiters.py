"""Requests of workers that wait for a task: one new task wakes one of them, not all thousand.

Whoever is woken passes the word on while the task still waits, each time to one who has waited since before.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from hivemind_worker.model.task import TaskKey
from hivemind_worker.pool.local.placing import Room


class News(NamedTuple):
    """That this task waits for a worker; of two pieces of news the later one has the higher number."""

    number: int
    key: TaskKey


NO_NEWS = News(0, TaskKey(""))


@dataclass(slots=True, eq=False)
class Waiter:
    """One request that waits. `news`: which piece of news woke it; `room`: what its worker has."""

    name: str
    since: int
    room: Room = Room.SOME
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    news: News = NO_NEWS


class Waiters:
    """Those who wait, the longest first."""

    def __init__(self) -> None:
        self._waiting: dict[Room, dict[Waiter, None]] = {room: {} for room in Room}
        self._by_name: dict[str, dict[Waiter, None]] = {}
        self._numbers = count(1)

    async def wait(self, name: str, limit_s: float, room: Room = Room.SOME) -> News | None:
        """The news that woke this request; None when there was none within the time.

        Who has no room hears no word of a new task, who has little only of one that asks for little: else
        each word went through the hands of hundreds who have no use for it.
        """
        waiter = Waiter(name, next(self._numbers), room)
        self._waiting[room][waiter] = None
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

    def wake_one(self, key: TaskKey, *, little: bool = False) -> None:
        """This task waits: somebody may have room for it; with `little` also who has none for others."""
        if little:
            self._waiting[Room.SOME] |= self._waiting[Room.LITTLE]
            self._waiting[Room.LITTLE].clear()
        self.pass_on(News(next(self._numbers), key))

    def wake(self, name: str) -> None:
        """This worker has room again."""
        for waiter in list(self._by_name.get(name, ())):
            self._wake(waiter, NO_NEWS)

    def pass_on(self, news: News) -> None:
        """Let the next one hear it, of those who have waited since before the news."""
        waiter = next(iter(self._waiting[Room.SOME]), None)
        if waiter is not None and waiter.since < news.number:
            self._wake(waiter, news)

    def _wake(self, waiter: Waiter, news: News) -> None:
        self._leave(waiter)
        waiter.news = news
        waiter.woken.set()

    def _leave(self, waiter: Waiter) -> None:
        for waiting in self._waiting.values():
            waiting.pop(waiter, None)
        same = self._by_name.get(waiter.name, {})
        same.pop(waiter, None)
        if not same:
            self._by_name.pop(waiter.name, None)
