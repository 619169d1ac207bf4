"""A clock that stands still until the test moves it: fits `pool.clock.Clock`."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

START_S = 1_800_000_000.0


@dataclass(eq=False)
class _Waiter:
    due_s: float
    event: asyncio.Event
    done: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def is_open(self) -> bool:
        return not self.done.done() and not self.event.is_set()


class VirtualClock:
    """`waits` lists every wait that was asked for, in seconds, in order."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.wall_offset_s = START_S
        self.waits: list[float] = []
        self._waiters: set[_Waiter] = set()
        self._changed = asyncio.Event()

    def now(self) -> float:
        return self.wall_offset_s + self.elapsed_s

    def steady(self) -> float:
        return self.elapsed_s

    async def wait(self, event: asyncio.Event, limit_s: float) -> bool:
        self.waits.append(limit_s)
        waiter = _Waiter(self.elapsed_s + limit_s, event)
        self._waiters.add(waiter)
        self._changed.set()
        woken = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait({woken, waiter.done}, return_when=asyncio.FIRST_COMPLETED)
            return event.is_set()
        finally:
            self._waiters.discard(waiter)
            woken.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await woken

    async def resting(self, limit_s: float = 5.0) -> float:
        """Until something waits on this clock: how long the shortest of those waits still is."""
        async with asyncio.timeout(limit_s):
            while not (
                open_waits := [w for w in self._waiters if not w.done.done() and not w.event.is_set()]
            ):
                self._changed.clear()
                await self._changed.wait()
        return min(waiter.due_s for waiter in open_waits) - self.elapsed_s

    async def advance(self, seconds: float) -> None:
        """Once something waits, move time on, waking what falls due."""
        await self.resting()
        self.elapsed_s += seconds
        for waiter in self._waiters:
            if waiter.due_s <= self.elapsed_s + 1e-9 and not waiter.done.done():
                waiter.done.set_result(False)

    async def next(self) -> float:
        """Move to the end of the shortest wait; its length."""
        pause_s = await self.resting()
        await self.advance(pause_s)
        return pause_s
