"""A worker as its owner runs it: a process of its own in a home of its own, ended by its id."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hivemind_worker.places import Places, find_places
from hivemind_worker.store.secrets import Login, login_store
from tests.contract.stage import session_sandbox

PROGRAM = [sys.executable, "-m", "hivemind_worker"]
UP = " is up: "
START_LIMIT_S, STOP_LIMIT_S = 30.0, 15.0
READY_LIMIT_S = 120.0  # the sandbox is compiled once, with whatever else is done on this computer


def environment(home: Path, **more: str) -> dict[str, str]:
    """A clean environment: nothing of the tester's own settings reaches the worker."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT", "TMPDIR") if name in os.environ}
    return kept | {
        "HOME": str(home), "HIVEMIND_HOME": str(home), "HIVEMIND_SANDBOX": str(session_sandbox()),
        "NODE_PORT": "0", "FLASK_PORT": "0", "HIVEMIND_TASK_DISK_GB": "0.5", "HIVEMIND_KEEP_FREE_GB": "0.1",
        "PYTHONWARNINGS": "error",
        "MAX_CPU_CORES": "2",
        "MAX_CONCURRENT_TASKS": "2",
        "DOCKER_HOST": "unix:///nowhere/docker.sock",  # the tester's engine is left alone
    } | more  # fmt: skip


def keep_login(home: Path, pool: str, user: str = "ann", password: str = "right horse") -> Places:
    """Keep a login as `hivemind-worker login` does."""
    places = find_places(str(home))
    places.make()
    assert login_store(places).keep(Login(pool=pool, user=user, password=password)) is None
    return places


async def command(home: Path, *words: str, limit_s: float = 60.0, **more: str) -> tuple[int, str, str]:
    """Run one verb to its end: exit code, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, *words, env=environment(home, **more), stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = await asyncio.wait_for(process.communicate(), limit_s)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, out.decode(), err.decode()


@dataclass
class WorkerProcess:
    """A running `hivemind-worker run`."""

    home: Path
    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)

    @property
    def places(self) -> Places:
        return find_places(str(self.home))

    async def status(self) -> dict[str, Any]:
        code, out, err = await command(self.home, "status", "--json")
        assert code == 0, err
        return dict(json.loads(out))

    async def address(self) -> str:
        """Where the pool reaches it."""
        line = await self.said(" is up: ")
        return line.split(" is up: ")[1].split(",")[0]

    async def said(self, text: str, limit_s: float = START_LIMIT_S) -> str:
        """The first line of its log with this text."""
        async with asyncio.timeout(limit_s):
            while True:
                for line in self.lines:
                    if text in line:
                        return line
                if self.process.returncode is not None:
                    raise AssertionError(f"the worker ended: {self.lines}")
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """As a power cut: no warning, no end in order."""
        if self.process.returncode is None:
            os.kill(self.process.pid, signal.SIGKILL)
        await asyncio.wait_for(self.process.wait(), STOP_LIMIT_S)

    async def end(self) -> int:
        """Ask it to end and wait; its exit code."""
        if self.process.returncode is None:
            self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), STOP_LIMIT_S)


@asynccontextmanager
async def worker(
    home: Path, pool: str, *, says: str = "sandbox ready", **more: str
) -> AsyncIterator[WorkerProcess]:  # fmt: skip
    """A worker for this pool, ready to be offered tasks (it `says` so); killed at the end if it runs."""
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, "run", env=environment(home, MASTER_ADDRESS=pool, **more), stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    made = WorkerProcess(home, process)
    reader = asyncio.ensure_future(_read(made))
    try:
        await made.said(UP, READY_LIMIT_S)  # its sandbox may be ready sooner
        await made.said(says, READY_LIMIT_S)
        yield made
    finally:
        await made.kill()
        await reader


async def _read(made: WorkerProcess) -> None:
    assert made.process.stdout is not None
    async for line in made.process.stdout:
        made.lines.append(line.decode("utf-8", "replace").rstrip("\n"))


async def until(condition: Callable[[], Awaitable[bool]], limit_s: float = 20.0) -> None:
    """Ask again until it holds."""
    async with asyncio.timeout(limit_s):
        while not await condition():
            await asyncio.sleep(0.1)
