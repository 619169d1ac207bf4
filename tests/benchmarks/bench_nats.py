"""A pool on a real nats-server: against a bare loop, with many workers and waiting tasks, on a cluster.

HIVEMIND_BENCH_TASKS and HIVEMIND_BENCH_WORKERS make the large run smaller (20,000 and 1,000).
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import RetentionPolicy

from hivemind_worker.nursery import NamedThread
from hivemind_worker.pool.local.accounts import open_account
from tests.benchmarks.report import Report
from tests.benchmarks.stand import Bare
from tests.contract.local_pool import PASSWORD, Pool, zipped
from tests.e2e.process import keep_login, worker
from tests.nats.cluster import cluster
from tests.nats.here import Here, server_here
from tests.nats.stand import Crowds, Filling, cpu_s, crowds, filling, pool_process, sign_for
from tests.nats.storm import storm, upload

HELLO = "print('hello')\n"
SANDBOXED, TURNS = 60, 4
FEW, MANY, ROUND, ROUNDS = 200, 20_000, 200, 4
TASKS = int(os.environ.get("HIVEMIND_BENCH_TASKS", "20000"))
WORKERS = int(os.environ.get("HIVEMIND_BENCH_WORKERS", "1000"))
PROCESSES, LASTS_S = 4, 0.5
CLUSTER_TASKS = 900
SPLIT, SPLIT_WORKERS = 1500, 20


async def run(report: Report, folder: Path) -> None:
    """The issue's four figures."""
    await sandboxed(report, folder / "sandboxed")
    await waiting(report, folder / "waiting")
    await split(report, folder / "split")
    await crowd(report, folder / "crowd")
    await cluster_loses_one(report, folder / "cluster")


# 60 sandboxed tasks


async def sandboxed(report: Report, folder: Path) -> None:
    """In turns with a bare pull loop, so that both meet the same machine."""
    cores = len(os.sched_getaffinity(0))
    (folder / "bare").mkdir(parents=True)
    settings = {"MAX_CPU_CORES": str(cores), "MAX_CONCURRENT_TASKS": str(cores), "MAX_MEMORY_GB": "8"}
    async with (
        server_here(folder / "server") as here,
        pool_process(folder / "pool", here.address),
        filling(here.address, folder / "in-use") as fill,
    ):
        keep_login(folder / "worker", here.address, "anna", "unused")
        async with worker(folder / "worker", here.address, **settings) as made:
            await made.said(": registered")
            await ours(fill, ["warm-up"])
            bare, alone, whole = BareLoop(here, Bare(folder / "bare")), 0.0, 0.0
            await bare.open()
            for turn in range(TURNS):
                names = [f"t{turn}-{number}" for number in range(SANDBOXED // TURNS)]
                alone += await bare.run(names, cores)
                whole += await ours(fill, names)
            await bare.close()
    note = f"{SANDBOXED / whole:.1f} tasks/s against {SANDBOXED / alone:.1f}, {cores} at once"
    report.add("60 sandboxed tasks, pool on NATS / bare pull loop", alone / whole, "x", least=0.9, note=note)


async def ours(fill: Filling, names: list[str]) -> float:
    """Seconds from the first task put there to the last one done."""
    before = time.perf_counter()
    await fill.put(names, zipped(main_py=HELLO))
    await fill.all_done()
    return time.perf_counter() - before


class BareLoop:
    """A JetStream work queue, and a loop for each core: pull, start the same child, acknowledge."""

    def __init__(self, here: Here, bare: Bare) -> None:
        self._here, self._bare = here, bare

    async def open(self) -> None:
        self._client: Any = await self._here.connect(lambda: None)
        self._streams = self._client.jetstream()
        await self._streams.add_stream(name="BARE", subjects=["bare"], retention=RetentionPolicy.WORK_QUEUE)
        await self._bare.run("warm-up", HELLO)

    async def run(self, names: list[str], loops: int) -> float:
        before = time.perf_counter()
        for name in names:
            await self._streams.publish("bare", name.encode())
        subscription = await self._streams.pull_subscribe("bare", durable="loop")
        await asyncio.gather(*(self._loop(subscription) for _ in range(loops)))
        return time.perf_counter() - before

    async def _loop(self, subscription: Any) -> None:
        while True:
            try:
                (message,) = await subscription.fetch(1, timeout=0.2)
            except NatsTimeoutError:
                return
            await self._bare.run(message.data.decode(), HELLO)
            await message.ack()

    async def close(self) -> None:
        await self._client.close()


# the cost of a task while others wait


async def waiting(report: Report, folder: Path) -> None:
    """Two pools side by side, asked in turns: with few tasks that wait, and with many."""
    async with Waiting(folder / "few", FEW) as few, Waiting(folder / "many", MANY) as many:
        costs: dict[str, list[float]] = {"few": [], "many": []}
        for _ in range(ROUNDS):
            costs["few"].append(await few.round())
            costs["many"].append(await many.round())
    a, b = statistics.median(costs["many"]), statistics.median(costs["few"])
    note = f"{a * 1000:.2f} ms against {b * 1000:.2f} ms of processor, pool and server"
    report.add(f"cost of a task, {MANY} waiting / {FEW} waiting", a / b, "x", most=1.2, note=note)


class Waiting:
    """A pool whose number of waiting tasks stays: for each round as many are put there as are done."""

    def __init__(self, folder: Path, level: int) -> None:
        self._folder, self._level, self._made = folder, level, 0

    async def __aenter__(self) -> Waiting:
        self._stack, folder = AsyncExitStack(), self._folder
        self._here = await self._stack.enter_async_context(server_here(folder / "server"))
        address = self._here.address
        self._fill = await self._stack.enter_async_context(filling(address, folder / "in-use"))
        await self._put(self._level)
        self._pool = await self._stack.enter_async_context(pool_process(folder / "home", address))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _put(self, count: int) -> None:
        await self._fill.put([f"t{number}" for number in range(self._made, self._made + count)])
        self._made += count

    async def round(self) -> float:
        """Seconds of processor that a task costs."""
        await self._put(ROUND)
        async with crowds() as crowd:
            await crowd.start(self._here.address, self._folder / "workers", 0, 20)
            first, before = len(crowd.accepted), self._cpu_s()
            await crowd.until(lambda: len(crowd.accepted) >= first + ROUND)
            return (self._cpu_s() - before) / (len(crowd.accepted) - first)

    def _cpu_s(self) -> float:
        return cpu_s(self._pool.pid) + cpu_s(self._here.process.pid)


# of what the cost of a task is made


async def split(report: Report, folder: Path) -> None:
    """First only uploads, with no worker there; then all that follows. Each worker has its own account."""
    async with (
        server_here(folder / "server") as here,
        pool_process(folder / "home", here.address) as pool,
        filling(here.address, folder / "in-use") as fill,
        crowds() as made,
    ):
        hashing, door = NamedThread("passwords"), Pool(folder)
        assert await open_account(fill.book, hashing, "ada", PASSWORD, 0) is None
        for number in range(SPLIT_WORKERS):
            await fill.book.add_account(f"w{number}", b"salt", b"digest", 0)
        door.connect(pool.address)
        begun_s = cpu_s(pool.pid)
        await upload(door, [f"t{number}" for number in range(SPLIT)])
        uploaded_s = cpu_s(pool.pid)
        await made.start(here.address, folder / "workers", 0, SPLIT_WORKERS)
        await made.until(lambda: len(made.accepted) >= SPLIT)
        done_s = cpu_s(pool.pid)
        await door.channel.close()
        hashing.close()
    note = f"{SPLIT} tasks, {SPLIT_WORKERS} workers, no TLS"
    report.add("of it the upload", (uploaded_s - begun_s) / SPLIT * 1000, "ms", note=note)
    report.add("of it from hand-out to pay", (done_s - uploaded_s) / SPLIT * 1000, "ms", note=note)


# many workers, many tasks


async def crowd(report: Report, folder: Path) -> None:
    """A tenth of the workers is killed at random, the server started again; then everything is counted."""
    told = await storm(folder, tasks=TASKS, workers=WORKERS, processes=PROCESSES, lasts_s=LASTS_S)
    what = f"{TASKS} tasks, {WORKERS} workers"
    note = f"{told.killed} workers killed, server restarted, {told.refused} late results refused"
    report.add(f"{what}: lost", told.lost, "", most=0, note=note)
    report.add(f"{what}: accepted or paid twice", told.twice, "", most=0)
    report.add(f"{what}: throughput", told.per_s, "/s", note="from the first upload, restart included")
    report.add("processor of the pool, a task", told.pool_ms, "ms", most=5, note="upload to paid result")
    report.add("processor of the server, a task", told.server_ms, "ms")
    report.add("memory of the server, an idle worker", told.idle_kib, "KiB", note="TLS and credential")
    report.add(
        "processor of pool and server, a second of idle", told.idle_ms, "ms", note=f"{WORKERS} workers"
    )


# a cluster


async def cluster_loses_one(report: Report, folder: Path) -> None:
    """Two pool processes on three servers; one server is killed while a hundred tasks a second are done."""
    workers = [f"w{number}" for number in range(30)]
    async with cluster(folder / "owner") as servers:
        sign_for(servers.authority, workers, folder / "workers")
        pools = (
            pool_process(folder / "owner", address, "--replicas", "3") for address in servers.addresses[:2]
        )
        async with AsyncExitStack() as stack:
            for pool in pools:
                await stack.enter_async_context(pool)
            made = await stack.enter_async_context(crowds())
            fill = await stack.enter_async_context(
                filling(servers.addresses[2], folder / "in-use", servers.credential)
            )
            await fill.put([f"t{number}" for number in range(CLUSTER_TASKS)])
            await made.start(servers.addresses[0], folder / "workers", 0, len(workers), 0.3)
            await made.until(lambda: len(made.accepted) >= CLUSTER_TASKS // 3)
            await servers.kill(0)
            gap_s = await longest_gap(made, CLUSTER_TASKS)
    twice = sum(len(each) > 1 for each in made.accepted.values())
    report.add(
        "cluster of three, one killed: lost or twice", CLUSTER_TASKS - len(made.accepted) + twice, most=0
    )
    report.add("cluster of three, one killed: longest pause", gap_s, "s", most=10)


async def longest_gap(made: Crowds, tasks: int) -> float:
    """Longest time without a result until all are there."""
    longest, last = 0.0, time.monotonic()
    while (done := len(made.accepted)) < tasks:
        await made.until(lambda done=done: len(made.accepted) > done)  # type: ignore[misc]
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
        if done > tasks * 0.95:
            break  # the last ones may have been lost with an answer: they come back after 20 s
    await made.until(lambda: len(made.accepted) >= tasks)
    return longest
