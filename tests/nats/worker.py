"""A worker that asks: the real client around a handler of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hivemind_worker.model.effects import Accepted, Refused, Reply
from hivemind_worker.model.fleet import Standing, Values, Wish
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.snapshot import LinkState, PoolView
from hivemind_worker.model.task import Offer, Problem, TaskKey
from hivemind_worker.model.work import Announcement
from hivemind_worker.nursery import NamedThread, Nursery
from hivemind_worker.pool.nats.entrances import entrance
from hivemind_worker.pool.nats.pull_client import PullClient, Way
from hivemind_worker.pool.nats.subjects import WorkerId
from tests.contract.link import ANNOUNCED
from tests.contract.local_pool import until


@dataclass
class AskingWorker:
    """Takes what it is offered, unless `refuses` says why not."""

    name: str
    folder: Path
    announced: Announcement | None = ANNOUNCED
    refuses: Callable[[Offer], Problem | None] = lambda _offer: None
    offers: list[tuple[Offer, bytes]] = field(default_factory=list)
    stops: list[TaskKey] = field(default_factory=list)
    has: set[TaskKey] = field(default_factory=set)
    wishes: list[Wish] = field(default_factory=list)
    status: str = "idle"
    values: Values = field(default_factory=dict)
    views: list[PoolView] = field(default_factory=list)
    client: PullClient = field(init=False)

    async def offer(self, offer: Offer, spooled: Path) -> Reply:
        content = spooled.read_bytes()
        spooled.unlink()
        problem = self.refuses(offer)
        if problem is not None:
            return Refused(problem=problem)
        self.offers.append((offer, content))
        self.has.add(offer.key)
        return Accepted(fresh=True)

    async def stop(self, key: TaskKey) -> Reply:
        self.stops.append(key)
        return Accepted()

    def standing(self) -> Standing:
        return Standing(
            title=self.name, status=self.status, code=self.status, text=f"{self.status} here", since_s=None,
            ends_at_s=None, running=len(self.has), places=3, trust=4, version="1",
            values=self.values,
        )  # fmt: skip

    async def obey(self, wish: Wish) -> None:
        self.wishes.append(wish)
        self.status = {"pause": "paused", "resume": "idle", "finish": "finishing"}[wish.kind.value]

    def answered(self, key: TaskKey) -> None:
        assert key in self.has

    async def got(self, task_id: str, limit_s: float = 20.0) -> bytes:
        """The archive of a task, once the worker has it."""

        async def look() -> list[bytes]:
            return [content for offer, content in self.offers if offer.task_id == task_id]

        found: list[bytes] = await until(look, limit_s)
        return found[0]

    async def shows_trouble(self) -> PoolView:
        async def look() -> PoolView | None:
            return self.client.view if self.client.view.problem is not None else None

        found: PoolView = await until(look, 20.0)
        return found

    async def shows(self, link: LinkState, limit_s: float = 20.0) -> PoolView:
        async def look() -> PoolView | None:
            return self.client.view if self.client.view.link is link else None

        found: PoolView = await until(look, limit_s)
        return found


@asynccontextmanager
async def asking_worker(
    address: str, name: str, folder: Path, *, credential: Path | None = None, account: str = "",
    announced: Announcement | None = ANNOUNCED, refuses: Callable[[Offer], Problem | None] | None = None,
    objects: Callable[[Resources], Problem | None] = lambda _: None,
) -> AsyncIterator[AskingWorker]:  # fmt: skip
    """A running client; at the end its connection just ends, as when the line is cut."""
    spool = folder / name
    spool.mkdir(parents=True)
    worker = AskingWorker(name, spool, announced)
    if refuses is not None:
        worker.refuses = refuses
    files, nursery = NamedThread("files"), Nursery("asking")

    async def way(asked: str) -> Way | Problem:
        found = await asyncio.to_thread(entrance, asked, credential or folder / "none", name)
        return (
            found
            if isinstance(found, Problem)
            else Way(connect=found, worker=WorkerId(name=name, account=account or name))
        )

    worker.client = PullClient(
        address, way, lambda: worker.announced, worker.views.append, handler=lambda: worker,
        held=lambda: worker.has, spool=spool, files=files, standing=worker.standing, obey=worker.obey,
        objection=objects,
    )  # fmt: skip
    nursery.start("pool", worker.client.run())
    try:
        yield worker
    finally:
        await nursery.close()
        files.close()
