"""What one container uses, measured as often as somebody looks. Counterpart: `figures`, which reads it."""

from __future__ import annotations

import asyncio
import contextlib
import time

from hivemind_worker.model.traffic import Moved, uncounted
from hivemind_worker.model.work import RunFigures
from hivemind_worker.runtimes.docker.accounts import Account
from hivemind_worker.runtimes.docker.containers import Containers
from hivemind_worker.runtimes.docker.engine import EngineError
from hivemind_worker.runtimes.docker.figures import Reading, figures, read_stats

LOOKED_AT_S = 5.0
EVERY_S, SELDOM_S = 1.0, 10.0
FIRST_S = 0.5


class Gauge:
    """`last` is the latest reading; `disk_bytes` is set by whoever watches the quota.

    `moved` is told of its network; what passes between the last reading and the end is not seen.
    """

    def __init__(self, containers: Containers, memory_bytes: int, moved: Moved = uncounted) -> None:
        self.last: Reading | None = None
        self._account = Account()
        self.disk_bytes = 0
        self.is_adopted = False
        self._containers, self._memory_bytes, self._moved = containers, memory_bytes, moved
        self._figures: RunFigures | None = None
        self._looked_at_s = float("-inf")
        self._looked = asyncio.Event()

    def counted(self, account: Account) -> None:
        """What the kernel says: looked at more often than the engine is asked. Any thread."""
        self._account = Account(
            cpu_s=max(account.cpu_s, self._account.cpu_s),
            peak_bytes=max(account.peak_bytes, self._account.peak_bytes),
        )

    @property
    def cpu_s(self) -> float:
        """Processor seconds so far."""
        return self._account.cpu_s

    @property
    def peak_bytes(self) -> int:
        """The most memory at once."""
        return self._account.peak_bytes

    def figures(self) -> RunFigures | None:
        """What it uses; who asks has it measured every second for a while."""
        self._looked_at_s = time.monotonic()
        self._looked.set()
        return self._figures

    async def keep(self, container: str) -> None:
        """Until cancelled. Soon after the start, as tasks may be short; seldom while nobody looks."""
        await asyncio.sleep(FIRST_S)
        while True:
            await self._read(container)
            await asyncio.sleep(EVERY_S)
            if time.monotonic() - self._looked_at_s > LOOKED_AT_S:
                self._looked.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(SELDOM_S - EVERY_S):
                        await self._looked.wait()

    async def _read(self, container: str) -> None:
        with contextlib.suppress(EngineError):
            now = read_stats(await self._containers.stats(container), time.time())
            if now.cpu_s or now.memory_bytes:  # nothing: it has ended
                before, self.last = self.last, now
                self.counted(Account(cpu_s=now.cpu_s, peak_bytes=now.peak_bytes))
                self._count(now, before)
                self._figures = figures(
                    now, before, disk_bytes=self.disk_bytes, memory_limit_bytes=self._memory_bytes
                )

    def _count(self, now: Reading, before: Reading | None) -> None:
        """An adopted container's first reading holds what an earlier life has counted: it begins there."""
        if before is None and self.is_adopted:
            return
        received = now.net_in_bytes - (before.net_in_bytes if before else 0)
        sent = now.net_out_bytes - (before.net_out_bytes if before else 0)
        if received > 0 or sent > 0:
            self._moved(max(0, received), max(0, sent))
