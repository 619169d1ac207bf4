"""Two versions of the program at one pool: what a later one wrote an earlier one keeps, or says why not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import grpc
import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.fleet import Fleet
from hivemind_worker.model.snapshot import LinkState
from hivemind_worker.model.task import Problem, TaskId, key_of
from hivemind_worker.pool.nats.engine import Engine
from hivemind_worker.pool.nats.layout import (
    ACCOUNTS,
    FLEET,
    FORMAT,
    FORMAT_MARK,
    TASKS,
    Stream,
    account_subject,
    machine_subject,
    task_subject,
)
from hivemind_worker.pool.nats.pool import EnginePool
from tests.contract.local_pool import result_zip, until
from tests.e2e.process import PROGRAM, environment
from tests.nats.here import Here, PoolOnEngine
from tests.nats.worker import asking_worker

LIMIT_S = 30.0


async def add(engine: Engine, stream: Stream, subject: str, **fields: object) -> None:
    """As a later version writes: the same record with more in it."""
    kept = await engine.read(stream, subject)
    assert kept is not None
    values = {**json.loads(kept.data), "of_a_later_version": 7, **fields}
    assert await engine.write(subject, json.dumps(values).encode(), over=kept.revision) is not None


async def read(engine: Engine, stream: Stream, subject: str) -> dict[str, object]:
    kept = await engine.read(stream, subject)
    assert kept is not None
    return dict(json.loads(kept.data))


async def test_what_a_later_version_has_added_to_records_stays_when_this_one_changes_them(
    pool: PoolOnEngine, here: Here, tmp_path: Path
) -> None:
    engine, key = pool.engine_pool.engine, key_of(TaskId("t"))
    token, _ = await pool.account("ada"), await pool.account("larch", 0)
    assert (await pool.upload(token, "t", cpu_score=200, memory_gb=3)).success
    task = await read(engine, TASKS, task_subject(key))
    await add(engine, TASKS, task_subject(key), task={**dict(task["task"]), "colour": "red"})  # type: ignore[call-overload]
    await add(engine, ACCOUNTS, account_subject("larch"))
    async with asking_worker(here.address, "larch", tmp_path / "w") as worker:
        await worker.got("t")

        async def stands() -> bool:
            found = await worker.client.fleet.machines()
            return isinstance(found, Fleet) and len(found.machines) == 1

        await until(stands, 20)
        await add(engine, FLEET, machine_subject("larch"))
        archive = tmp_path / "r.zip"
        archive.write_bytes(result_zip())
        assert (await worker.client.send_result(TaskId("t"), archive)).delivered
    after = await read(engine, TASKS, task_subject(key))
    assert after["of_a_later_version"] == 7 and dict(after["task"])["colour"] == "red"  # type: ignore[call-overload]
    assert dict(after["task"])["state"] == "COMPLETED"  # type: ignore[call-overload]
    account = await read(engine, ACCOUNTS, account_subject("larch"))
    assert (account["of_a_later_version"], account["balance"]) == (7, 5)
    machine = await read(engine, FLEET, machine_subject("larch"))
    assert (machine["of_a_later_version"], machine["earned"]) == (7, 5)


async def test_a_pool_whose_records_are_of_a_later_format_is_not_served_and_nothing_is_changed(
    here: Here, pool: PoolOnEngine, tmp_path: Path
) -> None:
    engine, token = pool.engine_pool.engine, await pool.account("ada")
    assert await read_format(engine) == str(FORMAT)
    later = EnginePool(here.connect, tmp_path / "later", "127.0.0.1:0")
    kept = await engine.read(ACCOUNTS, FORMAT_MARK)
    assert kept is not None
    await engine.write(FORMAT_MARK, str(FORMAT + 1).encode(), over=kept.revision)

    refused = await later.start()
    assert isinstance(refused, Problem) and refused.code is FaultCode.LATER_POOL
    assert refused.about == f"format {FORMAT + 1}; this program knows {FORMAT}"

    await asyncio.wait_for(pool.book.ended.wait(), 10)  # one that ran already
    assert pool.book.problem == refused
    with pytest.raises(grpc.aio.AioRpcError, match="try again later"):
        await pool.upload(token, "t")


async def read_format(engine: Engine) -> str | None:
    kept = await engine.read(ACCOUNTS, FORMAT_MARK)
    return kept.data.decode() if kept else None


async def test_a_running_pool_ends_with_a_sentence_when_a_later_version_takes_over(
    here: Here, pool: PoolOnEngine, tmp_path: Path
) -> None:
    words = ("pool", "--engine", here.address, "--listen", "127.0.0.1:0", "--json")
    running = await asyncio.create_subprocess_exec(
        *PROGRAM, *words, env=environment(tmp_path / "home"), stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert running.stdout is not None
        assert json.loads(await running.stdout.readline())["event"] == "ready"
        await pool.engine_pool.engine.write(FORMAT_MARK, str(FORMAT + 1).encode())
        _, err = await asyncio.wait_for(running.communicate(), LIMIT_S)
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    said = json.loads(err)
    assert (said["error"], running.returncode) == ("later_pool", 4)
    assert "Install that version" in said["next"]


async def test_a_record_of_no_known_form_is_left_alone_and_the_pool_goes_on(
    pool: PoolOnEngine, here: Here, tmp_path: Path
) -> None:
    engine, key = pool.engine_pool.engine, key_of(TaskId("odd"))
    token = await pool.account("ada")
    for content in (b"{", b"[]", b'{"task": {"state": "DREAMING"}}', b"\xff"):
        await engine.write(task_subject(key), content)
        await engine.write(machine_subject("odd"), content)
    assert (await pool.upload(token, "t")).success
    again = EnginePool(here.connect, tmp_path / "again", "127.0.0.1:0")
    try:
        assert isinstance(await again.start(), str), "also a new process starts beside it"
        async with asking_worker(here.address, "larch", tmp_path / "w") as worker:
            await worker.shows(LinkState.REGISTERED)
            await worker.got("t")
    finally:
        await again.close()
    kept = await engine.read(TASKS, task_subject(key))
    assert kept is not None and kept.data == b"\xff"
