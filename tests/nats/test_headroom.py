"""A server that uploads have filled still takes what runs: logs, results, records, pay."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from hivemind_worker.model.fleet import Fleet, Told, WishKind
from hivemind_worker.model.snapshot import LinkState
from hivemind_worker.model.task import Problem, TaskId
from hivemind_worker.pool.nats.authority import make_authority
from hivemind_worker.pool.nats.book import NODE_KEPT_S
from hivemind_worker.pool.nats.layout import ARCHIVES
from tests.contract.local_pool import until, zipped
from tests.nats.here import Here, PoolOnEngine, pool_on_engine, server_here
from tests.nats.worker import AskingWorker, asking_worker

MIB = 1 << 20
KEEP_BYTES = 6 * MIB
PIECE = 96 * 1024


@asynccontextmanager
async def filled(
    folder: Path, keep_bytes: int | None
) -> AsyncIterator[tuple[PoolOnEngine, str, AskingWorker]]:
    """A pool with one task at a worker, and as many uploads as its server takes."""
    async with (
        server_here(folder / "server", keep_bytes=KEEP_BYTES) as here,
        pool_on_engine(folder / "pool", here, keep_bytes=keep_bytes) as pool,
        asking_worker(here.address, "anna", folder) as worker,
    ):
        token = await pool.account("ada")
        await pool.account("anna", 0)
        assert (await pool.upload(token, "runs", cpu_score=400, memory_gb=8)).success
        await worker.got("runs")
        assert (await _fill(pool, token)) == "The pool's disk is full; try again later."
        yield pool, token, worker


async def _fill(pool: PoolOnEngine, token: str) -> str:
    for number in range(2 * KEEP_BYTES // PIECE):
        try:
            archive = os.urandom(PIECE)
            assert (await pool.upload(token, f"waits-{number}", archive, cpu_score=400)).success
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            return str(error.details())
    raise AssertionError("the server took more than it may")


async def test_what_runs_ends_and_is_paid_although_uploads_have_filled_the_server(tmp_path: Path) -> None:
    async with filled(tmp_path, KEEP_BYTES) as (pool, token, worker):
        assert (await worker.client.send_output(TaskId("runs"), "x" * 10_000)).delivered
        result = tmp_path / "result.zip"
        result.write_bytes(zipped(execution_log_txt="status: COMPLETED\n", out_txt="y" * 100_000))
        sent = await worker.client.send_result(TaskId("runs"), result)
        assert sent.delivered, sent
        assert (await pool.task(token, "runs")).status == "COMPLETED"
        assert await pool.balance("anna", await pool.token("anna")) > 0
        used, limit = await pool.engine_pool.engine.room()
        assert limit == KEEP_BYTES and used < limit


def test_a_pool_process_knows_from_its_credential_how_much_its_servers_keep(tmp_path: Path) -> None:
    authority = make_authority(tmp_path, ["tls://127.0.0.1:4222"], lambda: 1_800_000_000.0)
    assert not hasattr(authority, "code"), authority
    assert authority.for_pool(3 * MIB).keep_bytes == 3 * MIB  # type: ignore[union-attr]
    assert authority.for_pool().keep_bytes is None  # type: ignore[union-attr]


async def stuff(here: Here) -> list[int]:
    """Fill the server to its last byte, whatever uploads leave; the sequences, for it to be emptied again."""
    client = await here.connect(lambda: None)
    assert not isinstance(client, Problem)
    put: list[int] = []
    try:
        while True:
            answer = await client.request(f"hivemind.archive.full.t.x.{len(put)}", b"x" * PIECE)
            told = json.loads(answer.data)
            if "error" in told:
                return put
            put.append(told["seq"])
    finally:
        await client.close()


@pytest.mark.release
async def test_on_a_server_without_a_byte_left_workers_stay_heard_and_each_refusal_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        server_here(tmp_path / "server", keep_bytes=KEEP_BYTES) as here,
        pool_on_engine(tmp_path / "pool", here) as pool,
        asking_worker(here.address, "anna", tmp_path) as worker,
    ):
        token = await pool.account("ada")
        assert (await pool.upload(token, "runs")).success
        await worker.got("runs")
        stuffing = await stuff(here)
        pool.clock.now += NODE_KEPT_S + 1  # its record would be written anew
        heard = len(worker.views)
        worker.client.wake()
        wished, uploaded = await asyncio.gather(
            worker.client.fleet.wish(WishKind.PAUSE, None),
            _refused(pool, token),
        )
        assert isinstance(wished, Problem) and "the pool's store is full; try again later" in wished.about
        assert uploaded == "The pool's disk is full; try again later."
        await until(lambda: _heard_since(worker, heard), 20)
        assert worker.client.view.link is LinkState.REGISTERED
        assert pool.book.node("anna").heard_at_s == pool.clock.now, "though it is not written down"
        machines = await worker.client.fleet.machines()
        assert isinstance(machines, Fleet) and machines.machines[0].online
        assert (await pool.task(token, "runs")).status == "RUNNING"
        loud = [each for each in caplog.records if each.levelno >= logging.WARNING]
        assert 1 <= len(loud) <= 2, "one a minute, however many fail"
        for sequence in stuffing:
            await pool.engine_pool.engine.delete(ARCHIVES, sequence)
        assert await worker.client.fleet.wish(WishKind.PAUSE, None) == Told(now=("anna",), later=())


async def _refused(pool: PoolOnEngine, token: str) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await pool.upload(token, "late")
    return str(told.value.details())


async def _heard_since(worker: AskingWorker, views: int) -> bool:
    return any(each.link is LinkState.REGISTERED for each in worker.views[views:])
