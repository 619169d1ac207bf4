"""What trouble costs: a start with much to recover, strangers, results and tasks that wait, large uploads."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from hivemind_worker.model.history import JournalEntry
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.task import Delivery, Task, TaskId, TaskState, key_of
from hivemind_worker.nursery import NamedThread
from hivemind_worker.places import find_places
from hivemind_worker.pool.local.accounts import open_account
from hivemind_worker.pool.local.archives import Archives
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from hivemind_worker.store.journal import connect, write
from hivemind_worker.store.pool_book import SqlitePoolBook
from tests.attacks.stranger import call, message
from tests.benchmarks.bench_worker import fill_history
from tests.benchmarks.report import Report
from tests.benchmarks.stand import MIB, probed
from tests.contract.local_pool import PASSWORD, Pool, TinyWorker, result_zip
from tests.e2e.process import keep_login, worker
from tests.engine.harness import zip_of
from tests.fakes.pool import STOP, ScriptedPool
from tests.nats.stand import ARCHIVE, cpu_s
from tests.nats.stand import waiting as waiting_task

ENDED, CUT_OFF, OWED = 100_000, 500, 500
STRANGERS = 1000
WAITING, RESULT_BYTES = 500, 512 << 10
DENIED = 7
ROUNDS = 5
SETTLED_S = 5.0
LARGE_MIB, LINE_MIB_S = 90, 12
FEW, MANY, TURNS, EACH = 200, 20_000, 4, 100
PLACES = 4
HELLO = zip_of({"main.py": "print('hello')"})
TALK = """import time
while True:
    print(time.time(), flush=True)
    time.sleep(0.1)
"""
LARGE = f"open('large.bin', 'wb').write(__import__('os').urandom({LARGE_MIB} << 20))"


def open_task(name: str, state: TaskState, delivery: Delivery) -> Task:
    """A row as a worker that was killed left it."""
    task_id = TaskId(name)
    row = Task(
        task_id=task_id, key=key_of(task_id), attempt=1, body_sha256="0" * 64, demand=Resources(cpu=1),
        state=state, accepted_at_s=1e9, started_at_s=1e9, entry="main.py", delivery=delivery,
    )  # fmt: skip
    return replace(row, ended_at_s=1e9 + 1, exit_code=0) if state.has_ended else row


def fill_open(home: Path, cut_off: int, owed: int, archive: bytes) -> None:
    """Tasks that ran when the worker was killed, with what they had written, and finished results."""
    places = find_places(str(home))
    places.make()
    rows = [open_task(f"cut {n}", TaskState.RUNNING, Delivery.NONE) for n in range(cut_off)]
    for row in rows:
        workspace = places.tasks / row.key / "workspace"
        workspace.mkdir(parents=True)
        (workspace / "half.txt").write_text("half")
    done = [open_task(f"owed {n}", TaskState.COMPLETED, Delivery.OWED) for n in range(owed)]
    for row in done:
        (places.results / f"{row.key}.zip").write_bytes(archive)
    connection = connect(places.journal)
    write(connection, JournalEntry(tasks=(*rows, *done)))
    connection.close()


async def time_to_accept(home: Path, pool: ScriptedPool, name: str) -> float:
    """Seconds from exec to an accepted offer."""
    keep_login(home, pool.address)
    began_s = time.perf_counter()
    async with worker(home, pool.address) as made:
        address = await made.address()
        while not (await pool.offer(address, name, HELLO)).success:
            await asyncio.sleep(0.01)
        took_s = time.perf_counter() - began_s
        await made.kill()
    return took_s


async def recovering(report: Report, folder: Path) -> None:
    """Ready to accept, with 1,000 open and 100,000 ended tasks."""
    async with ScriptedPool(prompt=True, running_after_s=0) as pool:
        await time_to_accept(folder / "plain", pool, "warm-up")
        plain_s = await time_to_accept(folder / "plain", pool, "plain")
        fill_history(folder / "full", ENDED)
        fill_open(folder / "full", CUT_OFF, OWED, zip_of({"made.txt": "42"}))
        took_s = await time_to_accept(folder / "full", pool, "full")
    note = f"{plain_s:.2f} s with an empty journal"
    report.add("start to accepted, 1,000 open and 100,000 ended", took_s, "s", most=2.0, note=note)


async def strangers(report: Report, folder: Path) -> None:
    """Processor time of one who is turned away, connection included."""
    async with ScriptedPool(prompt=True) as pool, probed(folder / "strangers", pool) as made:
        address = await made.address()
        body = message(pb.StopTaskExecutionRequest(task_id="known").SerializeToString())

        async def turned_away(count: int) -> float:
            for _ in range(count):
                assert (await call(address, STOP, body)).status == DENIED
            times = psutil.Process(made.process.pid).cpu_times()
            return times.user + times.system

        before_s = await turned_away(50)
        cost_ms = 1000 * (await turned_away(STRANGERS) - before_s) / STRANGERS
    report.add("a stranger turned away: processor", cost_ms, "ms", most=1.0, note=f"of {STRANGERS}")


async def plain_rate(pool: ScriptedPool, folder: Path) -> float:
    """Uploads a second by a program that does nothing else."""
    words = [sys.executable, "-m", "tests.benchmarks.plain_uploads", pool.address, str(folder)]
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    return WAITING / float(told)


async def drain_rate(pool: ScriptedPool, home: Path, archive: bytes) -> float:
    """Results a second of a worker at rest, once the pool that all of them waited for lets it in."""
    fill_open(home, 0, WAITING, archive)
    keep_login(home, pool.address)
    sent: list[float] = []
    let_in = asyncio.Event()
    pool.answers["Login"] = lambda request, _: _late(pool, let_in, request)
    pool.answers["TaskResultUpload"] = lambda *_: _note(pool, sent)
    async with worker(home, pool.address):
        await asyncio.sleep(SETTLED_S)  # what a start makes it do is no part of this
        let_in.set()
        await pool.until(lambda: len(sent) >= WAITING, 120)
        await asyncio.sleep(1)  # for one that comes twice
    del pool.answers["Login"]
    pool.answers["TaskResultUpload"] = lambda *_: _note(pool, [])
    assert len(sent) == WAITING, f"{len(sent)} uploads of {WAITING} results"
    return (WAITING - 1) / (sent[-1] - sent[0])


async def _late(pool: ScriptedPool, let_in: asyncio.Event, request: pb.LoginRequest) -> pb.LoginResponse:
    await let_in.wait()
    return pb.LoginResponse(success=True, token=pool.new_token(username=request.username))


async def draining(report: Report, folder: Path) -> None:
    """500 results that waited for the pool against as many plain uploads; the median of some rounds."""
    archive = zip_of({"noise.bin": os.urandom(RESULT_BYTES)})
    fill_open(folder / "plain", 0, WAITING, archive)
    results = find_places(str(folder / "plain")).results
    plain, drained = [], []
    async with ScriptedPool(prompt=True) as pool:
        pool.answers["TaskResultUpload"] = lambda *_: _note(pool, [])
        for n in range(ROUNDS):  # in turns, so that both meet the same machine
            plain.append(await plain_rate(pool, results))
            drained.append(await drain_rate(pool, folder / str(n), archive))
            shutil.rmtree(folder / str(n))
    ratio = statistics.median(ours / theirs for ours, theirs in zip(drained, plain, strict=True))
    rates = f"{statistics.median(drained):.0f} a second against {statistics.median(plain):.0f}"
    note = f"{rates}, median of {ROUNDS} rounds, {len(archive) >> 10} KiB each"
    report.add("500 waiting results, rate / plain uploads", ratio, "x", least=0.8, note=note)


def _note(pool: ScriptedPool, sent: list[float]) -> pb.TaskResultUploadResponse:
    sent.append(time.perf_counter())
    pool.calls.clear()  # it would keep every archive
    return pb.TaskResultUploadResponse(success=True)


class SlowLine:
    """A line to the pool that takes so many MiB a second towards it, whatever connections share it."""

    def __init__(self, target_port: int, mib_s: float) -> None:
        self._target_port, self._mib_s = target_port, mib_s
        self._free_at_s = 0.0

    async def serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target_port)
        await asyncio.wait(
            {asyncio.ensure_future(self._up(reader, back)), asyncio.ensure_future(_pass(there, writer))}
        )

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(16 << 10):
                begins_s = max(self._free_at_s, time.monotonic())
                self._free_at_s = begins_s + len(chunk) / MIB / self._mib_s
                await asyncio.sleep(self._free_at_s - time.monotonic())
                writer.write(chunk)
                await writer.drain()
        writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(16 << 10):
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def beside(report: Report, folder: Path) -> None:
    """A running task's output while a large result is on its way, over a line that it fills for seconds."""
    ages: list[tuple[float, float]] = []

    def heard(request: pb.TaskOutputUploadRequest, _: object) -> pb.TaskOutputUploadResponse:
        if request.task_id == "talks":
            now_s = time.time()
            stamps = [line for line in request.output.splitlines() if line[:2].isdigit()]
            ages.extend((now_s, now_s - float(line)) for line in stamps)
        return pb.TaskOutputUploadResponse(success=True)

    async with ScriptedPool(prompt=True) as pool:
        pool.answers["TaskOutputUpload"] = heard
        line = await SlowLine(pool.port, LINE_MIB_S).serve()
        address, pool.port = pool.port, line.sockets[0].getsockname()[1]
        async with probed(folder / "beside", pool) as made:
            door = await made.address()
            assert (await pool.offer(door, "talks", zip_of({"main.py": TALK}))).success
            await pool.until(lambda: len(ages) > 20, 60)
            assert (await pool.offer(door, "large", zip_of({"main.py": LARGE}))).success
            began_s = time.time()
            await pool.until(lambda: bool(pool.results["large"]), 120)
            took_s = time.time() - began_s
        pool.port = address
        line.close()
    usual = max(age for at_s, age in ages if at_s < began_s)
    worst = max(age for at_s, age in ages if at_s >= began_s)
    line_words = f"{LARGE_MIB} MiB at {LINE_MIB_S} MiB/s, {took_s:.0f} s"
    note = f"{worst:.2f} s old at most, {usual:.2f} s without; {line_words}"
    report.add("running output, delay by an upload beside it", worst - usual, "s", most=2.0, note=note)


# the embedded pool while tasks wait


async def tasks_wait(report: Report, folder: Path) -> None:
    """Two pools side by side, asked in turns: with few tasks that wait for a busy node, and with many."""
    async with contextlib.AsyncExitStack() as stack:
        pools = [
            await stack.enter_async_context(WaitingPool(folder / str(level), level)) for level in (FEW, MANY)
        ]
        acts: dict[str, Callable[[WaitingPool], Awaitable[None]]] = {
            "an upload": WaitingPool.upload, "a list": WaitingPool.list, "a task": WaitingPool.work_off,
        }  # fmt: skip
        costs: dict[str, list[list[float]]] = {what: [] for what in acts}
        for _ in range(TURNS):
            for what, act in acts.items():
                costs[what].append([await pool.cost_ms(act) for pool in pools])
    for what, measured in costs.items():
        few, many = (statistics.median(each) for each in zip(*measured, strict=True))
        note = f"{many:.2f} ms against {few:.2f} ms of the pool's processor"
        report.add(f"embedded pool, {what}, {MANY} waiting / {FEW}", many / few, "x", most=1.2, note=note)


class WaitingPool:
    """A pool process whose number of waiting tasks stays: for each round as many come as are done."""

    def __init__(self, home: Path, level: int) -> None:
        self._home, self._level, self._made = home, level, level
        self._left = 0
        self._held: list[str] = []
        self._results: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> WaitingPool:
        await self._fill()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "hivemind_worker", "pool", "--listen", "127.0.0.1:0", "--json",
            env={**os.environ, "HIVEMIND_HOME": str(self._home)}, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout
        self._pool = Pool(self._home)
        self._pool.connect(json.loads(await self._process.stdout.readline())["address"])
        self._token = await self._pool.token("ada")
        self._node = TinyWorker(self._pool, "wim")
        self._node.answer = self._take
        await self._node.listen()
        await self._node.sign_in()
        await self._hear()
        while len(self._held) < PLACES:
            await asyncio.sleep(0.05)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._node.server.stop(None)
        await self._pool.channel.close()
        self._process.send_signal(signal.SIGTERM)
        await self._process.wait()

    async def _fill(self) -> None:
        """Accounts, and tasks of which only those that will have their turn need their archives."""
        folder, hashing = self._home / "pool", NamedThread("passwords")
        book, archives = SqlitePoolBook(folder), Archives(folder / "archives")
        assert await book.open() is None
        for name in ("ada", "wim"):
            assert await open_account(book, hashing, name, PASSWORD, 0) is None
        await book._call(lambda tables: tables._base.execute("PRAGMA synchronous = OFF"))
        archives.prepare()
        for number in range(self._level):
            task = waiting_task(f"t{number}", len(ARCHIVE))
            await book.add_task(task)
            if number < TURNS * EACH + 2 * PLACES:
                archives.task(task.key).write_bytes(ARCHIVE)
        await book.close()
        hashing.close()

    async def _hear(self) -> None:
        answer = await self._node.register(cpu_score=100 * PLACES)
        assert answer.success, answer.message

    async def _take(self, offer: Any) -> tuple[bool, str]:
        self._held.append(offer.task_id)
        if self._left:
            self._finish_one()
        return True, ""

    def _finish_one(self) -> None:
        self._left -= 1
        sending = asyncio.create_task(self._finish(self._held.pop(0)))
        self._results.add(sending)

    async def _finish(self, task_id: str) -> None:
        answer = await self._node.send_result(task_id, result_zip())
        assert answer.success, answer.message

    async def cost_ms(self, act: Callable[[WaitingPool], Awaitable[None]]) -> float:
        """Milliseconds of the pool's processor for each of so many times."""
        await self._hear()
        before = cpu_s(self._process.pid)
        await act(self)
        return 1000 * (cpu_s(self._process.pid) - before) / EACH

    async def upload(self) -> None:
        for number in range(self._made, self._made + EACH):
            answer = await self._pool.upload(self._token, f"t{number}", ARCHIVE, cpu_score=100, memory_gb=1)
            assert answer.success, answer.message
        self._made += EACH

    async def list(self) -> None:
        for _ in range(EACH):
            listed = await self._pool.requests.GetAllUserTasks(pb.GetAllUserTasksRequest(token=self._token))
            assert len(listed.tasks) == EACH

    async def work_off(self) -> None:
        """From the hand-out to the result, of so many; then the node is busy again with what it has."""
        self._results.clear()
        self._left = EACH
        for _ in range(PLACES):
            self._finish_one()
        while len(self._results) < EACH or len(self._held) < PLACES:
            await asyncio.sleep(0.01)
        await asyncio.gather(*self._results)


async def run(report: Report, folder: Path) -> None:
    """The figures of the core under trouble."""
    await recovering(report, folder)
    await strangers(report, folder)
    await draining(report, folder)
    await tasks_wait(report, folder)
    await beside(report, folder)
