"""Many workers that ask, in one process: the real client of each around a runtime that only pretends.

`python -m tests.nats.crowd ADDRESS FOLDER FIRST COUNT` says a JSON line when all are registered, and one for
each result that the pool took or refused. A line `kill N` on standard input cuts off so many at random, as a
power cut would: their connections break, what they had is forgotten. The input's end ends the process.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hivemind_worker.model.effects import Accepted, Reply
from hivemind_worker.model.snapshot import LinkState, PoolView
from hivemind_worker.model.task import Offer, Problem, TaskKey
from hivemind_worker.nursery import NamedThread, Nursery
from hivemind_worker.pool.nats.pull_client import PullClient, Way, way_of_worker
from tests.contract.link import ANNOUNCED

ROOM = replace(ANNOUNCED, cpu_cores=1, cpu_score=100, memory_gb=2)
RETRY_S = 0.5

Say = Callable[..., None]


@dataclass
class Pretender:
    """One worker: takes what it is offered, says a line, and sends a result that is like no other's."""

    name: str
    folder: Path
    nursery: Nursery
    say: Say
    lasts_s: float
    has: set[TaskKey] = field(default_factory=set)
    done: set[TaskKey] = field(default_factory=set)
    client: PullClient = field(init=False)
    is_dead: bool = False

    async def offer(self, offer: Offer, spooled: Path) -> Reply:
        spooled.unlink()
        self.has.add(offer.key)
        self.nursery.start(f"task {offer.key[:8]}", self._pretend(offer))
        return Accepted(fresh=True)

    async def stop(self, key: TaskKey) -> Reply:
        self.has.discard(key)
        return Accepted()

    def answered(self, key: TaskKey) -> None:
        """Nothing waits for it here."""

    async def _pretend(self, offer: Offer) -> None:
        await asyncio.sleep(self.lasts_s)
        await self.client.send_output(offer.task_id, f"hello from {self.name}\n")
        archive = self.folder / f"{self.name}-{offer.key}.zip"
        with zipfile.ZipFile(archive, "w") as made:
            made.writestr("execution_log.txt", f"status: COMPLETED\nnode: {self.name}\n")
        while not self.is_dead and offer.key in self.has:
            sent = await self.client.send_result(offer.task_id, archive)
            if self.is_dead:
                break
            if sent.delivered or not sent.retry:
                self.has.discard(offer.key)
                self.say(task=offer.task_id, worker=self.name, accepted=sent.delivered)
                break
            await asyncio.sleep(RETRY_S)
        archive.unlink()


class Crowd:
    """All workers of this process."""

    def __init__(self, address: str, folder: Path, say: Say, lasts_s: float) -> None:
        self._address, self._folder, self._say, self._lasts_s = address, folder, say, lasts_s
        self._files, self._nursery = NamedThread("files"), Nursery("crowd")
        self._alive: list[tuple[Pretender, Nursery]] = []
        self._here = asyncio.Event()

    def add(self, name: str) -> None:
        nursery = Nursery(name)
        worker = Pretender(name, self._folder, self._nursery, self._say, self._lasts_s)

        async def way(address: str) -> Way | Problem:
            return way_of_worker(address, self._folder / f"{name}.json", name, "")

        def changed(view: PoolView) -> None:
            if view.link is LinkState.REGISTERED:
                self._here.set()

        worker.client = PullClient(
            self._address, way, lambda: ROOM, changed, handler=lambda: worker, held=lambda: worker.has,
            spool=self._folder, files=self._files,
        )  # fmt: skip
        nursery.start("pool", worker.client.run())
        self._alive.append((worker, nursery))

    async def all_here(self) -> None:
        while any(worker.client.view.link is not LinkState.REGISTERED for worker, _ in self._alive):
            self._here.clear()
            await self._here.wait()

    async def kill(self, count: int) -> None:
        random.shuffle(self._alive)
        for _ in range(count):
            worker, nursery = self._alive.pop()
            worker.is_dead = True
            worker.has.clear()
            client: Any = worker.client._client
            if client is not None:
                client._transport._io_writer.transport.abort()
            await nursery.close()

    async def close(self) -> None:
        for worker, nursery in self._alive:
            worker.is_dead = True
            await nursery.close()
        await self._nursery.close()
        self._files.close()


def _say(**values: Any) -> None:
    print(json.dumps(values), flush=True)


async def main(address: str, folder: str, first: str, count: str, lasts_s: str = "0") -> None:
    crowd = Crowd(address, Path(folder), _say, float(lasts_s))
    for number in range(int(first), int(first) + int(count)):
        crowd.add(f"w{number}")
        await asyncio.sleep(0)
    await crowd.all_here()
    _say(here=int(count), clock_s=time.time())
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )  # fmt: skip
    async for line in reader:
        _, _, number_to_kill = line.decode().partition(" ")
        await crowd.kill(int(number_to_kill))
        _say(killed=int(number_to_kill))
    await crowd.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
