"""The link to the active pool: one that calls the worker, or one that the worker asks; by the address.

One that is not meant idles: its login is not asked for and what it shows is not passed on. The one that asks
is loaded when the first such address is: most workers never need it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hivemind_worker.model.pools import is_asked
from hivemind_worker.model.snapshot import PoolView
from hivemind_worker.model.task import TaskId
from hivemind_worker.model.work import Sent
from hivemind_worker.nursery import Nursery
from hivemind_worker.pool.client import PoolClient

if TYPE_CHECKING:
    from hivemind_worker.pool.nats.pull_client import PullClient


class ChosenLink:
    """Fits `engine.ports.PoolLink`, as each of the two does."""

    def __init__(self, address: str, called: PoolClient, make_asking: Callable[[], PullClient]) -> None:
        self._address, self._called, self._make_asking = address, called, make_asking
        self._asking: PullClient | None = None
        self._moved = asyncio.Event()

    @property
    def _now(self) -> PoolClient | PullClient:
        if not is_asked(self._address):
            return self._called
        if self._asking is None:
            self._asking = self._make_asking()
        return self._asking

    @property
    def asking(self) -> PullClient | None:
        """The link of a pool that the worker asks, while that is the active one."""
        return self._asking if is_asked(self._address) else None

    @property
    def view(self) -> PoolView:
        """How things stand with the active pool."""
        return self._now.view

    @property
    def prompt_results(self) -> bool:
        """Whether this pool takes results at once."""
        return self._now.prompt_results

    @property
    def clock_ahead_s(self) -> float | None:
        """How far the pool's clock was ahead of ours, where it is known."""
        return self._now.clock_ahead_s

    def wake(self) -> None:
        """Look now: the login, the owner's wish or the network has changed."""
        self._now.wake()

    def move(self, address: str) -> None:
        """Leave this pool for another one."""
        before, self._address = self._now, address
        self._now.move(address)
        if before is not self._now:
            before.move(address)  # it ends its session and idles
        self._moved.set()

    async def send_output(self, task_id: TaskId, text: str) -> Sent:
        """Append text to the task's log at the pool."""
        return await self._now.send_output(task_id, text)

    async def send_result(self, task_id: TaskId, archive: Path) -> Sent:
        """Hand over the result archive."""
        return await self._now.send_result(task_id, archive)

    async def run(self) -> None:
        """Keep the active pool, for ever."""
        nursery = Nursery("links")
        try:
            begun: set[PoolClient | PullClient] = set()
            while True:
                self._moved.clear()
                if self._now not in begun:
                    begun.add(self._now)
                    nursery.start("pool link", self._now.run())
                await self._moved.wait()
        finally:
            await nursery.close()
