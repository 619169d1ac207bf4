"""What the worker itself costs: starting with a long history, much output, large archives, doing nothing."""

from __future__ import annotations

import asyncio
import io
import os
import statistics
import time
import zipfile
from pathlib import Path

from hivemind_worker.model.resources import Resources
from hivemind_worker.model.task import Delivery, Task, TaskId, TaskState, key_of
from hivemind_worker.places import find_places
from hivemind_worker.store.codec import encode
from hivemind_worker.store.journal import connect
from tests.benchmarks.report import Report
from tests.benchmarks.stand import MIB, probed
from tests.e2e.process import worker
from tests.engine.harness import zip_of
from tests.fakes.pool import ScriptedPool

HISTORY = 100_000
STARTS = 5
LINES_PER_S, SECONDS = 50_000, 10
IDLE_S = 30.0

TALK = f"""import sys, time
start = time.monotonic()
n = 0
for tick in range({SECONDS * 50}):
    for _ in range({LINES_PER_S // 50}):
        print('line', n)
        n += 1
    sys.stdout.flush()
    late = start + (tick + 1) / 50 - time.monotonic()
    if late > 0:
        time.sleep(late)
print('took', time.monotonic() - start)
"""


def fill_history(home: Path, rows: int) -> None:
    """A journal with so many ended tasks, as the worker writes them."""
    places = find_places(str(home))
    places.make()
    connection = connect(places.journal)
    connection.execute("BEGIN")
    for n in range(rows):
        task_id = TaskId(f"old-{n}")
        task = Task(
            task_id=task_id,
            key=key_of(task_id),
            attempt=1,
            body_sha256="0" * 64,
            demand=Resources(cpu=100, memory_gb=1),
            state=TaskState.COMPLETED,
            accepted_at_s=n,
            ended_at_s=n + 1.0,
            delivery=Delivery.DELIVERED,
            exit_code=0,
        )
        connection.execute(
            "INSERT INTO tasks VALUES (?,?,?,?,?)", (task.key, task_id, False, n + 1.0, encode(task))
        )
        for step in ("TaskAccepted", "Unpacked", "RunStarted", "RunEnded", "ResultPacked", "ResultDelivered"):
            connection.execute(
                "INSERT INTO history (key, at_s, what, text) VALUES (?,?,?,?)", (task.key, n, step, "")
            )
    connection.execute("COMMIT")
    connection.close()


async def start_time(home: Path) -> float:
    """Seconds from exec to ready."""
    before = time.perf_counter()
    async with worker(home, "127.0.0.1:9") as made:
        took = time.perf_counter() - before
        await made.end()
    return took


async def starting(report: Report, folder: Path) -> None:
    fill_history(folder / "new", 0)
    fill_history(folder / "old", HISTORY)
    await start_time(folder / "new")
    pairs = [(await start_time(folder / "old"), await start_time(folder / "new")) for _ in range(STARTS)]
    old, new = (statistics.median(column) for column in zip(*pairs, strict=True))
    note = f"{old * 1000:.0f} ms against {new * 1000:.0f} ms, median of {STARTS}"
    report.add("start with 100,000 ended tasks / with none", old / new, "x", most=1.2, note=note)


async def talking(report: Report, folder: Path) -> None:
    async with (
        ScriptedPool(prompt=True) as pool,
        probed(folder / "talk", pool, "--watch", HIVEMIND_TASK_LOG_MB="64") as made,
    ):
        address = await made.address()
        await pool.offer(address, "warm-up", zip_of({"main.py": "print(1)"}))
        await pool.until(lambda: bool(pool.results["warm-up"]), 30)
        before = await made.figures()
        await pool.offer(address, "talk", zip_of({"main.py": TALK}))
        await pool.until(lambda: bool(pool.results["talk"]), 120)
        after = await made.figures()
        lines = zipfile.ZipFile(io.BytesIO(pool.results["talk"][0])).read("task_logs.txt").split(b"\n")
    wanted = LINES_PER_S * SECONDS
    whole = lines[:wanted] == [b"line %d" % n for n in range(wanted)]
    took = float(lines[wanted].split()[1])
    report.add(
        "lines missing in the log file", 0 if whole else 1, "", most=0, note=f"{wanted} lines in {took:.1f} s"
    )
    report.add("memory growth under output", (after["peak_rss"] - before["rss"]) / MIB, "MiB", most=32)
    report.add("loop's worst lateness under output", after["worst_ms"], "ms", most=50)


async def moving(report: Report, folder: Path, mib: int, most_ms: float) -> None:
    """An archive of so many MiB in, and all of it out again."""
    archive = zip_of({"main.py": "print('moved')", "noise.bin": os.urandom(mib * MIB)})
    async with ScriptedPool(prompt=True) as pool, probed(folder / f"move{mib}", pool, "--watch") as made:
        address = await made.address()
        await pool.offer(address, "warm-up", zip_of({"main.py": "print(1)"}))
        await pool.until(lambda: bool(pool.results["warm-up"]), 30)
        await made.figures()
        answer = await pool.offer(address, "move", archive)
        assert answer.success, answer.message
        await pool.until(lambda: bool(pool.results["move"]), 120)
        figures = await made.figures()
        assert len(pool.results["move"][0]) > mib * MIB
    if mib >= 64:
        peak = figures["peak_rss"] / len(archive)
        report.add(
            f"{mib} MiB in and out, peak memory / archive",
            peak,
            "x",
            most=4,
            note=f"{figures['peak_rss'] / MIB:.0f} MiB",
        )
    report.add(f"{mib} MiB in and out, loop's worst stall", figures["worst_ms"], "ms", most=most_ms)


async def idling(report: Report, folder: Path) -> None:
    async with ScriptedPool(prompt=True) as pool, probed(folder / "idle", pool) as made:
        await asyncio.sleep(5)
        before = await made.figures()
        await asyncio.sleep(IDLE_S)
        after = await made.figures()
    cpu = (after["cpu_s"] - before["cpu_s"]) / IDLE_S * 100
    report.add("idle, registered: processor", cpu, "%", note="of one core; aim under 0.2")
    report.add("idle, registered: resident memory", after["rss"] / MIB, "MiB", note="aim under 70")


async def run(report: Report, folder: Path) -> None:
    """The issue's other figures."""
    await starting(report, folder)
    await talking(report, folder)
    await moving(report, folder, 16, 50)
    await moving(report, folder, 95, 200)
    await idling(report, folder)
