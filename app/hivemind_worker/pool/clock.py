"""Time as the pool's client sees it, so that tests need not wait for it."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from hivemind_worker.nursery import comes_within


class Clock(Protocol):
    """Wall clock, steady clock, and the one way to wait."""

    def now(self) -> float:
        """UTC epoch seconds; may jump."""
        ...

    def steady(self) -> float:
        """Seconds that only ever grow."""
        ...

    async def wait(self, event: asyncio.Event, limit_s: float) -> bool:
        """Wait for the event, at most so long; whether it is set."""
        ...


class SystemClock:
    """The computer's own time."""

    def now(self) -> float:
        return time.time()

    def steady(self) -> float:
        return time.monotonic()

    async def wait(self, event: asyncio.Event, limit_s: float) -> bool:
        return await comes_within(event, limit_s)
