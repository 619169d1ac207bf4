"""A hello task through the worker against the bare child that runs it: time of one, throughput of many; and
how soon a stopped task has ended.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from pathlib import Path
from typing import Any

import grpc.aio

from hivemind_worker.pool.pb import nodepool_pb2 as pb
from hivemind_worker.pool.pb import nodepool_pb2_grpc as pb_grpc
from tests.benchmarks.report import Report
from tests.benchmarks.stand import Bare, probed, timed
from tests.contract.stage import Played, Stage, small_sandbox
from tests.engine.harness import zip_of
from tests.fakes.pool import ScriptedPool

HELLO = "print('hello')\n"
SLEEPS = "import time\nprint('on')\ntime.sleep(60)\n"
SINGLE_RUNS, MANY, TURNS = 20, 200, 8
STOPS = 20


async def through_worker(pool: ScriptedPool, worker: Any, task_id: str) -> None:
    """ExecuteTask to result delivered; a refusal for want of room is offered again, as our pool does."""
    archive = zip_of({"main.py": HELLO})
    request = pb.ExecuteTaskRequest(task_id=task_id, task_zip=archive, cpu_usage=100, memory_gb=1)
    while not (await worker.ExecuteTask(request, timeout=60)).success:
        await asyncio.sleep(0.005)
    await pool.until(lambda: bool(pool.results[task_id]), 60)


async def many(work: list[asyncio.Future[object] | object], at_once: int) -> float:
    """Seconds for all, so many at once."""
    gate = asyncio.Semaphore(at_once)

    async def one(item: object) -> None:
        async with gate:
            await item  # type: ignore[misc]

    before = time.perf_counter()
    await asyncio.gather(*(one(item) for item in work))
    return time.perf_counter() - before


async def run(report: Report, folder: Path) -> None:
    """The issue's first two figures, and the time of a stop."""
    cores = len(os.sched_getaffinity(0))
    (folder / "bare").mkdir()
    bare = Bare(folder / "bare")
    async with ScriptedPool(prompt=True, running_after_s=0) as pool:
        settings = {"MAX_CPU_CORES": str(cores), "MAX_CONCURRENT_TASKS": str(cores), "MAX_MEMORY_GB": "8"}
        async with (
            probed(folder / "home", pool, **settings) as made,
            grpc.aio.insecure_channel(await made.address()) as channel,
        ):
            worker = pb_grpc.WorkerNodeServiceStub(channel)
            await single(report, pool, worker, bare)
            await throughput(report, pool, worker, bare, cores)
    await stops(report, folder / "stops")


async def single(report: Report, pool: ScriptedPool, worker: Any, bare: Bare) -> None:
    await through_worker(pool, worker, "warm-up")
    assert await bare.run("warm-up", HELLO) == b"hello\n"
    whole, alone = [], []
    for n in range(SINGLE_RUNS):  # in turns, so that both meet the same machine
        whole.append(await timed(through_worker(pool, worker, f"one-{n}")))
        alone.append(await timed(bare.run(f"one-{n}", HELLO)))
        await asyncio.sleep(0.3)
    a, b = statistics.median(whole), statistics.median(alone)
    note = f"{a * 1000:.0f} ms against {b * 1000:.0f} ms, median of {SINGLE_RUNS}"
    report.add("hello task, offer to delivery / bare child", a / b, "x", most=1.3, note=note)


async def throughput(report: Report, pool: ScriptedPool, worker: Any, bare: Bare, cores: int) -> None:
    alone = whole = 0.0
    for turn in range(TURNS):  # in turns, so that both meet the same machine
        names = [f"many-{turn}-{n}" for n in range(MANY // TURNS)]
        alone += await many([bare.run(name, HELLO) for name in names], cores)
        whole += await many([through_worker(pool, worker, name) for name in names], cores)
    note = f"{MANY / whole:.1f} tasks/s against {MANY / alone:.1f}, {cores} at once"
    report.add("200 hello tasks, throughput / bare children", alone / whole, "x", least=0.85, note=note)


async def stops(report: Report, folder: Path) -> None:
    """Of tasks that run, and of tasks that are paused, in turns."""
    folder.mkdir()
    stage, took_s = Stage(small_sandbox(), folder), []
    for number in range(STOPS):
        played = await stage.start(stage.order({"main.py": SLEEPS}))
        await played.hears(b"on\n")
        if number % 2:
            await stage.runtime.pause(played.order.key, 1)
        took_s.append(await timed(ended(stage, played)))
    await stage.clear()
    note = f"slowest of {STOPS}, every other one paused; median {statistics.median(took_s) * 1000:.0f} ms"
    report.add(
        "a stopped task of the built-in sandbox has ended", max(took_s) * 1000, "ms", most=100, note=note
    )


async def ended(stage: Stage, played: Played) -> None:
    await stage.runtime.stop(played.order.key, 1)
    await played.outcome()
