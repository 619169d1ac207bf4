"""A pool process's figures: read by a strict parser, true for a pool on a disk and for one on a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from hivemind_worker.model.snapshot import LinkState
from hivemind_worker.model.task import Problem, TaskId
from hivemind_worker.pool.figures import FRESH_S, DiskStore, Store, Watcher
from hivemind_worker.pool.local.book import PoolBook
from hivemind_worker.pool.nats.store_figures import NatsStore
from hivemind_worker.web.pool_metrics import MetricsPort
from tests.contract.local_pool import Clock, Pool, result_zip
from tests.nats.here import Here, PoolOnEngine
from tests.nats.worker import asking_worker

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Scrape:
    """A monitoring system before one process."""

    def __init__(self, address: str, monotonic: Clock) -> None:
        self.address, self._monotonic = address, monotonic

    async def __call__(self) -> Samples:
        self._monotonic.now += FRESH_S
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{self.address}/metrics") as answer,
        ):
            assert answer.status == 200
            assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
            families = text_string_to_metric_families(await answer.text())
            return {
                (sample.name, tuple(sorted(sample.labels.items()))): sample.value
                for family in families for sample in family.samples
            }  # fmt: skip


@asynccontextmanager
async def watched(pool: Pool, book: PoolBook, store: Store) -> AsyncIterator[Scrape]:
    monotonic = Clock(0.0)
    port = MetricsPort(Watcher(book, store, clock=pool.clock, monotonic=monotonic).figures)
    bound = await port.start("127.0.0.1", 0)
    assert not isinstance(bound, Problem)
    try:
        yield Scrape(bound, monotonic)
    finally:
        await port.close()


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, tuple(sorted(labels.items()))]


async def test_on_a_nats_server_the_figures_follow_a_task_to_its_end(
    pool: PoolOnEngine, here: Here, tmp_path: Path
) -> None:
    token = await pool.account("ada", 100)
    await pool.account("anna", 0)
    async with watched(pool, pool.book, NatsStore(pool.engine_pool.engine)) as scrape:
        assert (await pool.upload(token, "t", cpu_score=200, memory_gb=3)).success
        pool.clock.now += 20
        found = await scrape()
        assert value(found, "hivemind_pool_tasks", state="pending") == 1
        assert value(found, "hivemind_pool_queue_tasks", cores="2", memory_gib="4", gpu="no") == 1
        assert value(found, "hivemind_pool_queue_oldest_seconds") == 20
        async with asking_worker(here.address, "anna", tmp_path) as worker:
            await worker.shows(LinkState.REGISTERED)
            await worker.got("t")
            found = await scrape()
            assert value(found, "hivemind_pool_tasks", state="running") == 1
            assert value(found, "hivemind_pool_handouts_total", way="asked") == 1
            assert value(found, "hivemind_pool_workers", kind="asks", state="here") == 1
            archive = tmp_path / "r.zip"
            archive.write_bytes(result_zip())
            for _ in range(2):
                assert (await worker.client.send_result(TaskId("t"), archive)).delivered
        found = await scrape()
        assert value(found, "hivemind_pool_tasks_ended_total", outcome="completed") == 1
        assert value(found, "hivemind_pool_paid_credits_total", kind="reward") == 5
        assert value(found, "hivemind_pool_balance_credits") == 105
        assert value(found, "hivemind_pool_accounts") == 2
        assert value(found, "hivemind_pool_archives_bytes") > 100
        assert value(found, "hivemind_pool_stream_messages", stream="HIVEMIND_TASKS") == 1
        assert value(found, "hivemind_pool_store_bytes") >= value(found, "hivemind_pool_archives_bytes")
        await here.end()
        pool.engine_pool.engine._end()
        found = await scrape()
        assert value(found, "hivemind_pool_store_up") == 0
        assert value(found, "hivemind_pool_tasks_ended_total", outcome="completed") == 1, "counted here"
        assert ("hivemind_pool_tasks", (("state", "pending"),)) not in found, "not known is not zero"


async def test_on_a_disk_the_same_figures_are_told(tmp_path: Path) -> None:
    pool = Pool(tmp_path / "pool")
    await pool.start()
    try:
        token = await pool.account("ada", 100)
        assert (await pool.upload(token, "t", cpu_score=100, memory_gb=1)).success
        async with watched(pool, pool.book, DiskStore(pool.folder, asyncio.to_thread)) as scrape:
            found = await scrape()
            assert value(found, "hivemind_pool_tasks", state="pending") == 1
            assert value(found, "hivemind_pool_balance_credits") == 100
            assert value(found, "hivemind_pool_archives_bytes") > 100
            assert value(found, "hivemind_pool_info", engine="sqlite", version="0.1.0") == 1
    finally:
        await pool.stop()


async def test_nothing_else_is_served_and_no_page_under_another_name_reads_it(tmp_path: Path) -> None:
    pool = Pool(tmp_path / "pool")
    await pool.start()
    try:
        async with watched(pool, pool.book, DiskStore(pool.folder, asyncio.to_thread)) as scrape:
            url = f"http://{scrape.address}"
            async with aiohttp.ClientSession() as session:
                for path in ("/", "/metrics/x", "/api/v1/state"):
                    assert (await session.get(url + path)).status == 404
                assert (await session.post(f"{url}/metrics")).status == 405
                elsewhere = await session.get(f"{url}/metrics", headers={"Host": "evil.example"})
                assert elsewhere.status == 421
    finally:
        await pool.stop()
