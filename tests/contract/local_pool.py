"""What the tests of the embedded pool share: a pool on a socket, accounts, stubs, and a tiny worker."""

from __future__ import annotations

import asyncio
import io
import time
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import hivemind_worker.pool  # noqa: F401 - sets what grpc reads when it is imported

import grpc  # isort: skip
import grpc.aio  # isort: skip
from hivemind_worker.model.task import Problem
from hivemind_worker.pool.local.pool import LocalPool
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from hivemind_worker.pool.pb import nodepool_pb2_grpc as rpc
from hivemind_worker.store.pool_book import SqlitePoolBook

BIG = [("grpc.max_receive_message_length", 101 << 20), ("grpc.max_send_message_length", 101 << 20)]
PASSWORD = "correct horse"


def zipped(**files: str) -> bytes:
    """A small archive, the same bytes each time; `main_py="..."` becomes main.py."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            stem, _, suffix = name.rpartition("_")
            archive.writestr(zipfile.ZipInfo(f"{stem}.{suffix}"), text)  # without the time of day
    return buffer.getvalue()


def result_zip(status: str = "COMPLETED") -> bytes:
    """A result as workers pack it."""
    return zipped(execution_log_txt=f"task: x\nstatus: {status}\nnode: y\n", out_txt="42")


class Clock:
    """A clock that tests move; it stands still otherwise."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Pool:
    """A running pool and all stubs on it. Another kind of pool replaces `build` and `end`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock, self.monotonic = Clock(), Clock(1000.0)
        self.listen = "127.0.0.1:0"
        self.charges = False

    async def start(self) -> None:
        address = await self.build()
        assert isinstance(address, str), address
        self.listen = address  # a second start listens at the same port
        self.connect(address)

    async def build(self) -> str | Problem:
        self.book: Any = SqlitePoolBook(self.folder)
        assert await self.book.open() is None
        self.local = LocalPool(
            self.book,
            self.folder,
            self.listen,
            clock=self.clock,
            monotonic=self.monotonic,
            charges=self.charges,
        )
        return await self.local.start()

    async def end(self) -> None:
        await self.local.close()
        await self.book.close()

    async def archives_kept(self) -> list[bytes]:
        """What lies there of tasks and results."""
        return [file.read_bytes() for file in sorted((self.folder / "archives").iterdir())]

    async def lose_archives(self) -> None:
        for file in (self.folder / "archives").iterdir():
            file.unlink()

    def connect(self, address: str) -> None:
        """Make the stubs; alone, it is for a pool that runs elsewhere."""
        self.address = address
        self.channel = grpc.aio.insecure_channel(
            address, options=[*BIG, ("grpc.use_local_subchannel_pool", 1)]
        )
        self.users = rpc.UserServiceStub(self.channel)
        self.nodes = rpc.NodeManagerServiceStub(self.channel)
        self.requests = rpc.MasterNodeServiceStub(self.channel)
        self.workers = rpc.WorkerNodeServiceStub(self.channel)

    async def stop(self) -> None:
        await self.channel.close()
        await self.end()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def look_round(self) -> None:
        """Have tasks handed out now, as the timer of waits would."""
        self.local.wake()
        await asyncio.sleep(0.1)

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.monotonic.now += seconds

    async def account(self, name: str, tokens: int = 100) -> str:
        """A new account's token."""
        assert await self.local.add_account(name, PASSWORD, tokens) is None
        return await self.token(name)

    async def token(self, name: str) -> str:
        answer = await self.users.Login(pb.LoginRequest(username=name, password=PASSWORD))
        assert answer.success, answer.message
        return str(answer.token)

    async def balance(self, name: str, token: str) -> int:
        answer = await self.users.GetBalance(pb.GetBalanceRequest(username=name, token=token))
        assert answer.success, answer.message
        return int(answer.balance)

    async def upload(self, token: str, task_id: str, archive: bytes = b"", **demand: Any) -> Any:
        archive = archive or zipped(main_py="print(1)")
        return await self.requests.UploadTask(
            pb.UploadTaskRequest(task_id=task_id, task_zip=archive, token=token, **demand)
        )

    async def task(self, token: str, task_id: str) -> Any:
        listed = await self.requests.GetAllUserTasks(pb.GetAllUserTasksRequest(token=token))
        return next(each for each in listed.tasks if each.task_id == task_id)

    async def log(self, token: str, task_id: str) -> str:
        return str((await self.requests.GetTasklog(pb.TasklogRequest(task_id=task_id, token=token))).log)

    async def until(self, token: str, task_id: str, *states: str, limit_s: float = 5.0) -> Any:
        """The task when it is in one of the states."""

        async def look() -> Any:
            task = await self.task(token, task_id)
            return task if task.status in states else None

        return await until(look, limit_s)


async def until(look: Callable[[], Awaitable[Any]], limit_s: float = 5.0) -> Any:
    """What `look` returns when it is truthy, asked every 10 ms."""
    async with asyncio.timeout(limit_s):
        while not (found := await look()):
            await asyncio.sleep(0.01)
    return found


Decide = Callable[[Any], Any]


class TinyWorker(rpc.WorkerNodeServiceServicer):  # type: ignore[misc]
    """A node as small as can be: it answers offers as told and notes every call."""

    def __init__(self, pool: Pool, account: str, node_id: str = "") -> None:
        self.pool, self.account, self.node_id = pool, account, node_id or account
        self.offers: list[tuple[float, Any]] = []
        self.stops: list[str] = []
        self.answer: Callable[[Any], Awaitable[tuple[bool, str]]] = self.accept
        self.offered = asyncio.Event()

    async def accept(self, _request: Any) -> tuple[bool, str]:
        return True, "accepted"

    async def refuse(self, _request: Any) -> tuple[bool, str]:
        return False, "no room"

    async def ExecuteTask(self, request: Any, _context: Any) -> Any:
        self.offers.append((time.monotonic(), request))
        success, message = await self.answer(request)
        self.offered.set()
        return pb.ExecuteTaskResponse(success=success, message=message)

    async def StopTaskExecution(self, request: Any, _context: Any) -> Any:
        self.stops.append(request.task_id)
        return pb.StopTaskExecutionResponse(success=True, message="stopping")

    async def listen(self) -> None:
        self.server = grpc.aio.server(options=[*BIG, ("grpc.so_reuseport", 0)])
        rpc.add_WorkerNodeServiceServicer_to_server(self, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        await self.server.start()

    async def sign_in(self) -> None:
        self.token = await self.pool.token(self.account)

    async def register(self, **changes: Any) -> Any:
        values = {
            "node_id": self.node_id, "hostname": "127.0.0.1", "port": self.port, "cpu_cores": 4,
            "memory_gb": 8, "cpu_score": 400, "docker_status": "available", "gpu_name": "Not Detected",
            **changes,
        }  # fmt: skip
        return await self.pool.nodes.RegisterWorkerNode(
            pb.RegisterWorkerNodeRequest(**values), metadata=(("authorization", f"Bearer {self.token}"),)
        )

    async def send_output(self, task_id: str, text: str, token: str | None = None) -> Any:
        return await self.pool.workers.TaskOutputUpload(
            pb.TaskOutputUploadRequest(
                task_id=task_id, output=text, token=self.token if token is None else token
            )
        )

    async def send_result(self, task_id: str, archive: bytes, token: str | None = None) -> Any:
        return await self.pool.workers.TaskResultUpload(
            pb.TaskResultUploadRequest(
                task_id=task_id, result_zip=archive, token=self.token if token is None else token
            )
        )


@asynccontextmanager
async def running_pool(folder: Path, *, charges: bool = False) -> AsyncIterator[Pool]:
    """A pool that is ended whatever happens."""
    pool = Pool(folder)
    pool.charges = charges
    await pool.start()
    try:
        yield pool
    finally:
        await pool.stop()


@asynccontextmanager
async def tiny_worker(
    pool: Pool, account: str, node_id: str = "", *, tokens: int = 0, **announced: Any
) -> AsyncIterator[TinyWorker]:
    """A registered worker with an account of its own (made when it is new)."""
    problem = await pool.local.add_account(account, PASSWORD, tokens)
    assert problem is None or isinstance(problem, Problem)
    worker = TinyWorker(pool, account, node_id)
    await worker.listen()
    try:
        await worker.sign_in()
        answer = await worker.register(**announced)
        assert answer.success, answer.message
        yield worker
    finally:
        await worker.server.stop(None)
