"""A server that uploads have filled still takes what runs: logs, results, records, pay."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc

from hivemind_worker.model.task import TaskId
from hivemind_worker.pool.nats.authority import make_authority
from tests.contract.local_pool import zipped
from tests.nats.here import PoolOnEngine, pool_on_engine, server_here
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
