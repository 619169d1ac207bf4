"""Many workers do many tasks, some are killed, the server is started again; then everything is counted."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil

from hivemind_worker.model.pool_records import PoolTask, PoolTaskState
from hivemind_worker.nursery import NamedThread
from hivemind_worker.pool.local.accounts import open_account
from hivemind_worker.pool.local.pay import reward
from hivemind_worker.pool.nats.credential import keep
from tests.contract.local_pool import PASSWORD, Pool
from tests.nats.server import Server, running_server
from tests.nats.stand import (
    ARCHIVE,
    Crowds,
    Filling,
    PoolProcess,
    cpu_s,
    crowds,
    filling,
    pool_process,
    sign_for,
)

IDLE_S = 12.0
UPLOADS = 24
MOST, PAID_S = 0.9, 20.0
RETRY_S = 0.3


@dataclass(frozen=True, kw_only=True)
class Storm:
    """What came of it; times of processors in ms."""

    lost: int
    twice: int
    killed: int
    refused: int
    per_s: float  # of the first nine tenths: what was lost with its worker comes back after half a minute
    pool_ms: float
    server_ms: float
    idle_ms: float
    idle_kib: float


async def storm(
    folder: Path, *, tasks: int, workers: int, processes: int, lasts_s: float, idle_s: float = IDLE_S
) -> Storm:
    """Kill a tenth of the workers when a third is done, start the server again when half is done."""
    async with running_server(folder / "keys") as server, AsyncExitStack() as stack:
        made = await _open(folder, server, workers, stack)
        alone = _rss(server)
        for number in range(processes):
            first, last = (workers * each // processes for each in (number, number + 1))
            await made.crowd.start(
                server.authority.servers[0], folder / "workers", first, last - first, lasts_s
            )  # fmt: skip
        idle_ms = await _idle_ms(made, idle_s)
        idle_kib = (_rss(server) - alone) / 1024 / workers
        begun, pool_s, served_s = time.monotonic(), cpu_s(made.pool.pid), -cpu_s(server.process.pid)
        ids = [f"t{number}" for number in range(tasks)]
        feeding = asyncio.create_task(upload(made.door, ids))
        await made.crowd.until(lambda: len(made.crowd.accepted) >= tasks // 3)
        await made.crowd.kill(workers // 10 // processes)
        await made.crowd.until(lambda: len(made.crowd.accepted) >= tasks // 2)
        served_s += cpu_s(server.process.pid)
        await server.restart()
        await made.crowd.until(lambda: len(made.crowd.accepted) >= tasks * MOST)
        seconds = time.monotonic() - begun
        await feeding
        found = await made.fill.ended(ids)
        served_s += cpu_s(server.process.pid)
        pool_s = cpu_s(made.pool.pid) - pool_s
        lost, twice = await _count(made, found)
        async with asyncio.timeout(PAID_S):
            while (unpaid := await _unpaid(made, found)) > 0:
                await asyncio.sleep(RETRY_S)
        twice += abs(unpaid)  # below zero: paid too much
    return Storm(
        lost=lost, twice=twice, killed=made.crowd.killed, refused=made.crowd.refused.total(),
        per_s=tasks * MOST / seconds, pool_ms=pool_s / tasks * 1000, server_ms=served_s / tasks * 1000,
        idle_ms=idle_ms, idle_kib=idle_kib,
    )  # fmt: skip


@dataclass(frozen=True)
class _Made:
    server: Server
    pool: PoolProcess
    door: Pool
    fill: Filling
    crowd: Crowds


async def _open(folder: Path, server: Server, workers: int, stack: AsyncExitStack) -> _Made:
    sign_for(server.authority, [f"w{number}" for number in range(workers)], folder / "workers")
    credential, (address,) = folder / "pool.json", server.authority.servers
    keep(credential, server.authority.for_pool())
    words = ("--engine-credential", str(credential))
    pool = await stack.enter_async_context(pool_process(folder / "home", address, *words))
    fill = await stack.enter_async_context(filling(address, folder / "in-use", credential))
    await fill.book.add_account("crowd", b"salt", b"digest", 0)  # to which all the workers belong
    hashing = NamedThread("passwords")
    assert await open_account(fill.book, hashing, "ada", PASSWORD, 0) is None
    hashing.close()
    door = Pool(folder)
    door.connect(pool.address)
    stack.push_async_callback(door.channel.close)
    crowd = await stack.enter_async_context(crowds())
    return _Made(server, pool, door, fill, crowd)


async def upload(door: Pool, ids: list[str]) -> None:
    """As requesters do it: whoever is told to come again later does."""
    token, gate = await door.token("ada"), asyncio.Semaphore(UPLOADS)

    async def one(task_id: str) -> None:
        async with gate:
            while True:
                try:
                    answer = await door.upload(token, task_id, ARCHIVE, cpu_score=100, memory_gb=1)
                except grpc.aio.AioRpcError as error:
                    assert error.code() is grpc.StatusCode.UNAVAILABLE, error
                    await asyncio.sleep(RETRY_S)
                    continue
                assert answer.success or "is known already" in answer.message, answer.message
                return

    await asyncio.gather(*(one(task_id) for task_id in ids))


async def _idle_ms(made: _Made, idle_s: float) -> float:
    """Milliseconds of processor of pool and server a second, while nobody has anything to do."""
    before = cpu_s(made.pool.pid) + cpu_s(made.server.process.pid)
    await asyncio.sleep(idle_s)
    after = cpu_s(made.pool.pid) + cpu_s(made.server.process.pid)
    return (after - before) / idle_s * 1000 if idle_s else 0.0


def _rss(server: Server) -> int:
    return int(psutil.Process(server.process.pid).memory_info().rss)


async def _count(made: _Made, found: list[PoolTask]) -> tuple[int, int]:
    """Tasks without their result, and tasks that two were told to have done."""
    lost = [task for task in found if task.state is not PoolTaskState.COMPLETED or not task.has_result]
    twice = sum(len(each) > 1 for each in made.crowd.accepted.values())
    return len(lost), twice


async def _unpaid(made: _Made, found: list[PoolTask]) -> int:
    """Tokens that the workers' account has yet to be given."""
    paid = await made.fill.book.account("crowd")
    assert paid is not None
    return sum(map(reward, found)) - paid.balance
