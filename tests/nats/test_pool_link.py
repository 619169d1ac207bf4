"""What the engine relies on in a link to a pool, on both kinds: it calls the worker, the worker asks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from hivemind_worker.engine.ports import PoolLink
from hivemind_worker.engine.report import execution_log
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.snapshot import LinkState
from hivemind_worker.model.task import Problem, TaskId, TaskState
from hivemind_worker.pool.nats.layout import PIECE_BYTES
from hivemind_worker.pool.session import Credentials
from tests.contract.link import linked
from tests.contract.local_pool import PASSWORD, Pool, TinyWorker, result_zip, running_pool, zipped
from tests.fakes.node import make_task
from tests.nats.here import pool_on_engine, server_here
from tests.nats.worker import asking_worker


@dataclass
class Linked:
    """A worker's link, with a task "t" of the requester in its hands."""

    link: PoolLink
    pool: Pool
    token: str
    lose: Callable[[], Awaitable[None]]


@asynccontextmanager
async def called(folder: Path) -> AsyncIterator[Linked]:
    async with running_pool(folder / "pool") as pool:
        token = await pool.account("ada")
        await pool.account("ann")
        worker = TinyWorker(pool, "ann")
        await worker.listen()
        await worker.sign_in()
        assert (await worker.register()).success
        await pool.upload(token, "t")
        await pool.until(token, "t", "RUNNING")
        async with linked(pool.address, credentials=Credentials(user="ann", password=PASSWORD)) as link:
            await link.shows(LinkState.REGISTERED)

            async def lose() -> None:
                await pool.local.close()

            yield Linked(link.client, pool, token, lose)
        await worker.server.stop(None)


@asynccontextmanager
async def asked(folder: Path) -> AsyncIterator[Linked]:
    async with (
        server_here(folder / "server") as here,
        pool_on_engine(folder / "pool", here) as pool,
        asking_worker(here.address, "ann", folder) as worker,
    ):
        token = await pool.account("ada")
        await pool.upload(token, "t")
        await worker.got("t")
        yield Linked(worker.client, pool, token, here.end)


@pytest.fixture(params=[called, asked])
async def link(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Linked]:
    make: Callable[[Path], AbstractAsyncContextManager[Linked]] = request.param
    async with make(tmp_path) as found:
        yield found


async def test_output_arrives_in_order_and_whole(link: Linked) -> None:
    for number in range(20):
        sent = await link.link.send_output(TaskId("t"), f"line {number} ä\ud800\n")
        assert sent.delivered
    told = await link.pool.log(link.token, "t")
    places = [told.index(f"line {number} ä") for number in range(20)]
    assert places == sorted(places)


async def test_a_result_is_taken_once_and_the_same_again_is_no_harm(link: Linked, tmp_path: Path) -> None:
    assert link.link.prompt_results
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    first.write_bytes(result_zip())
    second.write_bytes(zipped(execution_log_txt="status: FAILED\n"))
    assert (await link.link.send_result(TaskId("t"), first)).delivered
    assert (await link.link.send_result(TaskId("t"), first)).delivered
    refused = await link.link.send_result(TaskId("t"), second)
    assert not refused.delivered and not refused.retry and refused.problem is not None
    assert (await link.pool.task(link.token, "t")).status == "COMPLETED"


CUT_OFF = "The worker ended while the task was here: it was started again at 14:32."


@pytest.mark.parametrize("more", [0, 3 * PIECE_BYTES])
async def test_a_requester_reads_why_its_task_was_cut_off(link: Linked, tmp_path: Path, more: int) -> None:
    problem = Problem(code=FaultCode.INTERRUPTED, about="it was started again at 14:32")
    told = execution_log(make_task("t", TaskState.FAILED, problem=problem), "larch", "1.0").decode()
    file = tmp_path / "r.zip"
    file.write_bytes(zipped(execution_log_txt=told, out_txt="x" * more))
    assert (await link.link.send_result(TaskId("t"), file)).delivered
    seen = await link.pool.task(link.token, "t")
    assert (seen.status, seen.message) == ("FAILED", f"The worker reports that the task failed: {CUT_OFF}")


async def test_what_is_not_its_task_is_refused_for_good(link: Linked, tmp_path: Path) -> None:
    file = tmp_path / "r.zip"
    file.write_bytes(result_zip())
    assert (await link.pool.upload(link.token, "other", cpu_score=100_000)).success
    for name in ("other", "nothing"):
        for sent in (
            await link.link.send_output(TaskId(name), "x"),
            await link.link.send_result(TaskId(name), file),
        ):
            assert not sent.delivered and not sent.retry and sent.problem is not None


async def test_a_result_that_cannot_be_read_is_final(link: Linked, tmp_path: Path) -> None:
    sent = await link.link.send_result(TaskId("t"), tmp_path / "none.zip")
    assert not sent.delivered and not sent.retry and sent.problem is not None


async def test_without_the_pool_it_is_to_be_tried_again(link: Linked, tmp_path: Path) -> None:
    file = tmp_path / "r.zip"
    file.write_bytes(result_zip())
    await link.lose()
    async with asyncio.timeout(30):
        for sent in (
            await link.link.send_output(TaskId("t"), "x"),
            await link.link.send_result(TaskId("t"), file),
        ):
            assert not sent.delivered and sent.retry and sent.problem is not None
