"""Tasks in Docker against the command line doing the same with the same flags and image, in turns."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc.aio

from hivemind_worker import places
from hivemind_worker.model.task import TaskId, key_of
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from hivemind_worker.pool.pb import nodepool_pb2_grpc as pb_grpc
from tests.benchmarks.bench_tasks import many
from tests.benchmarks.report import Report
from tests.benchmarks.stand import MIB, Probed, probed, timed
from tests.contract.docker_engine import IMAGE, TestEngine, session_engine, why_not
from tests.engine.harness import zip_of
from tests.fakes.pool import ScriptedPool

NO_OP = "pass\n"
SINGLE_RUNS, MANY, AT_ONCE, CPU_RUNS = 20, 40, 4, 5
LINES = 2_000_000
LINE = "a line of output as programs write them, number %07d"
LINE_BYTES = len(LINE % 0) + 1
FLOODS = f"""
import sys
block = 20_000
for first in range(0, {LINES}, block):
    sys.stdout.write("".join("{LINE}\\n" % n for n in range(first, first + block)))
"""
COUNTS = """
import time
total = 0
for n in range(12_000_000):
    total += n & 7
print("user", time.process_time())
"""


class CommandLine:
    """`docker run` with the flags of the hardening list."""

    def __init__(self, engine: TestEngine, folder: Path) -> None:
        self._engine, self._folder = engine, folder
        uid = os.getuid() or 65532
        seccomp = places.resources() / "seccomp.json"
        tmp = f"rw,nosuid,nodev,noexec,mode=1777,uid={uid},gid={uid},size=64m"
        self._flags = [
            "--network", "none", "--read-only", "--tmpfs", f"/tmp:{tmp}", "--shm-size", "64m",
            "--user", f"{uid}:{uid}", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
            "--security-opt", f"seccomp={seccomp}", "--pids-limit", "256", "-m", "1g", "--memory-swap", "1g",
            "--cpu-period", "100000", "--cpu-shares", "256",
            "--ulimit", "nofile=1024:1024", "--ulimit", "core=0:0", "--ipc", "private", "--init",
            "--cgroupns", "private", "--oom-score-adj", "500", "--hostname", "task", "--workdir", "/app/task",
            "--entrypoint", "python3", "-e", "TASK_ID=x", "-e", "PYTHONUNBUFFERED=1",
            "-e", "HOME=/tmp", "-e", "PYTHONPATH=/app/task",
        ]  # fmt: skip

    def words(self, name: str, source: str, *more: str, log_mb: int = 16, score: int = 100) -> Sequence[str]:
        """The command that runs a script, its folder made."""
        workspace = self._folder / name
        workspace.mkdir(parents=True)
        (workspace / "main.py").write_text(source)
        return [
            "docker", "-H", self._engine.url, "run", *more, *self._flags, "--cpu-quota", f"{score}000",
            "--log-driver", "local",
            "--log-opt", f"max-size={log_mb}m", "--log-opt", "max-file=2", "-v", f"{workspace}:/app/task:rw",
            "-v", f"{workspace}:/workspace:rw", IMAGE, "/app/task/main.py",
        ]  # fmt: skip

    async def run(self, name: str, source: str, score: int = 100) -> bytes:
        """To its end; what it printed."""
        process = await asyncio.create_subprocess_exec(
            *self.words(name, source, "--rm", score=score), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        return out


async def run(report: Report, folder: Path) -> None:
    """The four figures of Docker."""
    if reason := why_not():
        print(f"     docker: not run, {reason}")
        return
    engine = await asyncio.to_thread(session_engine)
    line = CommandLine(engine, folder / "bare")
    settings = {
        "HIVEMIND_RUNTIME": "docker", "DOCKER_HOST": engine.url, "HIVEMIND_TASK_IMAGE": IMAGE,
        "HIVEMIND_PULL_IMAGES": "false", "MAX_CPU_CORES": str(AT_ONCE), "MAX_MEMORY_GB": "8",
        "MAX_CONCURRENT_TASKS": str(AT_ONCE), "HIVEMIND_TASK_LOG_MB": "400", "HIVEMIND_DOCKER_LOG_MB": "400",
    }  # fmt: skip
    async with ScriptedPool(prompt=True, running_after_s=0) as pool:
        async with (
            probed(folder / "home", pool, **settings) as made,
            grpc.aio.insecure_channel(await made.address()) as channel,
        ):
            worker = pb_grpc.WorkerNodeServiceStub(channel)
            await single(report, pool, worker, line)
            await throughput(report, pool, worker, line)
            await processor(report, pool, worker, line)
        async with (
            probed(folder / "watched", pool, "--watch", **settings) as made,
            grpc.aio.insecure_channel(await made.address()) as channel,
        ):
            await lines(report, pool, pb_grpc.WorkerNodeServiceStub(channel), made, engine, line)


async def offer(worker: Any, task_id: str, source: str, score: int = 100) -> None:
    """A refusal for want of room is offered again, as our pool does."""
    archive = zip_of({"main.py": source})
    request = pb.ExecuteTaskRequest(task_id=task_id, task_zip=archive, cpu_usage=score, memory_gb=1)
    while not (await worker.ExecuteTask(request, timeout=60)).success:
        await asyncio.sleep(0.005)


async def through_worker(
    pool: ScriptedPool, worker: Any, task_id: str, source: str, score: int = 100
) -> None:
    """ExecuteTask to result delivered."""
    await offer(worker, task_id, source, score)
    await pool.until(lambda: bool(pool.results[task_id]), 120)


async def single(report: Report, pool: ScriptedPool, worker: Any, line: CommandLine) -> None:
    await through_worker(pool, worker, "warm-up", NO_OP)
    await line.run("warm-up", NO_OP)
    whole, alone = [], []
    for n in range(SINGLE_RUNS):  # in turns, so that both meet the same machine
        whole.append(await timed(through_worker(pool, worker, f"one-{n}", NO_OP)))
        await asyncio.sleep(0.3)
        alone.append(await timed(line.run(f"one-{n}", NO_OP)))
        await asyncio.sleep(0.3)
    a, b = statistics.median(whole), statistics.median(alone)
    note = f"{a * 1000:.0f} ms against {b * 1000:.0f} ms, median of {SINGLE_RUNS}"
    report.add("no-op in Docker, offer to delivery / docker run --rm", a / b, "x", most=1.15, note=note)


async def throughput(report: Report, pool: ScriptedPool, worker: Any, line: CommandLine) -> None:
    alone = whole = 0.0
    score = 100 * (os.cpu_count() or AT_ONCE) // AT_ONCE  # all the processors that there are, shared
    for turn in range(4):
        names = [f"many-{turn}-{n}" for n in range(MANY // 4)]
        alone += await many([line.run(name, NO_OP, score) for name in names], AT_ONCE)
        whole += await many([through_worker(pool, worker, name, NO_OP, score) for name in names], AT_ONCE)
    note = f"{MANY / whole:.2f} tasks/s against {MANY / alone:.2f}, {AT_ONCE} at once"
    report.add("40 no-ops in Docker, throughput / docker run", alone / whole, "x", least=0.9, note=note)


async def processor(report: Report, pool: ScriptedPool, worker: Any, line: CommandLine) -> None:
    whole, alone = [], []

    async def ours(name: str) -> None:
        await through_worker(pool, worker, name, COUNTS)
        whole.append(user_s(pool.outputs[name]))

    async def bare(name: str) -> None:
        alone.append(user_s((await line.run(name, COUNTS)).decode()))

    for n in range(
        CPU_RUNS
    ):  # who begins takes turns: the machine may be busier in one half than in the other
        for one in (ours, bare) if n % 2 else (bare, ours):
            await one(f"cpu-{n}")
    a, b = statistics.median(whole), statistics.median(alone)
    note = f"{a:.2f} s against {b:.2f} s of processor, median of {CPU_RUNS}"
    report.add("CPU-bound task in Docker, processor time / docker run", a / b, "x", most=1.02, note=note)


def user_s(text: str) -> float:
    """What a counting task says that it took."""
    return float(text.split("user ")[1].split(maxsplit=1)[0])


async def lines(
    report: Report, pool: ScriptedPool, worker: Any, made: Probed, engine: TestEngine, line: CommandLine
) -> None:
    alone_s = await read_alone(engine, line)
    before = await made.figures()
    began = time.perf_counter()
    await offer(worker, "flood", FLOODS)
    log = made.places.tasks / key_of(TaskId("flood")) / "output.log"
    while not log.exists() or log.stat().st_size < LINES * LINE_BYTES:
        await asyncio.sleep(0.02)
    whole_s = time.perf_counter() - began
    after = await made.figures()
    note = f"{LINES / whole_s / 1000:.0f} thousand lines/s against {LINES / alone_s / 1000:.0f}"
    report.add("2 million lines, rate / docker logs -f alone", alone_s / whole_s, "x", least=0.7, note=note)
    growth = (after["peak_rss"] - before["rss"]) / MIB
    report.add("2 million lines: memory of the worker", growth, "MiB", most=32)
    report.add("2 million lines: longest stall of the loop", after["worst_ms"], "ms", most=50)
    await pool.until(lambda: bool(pool.results["flood"]), 120)


async def read_alone(engine: TestEngine, line: CommandLine) -> float:
    """Seconds from the start of the same program until `docker logs -f` has read all of it."""
    words = line.words("flood", FLOODS, "--detach", "--name", "flood", log_mb=400)
    began = time.perf_counter()
    await (await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.DEVNULL)).wait()
    follow = f"docker -H {engine.url} logs -f flood | wc -c"
    reader = await asyncio.create_subprocess_shell(follow, stdout=asyncio.subprocess.PIPE)
    out, _ = await reader.communicate()
    took_s = time.perf_counter() - began
    await asyncio.to_thread(engine.docker, "rm", "-f", "flood")
    assert int(out) == LINES * LINE_BYTES, out
    return took_s
