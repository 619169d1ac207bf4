"""Binds `engine.sending` to pool, packing and lists of this worker. Fits `engine.face.SendingFace`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from hivemind_worker.engine.sending import Requester as RequesterPort
from hivemind_worker.engine.sending import Sendings
from hivemind_worker.machine.interfaces import ipv4_addresses
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.sending import Sending as Sent
from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import NamedThread
from hivemind_worker.pool.address import find_pool
from hivemind_worker.pool.requester import ARCHIVE_BYTES_MOST, Demand, Requester, new_task_id
from hivemind_worker.runtimes.workspace import RESULT_LIMITS, Workspace
from hivemind_worker.runtimes.workspace.bundle import Bundle, bundle
from hivemind_worker.store.kept_lists import SentList
from hivemind_worker.worker_node.parts import Parts
from hivemind_worker.worker_node.pools import Pools


class Sending:
    """The owner as a requester at the active pool."""

    def __init__(self, parts: Parts, pools: Pools, changed: Callable[[], None]) -> None:
        self._parts, self._pools = parts, pools
        self._list = SentList(parts.places.state / "sent.json")
        self._writing = asyncio.Lock()
        self._sendings = Sendings(
            folder=parts.places.data / "sent", connect=self._connect, pack=_pack, unpack=_unpack,
            new_id=new_task_id, demand=Demand(), files=parts.files, nursery=parts.nursery, clock=time.time,
            keep=self._keep, changed=changed,
        )  # fmt: skip

    async def start(self) -> None:
        """Follow what an earlier run has sent to the pool in use."""
        self._sendings.take_up(await self._parts.files.call(self._list.all))

    def all(self) -> tuple[Sent, ...]:
        return self._sendings.all()

    def lines(self, task_id: str) -> tuple[str, ...]:
        return self._sendings.lines(task_id)

    def send(self, path: Path) -> Sent:
        return self._sendings.send(path, self._parts.pool_address)

    async def stop(self, task_id: str) -> Problem | None:
        return await self._sendings.stop(task_id)

    async def _keep(self, sendings: tuple[Sent, ...]) -> None:
        async with self._writing:  # in the order of the changes
            await self._parts.files.call(self._list.write, sendings)

    async def _connect(self, pool: str) -> RequesterPort | Problem:
        """Signed in, as the account that is kept for this pool."""
        credentials = await self._pools.credentials(pool)
        if credentials is None:
            return Problem(code=FaultCode.NOT_LOGGED_IN)
        names = NamedThread("names")
        try:
            target = await find_pool(pool, ipv4_addresses(), names, insist_plain_login=credentials.plain)
        finally:
            names.close(wait=False)
        if isinstance(target, Problem):
            return target
        requester = Requester(target, credentials.user, credentials.password)
        problem = await requester.login()
        if problem is None:
            return requester
        await requester.close()
        return problem


def _pack(path: Path, scratch: Path) -> Bundle | Problem:
    return bundle(path, scratch, ARCHIVE_BYTES_MOST)


def _unpack(archive: Path, folder: Path) -> Problem | None:
    return Workspace(limits=RESULT_LIMITS).unpack(archive, folder)
