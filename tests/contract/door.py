"""A door with a handler that does what a test says; shared by the tests of the worker's server side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from hivemind_worker.model.effects import Accepted, Reply
from hivemind_worker.model.task import Offer, TaskKey
from hivemind_worker.nursery import NamedThread
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from hivemind_worker.pool.server import TaskDoor
from tests.fakes.pool import EXECUTE, call_worker

HERE = "127.0.0.1"


class Handler:
    """Answers `reply` (or what `choose` says), after `holding` when that is set; keeps all it was given."""

    def __init__(self) -> None:
        self.offers: list[tuple[Offer, Path]] = []
        self.stops: list[TaskKey] = []
        self.told: list[TaskKey] = []
        self.reply: Reply = Accepted(fresh=True)
        self.choose: Callable[[Offer], Reply] | None = None
        self.error: Exception | None = None
        self.holding: asyncio.Event | None = None
        self.asked = asyncio.Event()
        self.heard = asyncio.Event()

    async def offer(self, offer: Offer, spooled: Path) -> Reply:
        self.offers.append((offer, spooled))
        self.asked.set()
        if self.holding:
            await self.holding.wait()
        if self.error:
            raise self.error
        return self.choose(offer) if self.choose else self.reply

    async def stop(self, key: TaskKey) -> Reply:
        self.stops.append(key)
        if self.error:
            raise self.error
        return self.reply

    def answered(self, key: TaskKey) -> None:
        self.told.append(key)
        self.heard.set()


class Worker:
    """The door and what is around it."""

    def __init__(self, spool: Path, peers: set[str]) -> None:
        self.handler = Handler()
        self.files = NamedThread("files")
        self.spool = spool
        self.door = TaskDoor(self.handler, peers=peers, spool=spool, files=self.files)

    @property
    def address(self) -> str:
        return self.door.address

    async def execute(self, **fields: Any) -> Any:
        request = pb.ExecuteTaskRequest(**fields).SerializeToString()
        return await call_worker(self.address, EXECUTE, request, pb.ExecuteTaskResponse)

    async def execute_raw(self, raw: bytes, **options: Any) -> Any:
        return await call_worker(self.address, EXECUTE, raw, pb.ExecuteTaskResponse, **options)

    def spooled(self) -> list[str]:
        return [path.name for path in self.spool.iterdir()]


@asynccontextmanager
async def open_door(spool: Path, peers: set[str] | None = None, bind: str = HERE) -> AsyncIterator[Worker]:
    worker = Worker(spool, {HERE} if peers is None else peers)
    bound = await worker.door.open(bind, 0)
    assert isinstance(bound, int)
    try:
        yield worker
    finally:
        await worker.door.close(0)
        worker.files.close()
