"""The stand that the benchmarks use: a probed worker and a scripted pool on loopback."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hivemind_worker.model.task import TaskId, key_of
from hivemind_worker.model.work import RunOrder
from tests.contract.stage import session_sandbox
from tests.e2e.process import WorkerProcess, environment, keep_login
from tests.fakes.bare_child import run_bare
from tests.fakes.pool import ScriptedPool

MIB = 1 << 20


@dataclass
class Probed(WorkerProcess):
    """A worker that answers how it fares."""

    async def figures(self) -> dict[str, float]:
        """Since the last call."""
        assert self.process.stdin is not None
        seen = len(self.lines)
        self.process.stdin.write(b"\n")
        async with asyncio.timeout(30):
            while True:
                for line in self.lines[seen:]:
                    if line.startswith("{"):
                        return dict(json.loads(line))
                await asyncio.sleep(0.01)


@asynccontextmanager
async def probed(home: Path, pool: ScriptedPool, *flags: str, **more: str) -> AsyncIterator[Probed]:
    """A probed worker that is registered with the pool."""
    keep_login(home, pool.address)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.benchmarks.probe",
        *flags,
        env=environment(home, MASTER_ADDRESS=pool.address, **more) | {"PYTHONWARNINGS": "default"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    made = Probed(home, process)
    reader = asyncio.ensure_future(read_lines(made))
    try:
        await made.said("sandbox ready")
        await pool.until(lambda: bool(pool.of("RegisterWorkerNode")), 20)
        yield made
    finally:
        await made.kill()
        await reader


async def read_lines(made: WorkerProcess) -> None:
    assert made.process.stdout is not None
    async for line in made.process.stdout:
        made.lines.append(line.decode("utf-8", "replace").rstrip("\n"))


class Bare:
    """The very child that runs a task, with no worker around it: the baseline."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def run(self, name: str, source: str) -> bytes:
        """Start the child, give it the script, wait for its end; its output."""
        workspace = self._folder / name
        workspace.mkdir()
        (workspace / "main.py").write_text(source)
        order = RunOrder(
            key=key_of(TaskId(name)),
            attempt=1,
            task_id=TaskId(name),
            workspace=workspace,
            entry="main.py",
            cpu_cores=1,
            memory_bytes=1 << 30,
            disk_bytes=1 << 30,
            time_limit_s=60,
        )
        _, output = await run_bare(order, session_sandbox())
        return output


async def timed(work: Any) -> float:
    """Seconds that an awaitable takes."""
    before = time.perf_counter()
    await work
    return time.perf_counter() - before
