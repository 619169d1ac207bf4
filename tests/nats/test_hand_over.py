"""Tasks that go out to a worker which is not there, or not waiting, any more."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from hivemind_worker.model.pool_records import PoolNode
from hivemind_worker.model.snapshot import LinkState
from hivemind_worker.model.task import Problem, TaskId, key_of
from hivemind_worker.pool.nats import desk
from hivemind_worker.pool.nats.subjects import WorkerId, asks
from tests.contract.local_pool import until
from tests.nats.here import Here, PoolOnEngine
from tests.nats.worker import asking_worker

LENDS: dict[str, Any] = {
    "cpu_cores": 4, "cpu_score": 400, "memory_gb": 8, "gpu_score": 0, "gpu_memory_gb": 0, "gpu_name": "",
    "region": "", "docker_status": "",
}  # fmt: skip
LEFT = "anna had left before the task reached it. Another worker gets it."


async def waits_at(pool: PoolOnEngine, name: str) -> None:
    """Until the pool has a request of this worker that waits for a task."""

    async def waits() -> bool:
        return name in pool.engine_pool.desk._waiters._by_name

    await until(waits, 20)


async def test_a_task_given_to_a_worker_that_has_just_left_goes_to_another_at_once(
    pool: PoolOnEngine, here: Here, tmp_path: Path
) -> None:
    token = await pool.account("ada")
    async with asking_worker(here.address, "anna", tmp_path) as first:
        await first.shows(LinkState.REGISTERED)
        await waits_at(pool, "anna")
    assert (await pool.upload(token, "t")).success
    async with asking_worker(here.address, "bert", tmp_path) as second:
        await second.got("t")
    told = await pool.log(token, "t")
    places = [told.index(each) for each in ("on anna.", LEFT, "on bert.")]
    assert places == sorted(places)
    record = await pool.book.record(key_of(TaskId("t")))
    assert record is not None and record.lost == 0 and not record.refused


async def test_a_task_found_after_its_worker_has_stopped_waiting_goes_to_another(
    pool: PoolOnEngine, here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await pool.account("ada")
    client = await here.connect(lambda: None)
    assert not isinstance(client, Problem)
    anna = WorkerId(name="anna", account="anna")
    await client.request(asks(anna, "beat"), json.dumps({"announced": LENDS, "has": []}).encode())
    asked = json.dumps({"wait_s": 10}).encode()
    with monkeypatch.context() as late:
        late.setattr(desk, "LATE_S", -60.0)  # seconds ago, each worker has stopped waiting
        answer = asyncio.create_task(client.request(asks(anna, "pull"), asked, timeout=60))
        await waits_at(pool, "anna")
    assert (await pool.upload(token, "t")).success
    async with asking_worker(here.address, "bert", tmp_path) as second:
        await second.got("t")
    assert not answer.done()
    answer.cancel()
    await client.close()
    assert LEFT in await pool.log(token, "t")


async def test_who_may_have_the_task_from_a_time_before_may_still_send_its_result(
    pool: PoolOnEngine,
) -> None:
    token, key = await pool.account("ada"), key_of(TaskId("t"))
    assert (await pool.upload(token, "t")).success
    node = PoolNode(
        node_id="anna", account="anna", hostname="", port=0, peer="", status="Idle", location="",
        heard_at_s=0.0, **{name: value for name, value in LENDS.items() if name != "region"},
    )  # fmt: skip
    for is_lost in (True, False):
        assert await pool.book.hand_out(node, lambda _: True, lambda _: True, 0.0) is not None
        back = await pool.book.take_back(key, "anna", "for the test", 0.0, lost=is_lost, refused=False)
        assert back is not None and back.offered == ("anna",)
