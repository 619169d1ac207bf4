"""How many offers are received and inspected at once: memory stays bounded whatever comes.

A message's size is not known before it is there, so places are counted, not bytes. Whoever
has been sending for long gives way when all places are taken: half-sent requests must not
lock the pool out. Counterpart: `pool.server`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PLACES = 4
WAIT_S = 1.0
PATIENCE_S = 1.0


class Place:
    """One caller's place. `give_way` ends its receiving; not called once `received` is set."""

    def __init__(self, since_s: float, give_way: Callable[[], None]) -> None:
        self.since_s = since_s
        self.give_way = give_way
        self.received = False


class Gate:
    """A few places and a queue of at most `wait_s`. Use from one loop only."""

    def __init__(self, places: int = PLACES, wait_s: float = WAIT_S, patience_s: float = PATIENCE_S) -> None:
        self._free = asyncio.Semaphore(places)
        self._wait_s = wait_s
        self._patience_s = patience_s
        self._taken: list[Place] = []

    async def enter(self, give_way: Callable[[], None]) -> Place | None:
        """A place, or None when none came free in time. Give it back with `leave`."""
        loop = asyncio.get_running_loop()
        push = loop.call_later(self._push_delay(loop.time()), self._push_out) if self._free.locked() else None
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError:
            return None
        finally:
            if push:
                push.cancel()
        place = Place(loop.time(), give_way)
        self._taken.append(place)
        return place

    def leave(self, place: Place) -> None:
        """Give a place back."""
        self._taken.remove(place)
        self._free.release()

    def _push_delay(self, now_s: float) -> float:
        oldest = self._oldest()
        return max(0.0, oldest.since_s + self._patience_s - now_s) if oldest else self._patience_s

    def _oldest(self) -> Place | None:
        return next((place for place in self._taken if not place.received), None)

    def _push_out(self) -> None:
        oldest = self._oldest()
        if oldest and oldest.since_s + self._patience_s <= asyncio.get_running_loop().time():
            oldest.received = True  # pushed once only
            oldest.give_way()
