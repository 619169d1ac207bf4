"""A worker that is there and never ends a task does not keep it: another gets it, and each try is told."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from hivemind_worker.model.pool_records import PoolResult, PoolTask, PoolTaskState
from hivemind_worker.model.task import TaskId, key_of
from hivemind_worker.pool.nats.layout import HELD_S, MOST_TRIES, PAUSES_S, held_limit_s
from tests.contract.local_pool import result_zip, until
from tests.nats.here import Here, PoolOnEngine, pool_on_engine
from tests.nats.stand import anything
from tests.nats.test_pull_client import _NODE
from tests.nats.worker import asking_worker

SHORT_S, TICK_S = 0.5, 0.02
KEY = key_of(TaskId("t"))


async def test_a_task_that_is_held_too_long_ends_on_another_and_the_first_is_told_to_stop(
    here: Here, tmp_path: Path
) -> None:
    async with (
        pool_on_engine(tmp_path / "pool", here, held_s=SHORT_S) as pool,
        asking_worker(here.address, "anna", tmp_path) as first,
    ):
        token = await pool.account("ada")
        assert (await pool.upload(token, "t")).success
        await first.got("t")  # and says at each beat that it has it
        await until(lambda: _taken_back(pool, token), 20)
        assert (await pool.task(token, "t")).status == "PENDING"
        first.client.wake()
        await until(lambda: _told_to_stop(first.stops), 20)

        late = tmp_path / "late.zip"
        late.write_bytes(result_zip("STOPPED"))
        sent = await first.client.send_result(TaskId("t"), late)
        assert not sent.delivered and not sent.retry
        assert (await pool.task(token, "t")).status == "PENDING"

        async with asking_worker(here.address, "bert", tmp_path) as second:
            await second.got("t")
            done = tmp_path / "done.zip"
            done.write_bytes(result_zip())
            assert (await second.client.send_result(TaskId("t"), done)).delivered
        assert (await pool.task(token, "t")).status == "COMPLETED"
        assert len(first.offers) == 1  # it is not given the same once more
        told = await pool.log(token, "t")
        places = [told.index(each) for each in ("on anna.", "anna has had the task", "on bert.")]
        assert places == sorted(places)
        assert await pool.archives_kept() == [result_zip()]


async def _taken_back(pool: PoolOnEngine, token: str) -> bool:
    pool.pass_time(
        TICK_S
    )  # of the process's own clock, not so far that anna were silent; the server's goes on
    return "anna has had the task" in await pool.log(token, "t")


async def _told_to_stop(stops: list[object]) -> bool:
    return KEY in stops


async def test_after_so_many_who_never_ended_it_the_task_is_failed_and_keeps_the_last_ones_archive(
    here: Here, tmp_path: Path
) -> None:
    async with pool_on_engine(tmp_path / "pool", here, held_s=SHORT_S / 10) as pool:
        token = await pool.account("ada")
        await pool.upload(token, "t")
        for number in range(MOST_TRIES):
            node = replace(_NODE, node_id=f"n{number}")
            await pool.book.put_node(node)
            assert await pool.book.hand_out(node, anything, anything, pool.clock()) is not None
            await until(lambda number=number: _tries(pool, number + 1), 20)
        task = await pool.book.task(KEY)
        assert task is not None and task.state is PoolTaskState.FAILED
        assert f"Tried {MOST_TRIES} times" in task.message and f"n{MOST_TRIES - 1} has had" in task.message
        kept = await pool.book.finish(_result(f"n{MOST_TRIES - 1}", PoolTaskState.STOPPED))
        assert (kept.state, kept.message, kept.has_result) == (PoolTaskState.FAILED, task.message, True)


async def _tries(pool: PoolOnEngine, number: int) -> bool:
    pool.pass_time(TICK_S)
    await pool.engine_pool.desk.lost.look_for_held()
    record = await pool.book.record(KEY)
    return record is not None and len(record.refused) >= number


def _result(node_id: str, state: PoolTaskState) -> PoolResult:
    content = result_zip(state.value)
    return PoolResult(
        key=KEY, node_id=node_id, state=state, message="", sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content), account="ada", reward=0, at_s=1.0,
    )  # fmt: skip


async def test_what_a_worker_promises_is_waited_for_with_its_pauses_and_no_longer(
    pool: PoolOnEngine, here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await pool.account("ada")
    await pool.upload(token, "t")
    await pool.book.put_node(_NODE)
    assert await pool.book.hand_out(_NODE, anything, anything, pool.clock(), 60.0) is not None
    begun_s = await pool.engine_pool.engine.now_s()
    limit_s = 2 * 60.0 + PAUSES_S
    for passed_s, found in ((limit_s - 60, 0), (limit_s + 60, 1)):

        async def later(at_s: float = begun_s + passed_s) -> float:
            return at_s

        monkeypatch.setattr(pool.engine_pool.engine, "now_s", later)
        assert len(await pool.book.held_too_long(HELD_S)) == found
    (task,) = await pool.book.tasks_in(PoolTaskState.RUNNING)
    assert isinstance(task, PoolTask)


def test_the_pools_own_limit_counts_where_a_worker_promises_more_or_nothing() -> None:
    assert held_limit_s(0.0, HELD_S) == HELD_S
    assert held_limit_s(30 * HELD_S, HELD_S) == HELD_S
    assert held_limit_s(3600.0, HELD_S) == 3 * 3600.0
