"""A pool on a server with many workers, each in processes of its own: what large runs are made of."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from hivemind_worker.model.pool_records import PoolTask, PoolTaskState
from hivemind_worker.model.task import Problem, TaskId, key_of
from hivemind_worker.nursery import NamedThread, Nursery
from hivemind_worker.pool.nats.archives import NatsArchives
from hivemind_worker.pool.nats.authority import Authority
from hivemind_worker.pool.nats.book import NatsPoolBook
from hivemind_worker.pool.nats.credential import keep
from hivemind_worker.pool.nats.engine import Engine
from hivemind_worker.pool.nats.entrances import entrance
from hivemind_worker.pool.nats.subjects import WorkerId, inbox_of, of_worker
from tests.contract.local_pool import zipped

ROOT = Path(__file__).parents[2]
READY_S = 60.0
FILLING, AGAIN_S = 64, 0.5
ARCHIVE = zipped(main_py="print(1)")


def cpu_s(pid: int) -> float:
    """Processor seconds that a process has used."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


@dataclass(frozen=True)
class PoolProcess:
    """A running one, and where requesters reach it."""

    pid: int
    address: str


@asynccontextmanager
async def pool_process(home: Path, engine: str, *words: str) -> AsyncIterator[PoolProcess]:
    """`hivemind-worker pool --engine`, ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hivemind_worker", "pool", "--engine", engine, "--listen", "127.0.0.1:0",
        "--json", *words, cwd=ROOT, env={**os.environ, "HIVEMIND_HOME": str(home)},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    try:
        ready = json.loads(await asyncio.wait_for(process.stdout.readline(), READY_S))
        yield PoolProcess(process.pid, ready["address"])
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), READY_S)


@dataclass
class Crowds:
    """Processes of `tests.nats.crowd`, and what their workers said of results."""

    accepted: dict[str, set[str]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    killed: int = 0
    clock_s: float = 0.0  # of the process started last
    _processes: list[asyncio.subprocess.Process] = field(default_factory=list)
    _readers: list[asyncio.Task[None]] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(
        self,
        engine: str,
        folder: Path,
        first: int,
        count: int,
        lasts_s: float = 0.0,
        *,
        env: dict[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.nats.crowd", engine, str(folder), str(first), str(count),
            str(lasts_s), cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **(env or {})},
        )  # fmt: skip
        self._processes.append(process)
        assert process.stdout
        said = json.loads(await process.stdout.readline())
        assert said["here"] == count
        self.clock_s = said["clock_s"]
        self._readers.append(asyncio.create_task(self._read(process)))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout
        async for line in process.stdout:
            said = json.loads(line)
            self.killed += said.get("killed", 0)
            if said.get("accepted"):
                self.accepted.setdefault(said["task"], set()).add(said["worker"])
            elif "task" in said:
                self.refused[said["task"]] += 1
            self._news.set()

    async def until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._news.clear()
            await self._news.wait()

    async def kill(self, each: int) -> None:
        """So many workers of each process, at random."""
        for process in self._processes:
            assert process.stdin
            process.stdin.write(b"kill %d\n" % each)
            await process.stdin.drain()

    async def end(self) -> None:
        for process in self._processes:
            assert process.stdin
            process.stdin.close()
        for process in self._processes:
            await asyncio.wait_for(process.wait(), READY_S)
        await asyncio.gather(*self._readers)


@asynccontextmanager
async def crowds() -> AsyncIterator[Crowds]:
    made = Crowds()
    try:
        yield made
    finally:
        await made.end()


@asynccontextmanager
async def filling(engine: str, folder: Path, credential: Path | None = None) -> AsyncIterator[Filling]:
    """A hand that puts tasks into a pool's book, as an upload does."""
    connect = entrance(engine, credential or folder / "none")
    assert not isinstance(connect, Problem), connect
    files, nursery = NamedThread("files"), Nursery("filling")
    book = NatsPoolBook(Engine(connect))
    problem = await book.open()
    assert problem is None, problem
    nursery.start("engine", book._engine.run())
    try:
        yield Filling(book, NatsArchives(book._engine, book, folder, files))
    finally:
        await nursery.close()
        await book.close()
        files.close()


@dataclass
class Filling:
    book: NatsPoolBook
    archives: NatsArchives

    async def put(self, names: list[str], archive: bytes = ARCHIVE) -> None:
        gate = asyncio.Semaphore(FILLING)

        async def one(name: str) -> None:
            async with gate:
                task = waiting(name, len(archive))
                await self.archives.keep_task(task.key, memoryview(archive))
                assert await self.book.add_task(task)

        await asyncio.gather(*(one(name) for name in names))

    async def all_done(self) -> None:
        """Wait until no task waits or runs."""
        news = asyncio.Event()
        self.book.watch(lambda _: news.set())
        while any(
            [await self.book.tasks_in(state) for state in (PoolTaskState.PENDING, PoolTaskState.RUNNING)]
        ):
            news.clear()
            await news.wait()

    async def ended(self, names: list[str]) -> list[PoolTask]:
        """Wait until each has ended: what the server has of them, however often it was away meanwhile."""
        while True:
            await self.all_done()
            with contextlib.suppress(OSError, LookupError):
                found = await self._records(names)
                if all(task.state.has_ended for task in found):
                    return found
            await asyncio.sleep(AGAIN_S)

    async def _records(self, names: list[str]) -> list[PoolTask]:
        gate = asyncio.Semaphore(FILLING)

        async def one(name: str) -> PoolTask:
            async with gate:
                found = await self.book.task(key_of(TaskId(name)))
                if found is None:
                    raise LookupError(name)
                return found

        return await asyncio.gather(*(one(name) for name in names))


def sign_for(authority: Authority, names: list[str], folder: Path) -> None:
    """Credentials of workers, where `tests.nats.crowd` looks for them; nobody is noted as a member."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        who = WorkerId(name=name, account="crowd")
        made = authority._credential(authority._account, name, of_worker(who), inbox=inbox_of(name))
        keep(folder / f"{name}.json", made)


def waiting(name: str, archive_bytes: int) -> PoolTask:
    """A small task that was uploaded just now."""
    return PoolTask(
        key=key_of(TaskId(name)), task_id=TaskId(name), owner="ada", state=PoolTaskState.PENDING,
        archive_bytes=archive_bytes, cpu_score=100, memory_gb=1, gpu_score=0, gpu_memory_gb=0, gpu_name="",
        location="", uploaded_at_s=time.time(),
    )  # fmt: skip


def anything(_: object) -> bool:
    """Whether it may be handed out: to these nodes everything."""
    return True
