"""A pool client under a clock that the test moves, and what a worker around it would say."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from hivemind_worker.model.snapshot import LinkState, PoolView
from hivemind_worker.model.work import Announcement
from hivemind_worker.nursery import NamedThread, Nursery
from hivemind_worker.pool.client import PoolClient
from hivemind_worker.pool.session import Credentials, Deadlines
from tests.fakes.clock import VirtualClock

ANNOUNCED = Announcement(
    cpu_cores=4, memory_gb=8, cpu_score=400, gpu_score=0, gpu_memory_gb=0, gpu_name="Not Detected",
    region="Europe", docker_status="disabled", hostname="localhost", port=50053, running_tasks=0,
    cpu_percent=3, memory_percent=20,
)  # fmt: skip
ANN = Credentials(user="ann", password="right horse")
SHORT = Deadlines(
    connect_s=0.5, login_s=0.5, balance_s=0.5, register_s=0.5, output_s=0.5,
    result_s=0.5, result_per_mib_s=0.0,
)  # fmt: skip


@dataclass
class Link:
    """`announced`, `credentials` and `interfaces` are read by the client each time it asks."""

    clock: VirtualClock
    files: NamedThread
    nursery: Nursery
    announced: Announcement | None = ANNOUNCED
    credentials: Credentials | None = ANN
    interfaces: dict[str, list[str]] = field(default_factory=dict)
    views: list[PoolView] = field(default_factory=list)
    client: PoolClient = field(init=False)
    _seen: asyncio.Event = field(default_factory=asyncio.Event)

    def saw(self, view: PoolView) -> None:
        self.views.append(view)
        self._seen.set()

    async def shows(self, link: LinkState, limit_s: float = 10.0) -> PoolView:
        """Wait until the present state is this one."""
        async with asyncio.timeout(limit_s):
            while self.client.view.link is not link:
                self._seen.clear()
                await self._seen.wait()
        return self.client.view

    def links(self) -> list[LinkState]:
        """The states shown so far, repetitions left out."""
        shown = [view.link for view in self.views]
        return [link for place, link in enumerate(shown) if place == 0 or shown[place - 1] is not link]

    async def login(self) -> Credentials | None:
        return self.credentials

    def announce(self, **changes: Any) -> None:
        self.announced = replace(ANNOUNCED, **changes)


@asynccontextmanager
async def linked(
    address: str, *, credentials: Credentials | None = ANN, announced: Announcement | None = ANNOUNCED,
    chance: random.Random | None = None, start: bool = True, **options: Any,
) -> AsyncIterator[Link]:  # fmt: skip
    """A client of the pool at `address`, running."""
    clock, files, nursery = VirtualClock(), NamedThread("files"), Nursery("link")
    link = Link(clock, files, nursery, announced, credentials)
    link.client = PoolClient(
        address,
        link.login,
        lambda: link.announced,
        link.saw,
        files=files,
        interfaces=lambda: link.interfaces,
        clock=clock,
        chance=chance or random.Random(7),
        **options,
    )
    if start:
        nursery.start("pool", link.client.run())
    try:
        yield link
    finally:
        assert await nursery.close() == ()
        files.close()
