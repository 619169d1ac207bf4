"""The web API: many requests, many readers, a long history; and what that costs the tasks."""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from hivemind_worker.model.task import Delivery, Task, TaskId, TaskState, key_of
from hivemind_worker.places import find_places
from hivemind_worker.store.codec import encode
from hivemind_worker.store.journal import connect
from hivemind_worker.web.endpoint import read_endpoint
from tests.benchmarks.report import Report
from tests.benchmarks.stand import Probed, probed
from tests.engine.harness import zip_of
from tests.fakes.node import NOW_S, make_task
from tests.fakes.pool import ScriptedPool
from tests.web.reader import Reader, reading
from tests.web.wire import ask

RATE, SECONDS, CONNECTIONS = 1000, 20, 10
TURNS = 3
READERS, BUSY, WATCHED_S = 8, 3, 20.0
ENDED, PAGES = 1_000_000, 300

WORK = """
import time
began = time.perf_counter()
total = 0
for n in range(ROUNDS):
    total += n * n % 7
print('took', time.perf_counter() - began)
"""
BUSY_TASK = """
import time
end = time.monotonic() + 300
n = 0
while time.monotonic() < end:
    n += 1
    if n % 200000 == 0:
        print('line', n, flush=True)
"""


def door_of(made: Probed) -> tuple[int, str]:
    """Port and token of a worker's API."""
    endpoint = read_endpoint(made.places.endpoint_file)
    assert endpoint is not None
    return endpoint.port, made.places.token_file.read_text().strip()


async def load(made: Probed, path: str, rate: float, seconds: float) -> dict[str, float]:
    """What the client in its own process has measured."""
    port, token = door_of(made)
    words = [str(port), token, path, str(rate), str(seconds), str(CONNECTIONS)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.web_load", *words, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return dict(json.loads(out))


async def work(made: Probed, pool: ScriptedPool, name: str, rounds: int) -> float:
    """Seconds that a fixed piece of work takes inside a task, as the task itself sees it."""
    source = WORK.replace("ROUNDS", str(rounds))
    answer = await pool.offer(await made.address(), name, zip_of({"main.py": source}), cpu_usage=100)
    assert answer.success, answer.message
    await pool.until(lambda: "took " in pool.outputs[name], 120)
    await pool.until(lambda: bool(pool.results[name]), 120)
    return float(pool.outputs[name].split("took ")[1].split()[0])


async def asking(report: Report, folder: Path) -> None:
    """Many requests, and the task beside them."""
    async with ScriptedPool(prompt=True) as pool, probed(folder / "asked", pool, "--watch") as made:
        warm = await work(made, pool, "warm-up", 2_000_000)
        rounds = int(2_000_000 * 6 / warm)
        await load(made, "/api/status", 200, 2)
        alone, loaded = [], []
        for turn in range(TURNS):  # in turns, so that both meet the same machine
            alone.append(await work(made, pool, f"alone-{turn}", rounds))
            asked = asyncio.ensure_future(load(made, "/api/status", RATE, 12))
            await asyncio.sleep(1.5)
            loaded.append(await work(made, pool, f"loaded-{turn}", rounds))
            await asked
        bare = await load(made, "/livez", RATE, 5)  # what this machine grants to an answer of one word
        await made.figures()
        found = await load(made, "/api/status", RATE, SECONDS)
        figures = await made.figures()
    assert found["bad"] == 0 and found["answers"] == found["asked"], found
    note = (
        f"{found['rate']:.0f}/s for {SECONDS} s, median {found['p50_ms']:.1f} ms;"
        f" /livez: median {bare['p50_ms']:.1f}, p99 {bare['p99_ms']:.1f} ms"
    )
    report.add("GET /api/status at 1,000/s, p99", found["p99_ms"], "ms", most=20, note=note)
    report.add("loop's lateness meanwhile, p99.9", figures["p999_ms"], "ms", most=16)
    a, b = statistics.median(loaded), statistics.median(alone)
    note = f"{a:.2f} s against {b:.2f} s, median of {TURNS}"
    report.add("a task on one core, with the requests / without", a / b, "x", most=1.05, note=note)


async def drain(reader: Reader) -> None:
    while await reader.block(60) is not None:
        pass


async def reading_along(report: Report, folder: Path) -> None:
    """Eight readers of state and metrics while three tasks work."""
    settings = {"MAX_CONCURRENT_TASKS": str(BUSY), "MAX_CPU_CORES": "2", "MAX_MEMORY_GB": "4"}
    async with ScriptedPool(prompt=True) as pool, probed(folder / "read", pool, **settings) as made:
        for n in range(BUSY):
            archive = zip_of({"main.py": BUSY_TASK})
            answer = await pool.offer(await made.address(), f"busy-{n}", archive, cpu_usage=30, memory_gb=1)
            assert answer.success, answer.message
        await pool.until(lambda: len(pool.outputs) == BUSY, 60)
        port, token = door_of(made)
        without = await cpu_over(made, WATCHED_S)
        async with AsyncExitStack() as stack:
            target = "/api/v1/events?types=state,metrics"
            readers = [await stack.enter_async_context(reading(port, token, target)) for _ in range(READERS)]
            drains = [asyncio.ensure_future(drain(reader)) for reader in readers]
            before = [reader.bytes_read for reader in readers]
            began = time.perf_counter()
            with_readers = await cpu_over(made, WATCHED_S)
            seconds = time.perf_counter() - began
            read = [(reader.bytes_read - b) / seconds for reader, b in zip(readers, before, strict=True)]
            for task in drains:
                task.cancel()
            await asyncio.gather(*drains, return_exceptions=True)
        assert min(read) > 100, "they were told something"
    report.add("events of state and metrics, a reader", max(read), "B/s", most=2048)
    note = f"{with_readers:.2f} % against {without:.2f} % without"
    report.add("8 readers, processor", with_readers - without, "%", most=1.0, note=note)


async def cpu_over(made: Probed, seconds: float) -> float:
    """Percent of a core that the worker takes."""
    before, began = await made.figures(), time.perf_counter()
    await asyncio.sleep(seconds)
    after = await made.figures()
    return (after["cpu_s"] - before["cpu_s"]) / (time.perf_counter() - began) * 100


def fill(home: Path, count: int) -> None:
    """A journal with so many ended tasks; only what tells them apart is made for each."""
    places = find_places(str(home))
    places.make()
    connection = connect(places.journal)
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO tasks VALUES (?,?,?,?,?)", (_row(n) for n in range(count)))
    connection.execute("COMMIT")
    connection.close()


def _row(number: int) -> tuple[str, str, bool, float, str]:
    task_id = TaskId(f"old-{number}")
    ended_at_s = NOW_S - 50_000_000 + number // 3
    task: Task = replace(
        make_task("old", TaskState.COMPLETED), task_id=task_id, key=key_of(task_id), ended_at_s=ended_at_s,
        delivery=Delivery.DELIVERED,
    )  # fmt: skip
    return task.key, task_id, False, ended_at_s, encode(task)


async def paging(report: Report, folder: Path) -> None:
    """Pages of 100 from anywhere in a million."""
    await asyncio.get_running_loop().run_in_executor(None, fill, folder / "paged", ENDED)
    chance = random.Random(7)
    async with ScriptedPool(prompt=True) as pool, probed(folder / "paged", pool) as made:
        port, token = door_of(made)
        times: list[float] = []
        bare: list[float] = []
        for n in range(PAGES + 20):
            before = time.perf_counter()
            await ask(port, "/livez")
            bare.append(time.perf_counter() - before)
            at_s = NOW_S - 50_000_000 + chance.randrange(ENDED // 3)
            cursor = "" if n % 10 == 0 else f"&cursor={at_s!r}-{'8' * 32}"
            before = time.perf_counter()
            answer: Any = await ask(port, f"/api/v1/tasks?state=ended&limit=100{cursor}", token=token)
            times.append(time.perf_counter() - before)
            assert answer.status == 200
            assert len(answer.values["tasks"]) == 100
    counted = sorted(times[20:])
    least = sorted(bare[20:])[int(PAGES * 0.99)] * 1000
    middle = counted[len(counted) // 2] * 1000
    note = f"median {middle:.1f} ms, {PAGES} pages; /livez between: p99 {least:.1f} ms"
    p99 = counted[int(len(counted) * 0.99)] * 1000
    report.add("page of 100 from 1,000,000 ended tasks, p99", p99, "ms", most=15, note=note)


async def run(report: Report, folder: Path) -> None:
    """The figures of the web API that need no browser."""
    await asking(report, folder)
    await reading_along(report, folder)
    await paging(report, folder)
