"""Holds one child back: the owner's pause, and a share of a processor below one core.

Both suspend the same process, so one object decides when it may run. The share may change while the
guest runs. A guest has one thread: a share of one core or more needs no brake.
"""

from __future__ import annotations

import asyncio
import time

from hivemind_worker.nursery.children import Child

PERIOD_S = 0.1
LONGEST_REST_S = 2.0


class Brake:
    """Suspends and resumes `child` (once there is one). Use from the loop's thread only."""

    def __init__(self) -> None:
        self._child: Child | None = None
        self._resting = False
        self._share = 1.0
        self._limited = asyncio.Event()
        self._running = asyncio.Event()
        self._running.set()
        self._paused_since: float | None = None
        self._paused_s = 0.0

    def take(self, child: Child) -> None:
        """Hold this child from now on; it may have been paused before it existed."""
        self._child = child
        self._apply()

    @property
    def is_paused(self) -> bool:
        return self._paused_since is not None

    @property
    def paused_s(self) -> float:
        """Seconds that the owner's pauses have taken until now; the share's rests do not count."""
        running = 0.0 if self._paused_since is None else time.monotonic() - self._paused_since
        return self._paused_s + running

    def pause(self) -> None:
        """Let nothing run until `resume`; again is harmless."""
        if self._paused_since is None:
            self._paused_since = time.monotonic()
            self._running.clear()
            self._apply()

    def resume(self) -> None:
        """End the pause; again is harmless."""
        if self._paused_since is not None:
            self._paused_s += time.monotonic() - self._paused_since
            self._paused_since = None
            self._running.set()
            self._apply()

    def _apply(self) -> None:
        if self._child is None:
            return
        if self.is_paused or self._resting:
            self._child.suspend()
        else:
            self._child.resume()

    def limit(self, cores: float) -> None:
        """Set the share from now on."""
        self._share = cores
        if cores < 1:
            self._limited.set()
        else:
            self._limited.clear()

    async def keep_share(self) -> None:
        """Let the child have its share of a processor on average; runs until cancelled.

        Goes by the processor time that it really took, so a program that waits is not slowed,
        and a late timer is made up for.
        """
        assert self._child is not None
        debt_s = 0.0
        at, taken = time.monotonic(), self._child.usage().cpu_s
        while True:
            cores = min(1.0, self._share)
            await asyncio.sleep(PERIOD_S * cores)
            if self.is_paused or not self._limited.is_set():
                await self._running.wait()
                await self._limited.wait()
                debt_s = 0.0
                at, taken = time.monotonic(), self._child.usage().cpu_s
                continue
            now, used = time.monotonic(), self._child.usage().cpu_s
            # At most one period's worth can be saved up.
            debt_s = max(-PERIOD_S * cores, debt_s + (used - taken) - cores * (now - at))
            at, taken = now, used
            if debt_s > 0:
                await self._rest(min(debt_s / cores, LONGEST_REST_S))

    async def _rest(self, seconds: float) -> None:
        self._resting = True
        self._apply()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._resting = False
            self._apply()
