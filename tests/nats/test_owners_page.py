"""What the page for owners says of copies and lost disks, done line by line to a cluster that is in use."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from hivemind_worker.model.snapshot import LinkState
from hivemind_worker.model.task import Problem, TaskId, key_of
from hivemind_worker.pool.nats.credential import keep
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from tests.contract.local_pool import PASSWORD, Pool, result_zip, zipped
from tests.e2e.process import environment
from tests.nats.cluster import HOSTS, ClusterServers, cluster
from tests.nats.server import enrolled
from tests.nats.stand import pool_process
from tests.nats.worker import AskingWorker, asking_worker

pytestmark = pytest.mark.release
PAGE = Path(__file__).parents[2] / "docs" / "nats.md"
LIMIT_S = 60.0
AGAIN_S = 0.3


def page_commands(title: str) -> list[str]:
    """The lines of the code block that follows these words of the page."""
    after = PAGE.read_text(encoding="utf-8").split(title, 1)[1]
    block = re.search(r"(?:^    .+\n)+", after, re.MULTILINE)
    assert block, title
    return [line[4:].strip() for line in block[0].splitlines()]


@dataclass
class Owner:
    """Does what the page says, with the ports of this cluster and the folders of the test."""

    servers: ClusterServers
    copy: Path
    processes: AsyncExitStack
    door: Pool | None = None

    async def do(self, title: str) -> None:
        """All lines of the block that follows."""
        for line in page_commands(title):
            order, _, remark = line.partition("#")
            if order:
                await self._run(order.strip(), again="again" in remark)
            else:
                await self._act(remark.strip())

    async def _act(self, words: str) -> None:
        match words.split():
            case ["end", "the", "server", name]:
                await self.servers.end(HOSTS.index(name))
            case ["start", "the", "server", name]:
                await self.servers.start(HOSTS.index(name))
                await self.servers.listens(HOSTS.index(name))
            case ["end", "every", "server"]:
                for number in range(len(HOSTS)):
                    await self.servers.end(number)
            case ["start", "every", "server"]:
                for number in range(len(HOSTS)):
                    await self.servers.start(number)
            case ["end", "every", "pool", "process"]:
                await self.processes.aclose()
            case ["start", "the", "pool", "processes"]:
                await self.open_pool()
            case _:
                raise AssertionError(words)

    async def _run(self, order: str, *, again: bool) -> None:
        port, between = self.servers.addresses[0].rpartition(":")[2], self.servers.between
        order = order.replace("4222", port).replace("…", str(self.servers.home))
        order = order.replace("~/pool-copy", str(self.copy))
        if "nats-config" in order:
            order += f" --port {port} --cluster-port {between}"
        order = order.replace("hivemind-worker", f"{sys.executable} -m hivemind_worker", 1)
        async with asyncio.timeout(LIMIT_S):
            while (code := await self._shell(order)) and again:
                await asyncio.sleep(AGAIN_S)
        assert code == 0, order

    async def _shell(self, order: str) -> int:
        process = await asyncio.create_subprocess_shell(
            order, env=environment(self.servers.home), stdout=asyncio.subprocess.DEVNULL
        )
        return await process.wait()

    async def open_pool(self) -> None:
        """`pool --engine` as a process, and the way in for requesters."""
        words = ("--replicas", "3")
        process = await self.processes.enter_async_context(
            pool_process(self.servers.home, self.servers.addresses[0], *words)
        )
        self.door = Pool(self.copy)
        self.door.connect(process.address)
        self.processes.push_async_callback(self.door.channel.close)

    @property
    def pool(self) -> Pool:
        assert self.door is not None
        return self.door


@asynccontextmanager
async def owner(folder: Path) -> AsyncIterator[Owner]:
    async with cluster(folder / "owner") as servers, AsyncExitStack() as processes:
        made = Owner(servers, folder / "copy", processes)
        await made.open_pool()
        yield made


async def account(made: Owner, name: str) -> str:
    words = f"pool --engine {made.servers.addresses[0]} user add {name} --password-file -"
    order = f"printf '%s' '{PASSWORD}' | hivemind-worker {words}"
    await made._run(order, again=False)
    return await made.pool.token(name)


async def patiently(made: Owner, token: str, task_id: str, **demand: int) -> None:
    """As a requester who is told to come again later does."""
    while True:
        with contextlib.suppress(grpc.aio.AioRpcError):
            answer = await made.pool.upload(token, task_id, zipped(main_py="print(1)"), **demand)
            assert answer.success or "known already" in answer.message, answer.message
            return
        await asyncio.sleep(AGAIN_S)


async def ends(worker: AskingWorker, name: str, folder: Path) -> None:
    """The worker sends a result until the pool has it."""
    archive = folder / f"{name}.zip"
    archive.write_bytes(result_zip())
    async with asyncio.timeout(LIMIT_S):
        while not (sent := await worker.client.send_result(TaskId(name), archive)).delivered:
            assert sent.retry, sent
            await asyncio.sleep(AGAIN_S)
    worker.has.discard(key_of(TaskId(name)))


async def works(worker: AskingWorker, folder: Path, of: str) -> None:
    """Ends whatever it is given of these names, until cancelled."""
    looked_at = 0
    while True:
        if looked_at == len(worker.offers):
            await asyncio.sleep(AGAIN_S)
            continue
        name = worker.offers[looked_at][0].task_id
        looked_at += 1
        if name.startswith(of):
            await ends(worker, name, folder)


@asynccontextmanager
async def in_use(
    made: Owner, token: str, worker: AskingWorker, folder: Path, of: str
) -> AsyncIterator[list[str]]:
    """Tasks are uploaded and done all the while; every one has its one result at the end."""
    names: list[str] = []
    over = asyncio.Event()

    async def upload() -> None:
        while not over.is_set():
            names.append(f"{of}-{len(names)}")
            await patiently(made, token, names[-1])
            await asyncio.sleep(AGAIN_S)

    uploading, working = asyncio.create_task(upload()), asyncio.create_task(works(worker, folder, of))
    try:
        yield names
        over.set()
        await uploading
        for name in names:
            await done(made, token, name)
    finally:
        for each in (uploading, working):
            each.cancel()
        await asyncio.gather(uploading, working, return_exceptions=True)


async def done(made: Owner, token: str, name: str) -> None:
    async with asyncio.timeout(LIMIT_S):
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                if (await made.pool.task(token, name)).status == "COMPLETED":
                    return
            await asyncio.sleep(AGAIN_S)


async def admitted(made: Owner, name: str, folder: Path) -> Path:
    file = folder / f"{name}.json"
    keep(file, await enrolled(made.servers, name))
    return file


async def listed(made: Owner, token: str) -> set[str]:
    answer = await made.pool.requests.GetAllUserTasks(pb.GetAllUserTasksRequest(token=token))
    return {each.task_id for each in answer.tasks}


async def result_of(made: Owner, token: str, task_id: str) -> bytes:
    answer = await made.pool.requests.GetTaskResult(pb.GetTaskResultRequest(task_id=task_id, token=token))
    assert answer.success, answer.message
    return bytes(answer.result_zip)


async def test_a_cluster_in_use_is_copied_lost_brought_back_and_loses_one_disk(
    tmp_path: Path,
) -> None:
    async with owner(tmp_path) as made, AsyncExitStack() as stack:
        token = await account(made, "ada")
        credential = await admitted(made, "larch", tmp_path)
        shut_out = await admitted(made, "gone", tmp_path)
        assert not isinstance(made.servers.authority.revoke("gone"), Problem)
        worker = await stack.enter_async_context(
            asking_worker(made.servers.addresses[0], "larch", tmp_path, credential=credential)
        )
        for name, demand in (("ended", {}), ("running", {}), ("waiting", {"gpu_score": 5})):
            await patiently(made, token, name, **demand)
        await worker.got("ended")
        await ends(worker, "ended", tmp_path)
        await worker.got("running")
        before = await made.pool.balance("ada", token)
        async with in_use(made, token, worker, tmp_path, "during") as names:
            await made.do("## Copies")
            assert len(names) > 1
        await patiently(made, token, "later", gpu_score=5)

        for number in range(len(HOSTS)):
            await made.servers.kill(number)
        shutil.rmtree(made.servers.home / "pool" / "nats")
        await made.do("**Every disk is lost.**")
        token = await made.pool.token("ada")
        assert await made.pool.balance("ada", token) == before
        assert await result_of(made, token, "ended") == result_zip()
        assert (await made.pool.task(token, "waiting")).status == "PENDING"
        assert "later" not in await listed(made, token), "the copy is older"
        await worker.shows(LinkState.REGISTERED, LIMIT_S)
        await ends(worker, "running", tmp_path)
        assert (await made.pool.task(token, "running")).status == "COMPLETED"
        async with asking_worker(made.servers.addresses[0], "gone", tmp_path, credential=shut_out) as refused:
            await refused.shows(LinkState.LOGIN_REFUSED, LIMIT_S)

        await made.servers.kill(2)
        shutil.rmtree(made.servers.home / "pool" / "nats" / "servers" / HOSTS[2])
        async with in_use(made, token, worker, tmp_path, "disk"):
            await made.do("**One server's disk is lost.**")
        assert await result_of(made, token, "ended") == result_zip()
