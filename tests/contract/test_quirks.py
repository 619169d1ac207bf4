"""One test for each row of the pool's quirks (protocol notes, section 6), over a real socket.

What the engine decides is shown in tests/engine; here is what the wire, the door and the
session do, with a handler that stands for the engine.
"""

from __future__ import annotations

import asyncio
import hashlib
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from hivemind_worker.model.effects import Accepted, Refused
from hivemind_worker.model.faults import FaultCode, sentence
from hivemind_worker.model.resources import normal_demand
from hivemind_worker.model.snapshot import LinkState
from hivemind_worker.model.task import Problem, TaskId, key_of
from hivemind_worker.pool.address import OwnAddress, choose_own_address
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from hivemind_worker.pool.wire import varint
from tests.contract.door import Worker, open_door
from tests.contract.link import ANNOUNCED, Link, linked
from tests.fakes.pool import EXECUTE, LOST, GrpcError, Once, ScriptedPool, call_worker

T = TaskId("task_20251031_120000_0a1b2c3d_1")


@pytest.fixture
async def pool() -> AsyncIterator[ScriptedPool]:
    async with ScriptedPool() as pool:
        yield pool


@pytest.fixture
async def link(pool: ScriptedPool) -> AsyncIterator[Link]:
    async with linked(pool.address) as link:
        await link.shows(LinkState.REGISTERED)
        yield link


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    spool = tmp_path / "spool"
    spool.mkdir()
    async with open_door(spool) as worker:
        yield worker


def archive_of(folder: Path, content: bytes = b"PK result") -> Path:
    path = folder / "result.zip"
    path.write_bytes(content)
    return path


async def beats(pool: ScriptedPool, link: Link, count: int) -> None:
    """Let so many more registrations happen."""
    for _ in range(count):
        heard = len(pool.of("RegisterWorkerNode"))
        await link.clock.next()
        await pool.heard("RegisterWorkerNode", heard + 1)
        await link.clock.resting()


async def test_quirk_01_status_reports_are_tried_once_a_session_and_used_where_they_work(
    pool: ScriptedPool, link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    await beats(pool, link, 3)
    assert (len(pool.of("ReportStatus")), len(pool.of("RegisterWorkerNode"))) == (1, 4)
    assert not [record for record in caplog.records if record.levelname != "INFO"]  # silently
    pool.takes_status = True
    await pool.restart()  # after the new login it is asked anew
    while len(pool.of("Login")) < 2:
        await link.clock.next()
        await link.clock.resting()
    await beats(pool, link, 2)
    assert len(pool.of("ReportStatus")) == 4
    assert pool.of("ReportStatus")[-1].fields["node_id"] == "ann"
    assert pool.calls[-1].method == "RegisterWorkerNode"  # the last word is Idle


async def test_quirk_02_the_worker_registers_anew_every_ten_seconds(pool: ScriptedPool, link: Link) -> None:
    started_s, first = link.clock.elapsed_s, len(pool.of("RegisterWorkerNode"))
    await beats(pool, link, 12)
    assert len(pool.of("RegisterWorkerNode")) - first == 12
    assert link.clock.elapsed_s - started_s == pytest.approx(120, abs=2)


async def test_quirk_03_a_busy_worker_keeps_registering_and_refuses_by_itself_when_full(
    pool: ScriptedPool, link: Link, worker: Worker
) -> None:
    link.announce(running_tasks=3)
    await beats(pool, link, 3)
    assert link.client.view.link is LinkState.REGISTERED
    worker.handler.reply = Refused(problem=Problem(code=FaultCode.NO_SLOT, about="3"))
    answer = await pool.offer(worker.address, T, b"zip")
    assert (answer.success, answer.message) == (False, sentence(FaultCode.NO_SLOT, "3"))


async def test_quirk_04_the_answers_time_is_told_and_only_a_pool_that_says_so_gets_prompt_results(
    pool: ScriptedPool, link: Link, worker: Worker, tmp_path: Path
) -> None:
    assert link.client.prompt_results is False
    order: list[str] = []
    worker.handler.choose = lambda _: order.append("decided") or Accepted(fresh=True)
    call = asyncio.ensure_future(pool.offer(worker.address, T, b"zip"))
    call.add_done_callback(lambda _: order.append("pool has it"))
    await asyncio.wait_for(worker.handler.heard.wait(), 5)
    assert order[0] == "decided" and worker.handler.told == [key_of(T)]
    # The race itself: a result before RUNNING is written is overwritten by it.
    await link.client.send_result(T, archive_of(tmp_path))
    await call
    assert pool.status[T] == "RUNNING"
    await link.client.send_result(T, archive_of(tmp_path))
    assert pool.status[T] == "COMPLETED"
    async with ScriptedPool(prompt=True) as prompt, linked(prompt.address) as other:
        await other.shows(LinkState.REGISTERED)
        assert other.client.prompt_results is True
        await prompt.close()
        await other.clock.next()
        await other.shows(LinkState.UNREACHABLE)
        assert other.client.prompt_results is False


async def test_quirk_05_the_same_offer_again_reaches_the_engine_with_the_same_hash_and_is_told_each_time(
    pool: ScriptedPool, worker: Worker
) -> None:
    for number in range(1, 4):
        assert (await pool.offer(worker.address, T, b"same zip", memory_gb=1)).success
        await asyncio.wait_for(worker.handler.heard.wait(), 5)
        worker.handler.heard.clear()
        assert len(worker.handler.told) == number
    offers = [offer for offer, _ in worker.handler.offers]
    assert offers == [offers[0]] * 3
    assert offers[0].body_sha256 == hashlib.sha256(b"same zip").hexdigest()
    assert len({path for _, path in worker.handler.offers}) == 3  # no file overwrites another


async def test_quirk_06_a_result_is_sent_whatever_it_says_and_tried_until_the_pool_has_it(
    pool: ScriptedPool, link: Link, tmp_path: Path
) -> None:
    failed = archive_of(tmp_path, b"PK execution_log.txt: failed")
    away = [GrpcError(grpc.StatusCode.UNAVAILABLE), GrpcError(grpc.StatusCode.UNKNOWN)]
    pool.answers["TaskResultUpload"] = Once(*away)
    tries = [await link.client.send_result(T, failed) for _ in range(3)]
    assert [(sent.delivered, sent.retry) for sent in tries] == [(False, True), (False, True), (True, False)]
    assert (pool.results[T], pool.status[T]) == ([failed.read_bytes()], "COMPLETED")


async def test_quirk_07_a_result_for_a_task_of_an_earlier_life_is_sent_like_any_other(
    pool: ScriptedPool, link: Link, tmp_path: Path
) -> None:
    pool.status[T] = "RUNNING"
    assert (await link.client.send_result(T, archive_of(tmp_path, b"PK interrupted"))).delivered
    assert pool.results[T] == [b"PK interrupted"]


async def test_quirk_08_a_result_is_sent_once_and_again_only_when_its_answer_was_lost(
    pool: ScriptedPool, link: Link, tmp_path: Path
) -> None:
    assert (await link.client.send_result(T, archive_of(tmp_path))).delivered
    assert len(pool.of("TaskResultUpload")) == 1
    pool.answers["TaskResultUpload"] = Once(LOST)
    lost = await link.client.send_result(TaskId("other"), archive_of(tmp_path))
    assert (lost.delivered, lost.retry) == (False, True)
    assert len(pool.of("TaskResultUpload")) == 2  # trying again is the outbox's to decide, not the link's
    pool.answers["TaskResultUpload"] = pb.TaskResultUploadResponse(success=False, message="已完成")
    refused = await link.client.send_result(TaskId("third"), archive_of(tmp_path))
    assert (refused.delivered, refused.retry) == (False, False)
    assert len(pool.of("TaskResultUpload")) == 3


async def test_quirk_09_the_node_is_the_account_unless_a_name_of_the_machine_is_asked_for(
    pool: ScriptedPool, link: Link
) -> None:
    assert pool.of("RegisterWorkerNode")[0].fields["node_id"] == "ann"
    async with linked(pool.address, machine_name="worker-desk-50053") as second:
        await second.shows(LinkState.REGISTERED)
    assert pool.of("RegisterWorkerNode")[-1].fields["node_id"] == "worker-desk-50053"
    assert pool.of("GetBalance")[-1].fields["username"] == "ann"  # the account stays the person's


async def test_quirk_10_nothing_is_announced_before_the_limits_are_known(pool: ScriptedPool) -> None:
    async with linked(pool.address, announced=None) as link:
        await link.shows(LinkState.WAITING)
        for _ in range(30):
            await link.clock.next()
        await link.clock.resting()
        assert pool.of("RegisterWorkerNode", "ReportStatus") == []
        link.announced = ANNOUNCED
        await link.clock.next()
        await link.shows(LinkState.REGISTERED)
        fields = pool.of("RegisterWorkerNode")[0].fields
        assert (fields["cpu_score"], fields["memory_gb"]) == (400, 8)


async def test_quirk_11_a_worker_beside_its_pool_is_announced_as_localhost_and_reached_there(
    pool: ScriptedPool, worker: Worker
) -> None:
    own = choose_own_address({"lo": ["127.0.0.1"]}, ["127.0.0.1"])
    assert own == OwnAddress(bind="127.0.0.1", announce="localhost")
    async with linked(pool.address) as link:
        link.announce(hostname=own.announce, port=int(worker.address.rpartition(":")[2]))
        await link.shows(LinkState.REGISTERED)
        node = pool.of("RegisterWorkerNode")[0].fields
        assert node["hostname"] != "127.0.0.1"
        assert (await pool.offer(f"{node['hostname']}:{node['port']}", T, b"zip")).success
    lonely = choose_own_address({"eth0": ["192.168.1.5"]}, ["10.0.0.1"])
    assert isinstance(lonely, OwnAddress) and lonely.warning


async def test_quirk_12_a_paused_worker_falls_silent_when_idle_and_keeps_beating_while_a_task_runs(
    pool: ScriptedPool, link: Link
) -> None:
    link.announce(running_tasks=1)  # paused, but something runs: it must not look dead
    await beats(pool, link, 7)
    link.announced = None  # paused and idle
    await link.clock.next()
    await link.shows(LinkState.WAITING)
    silent_from, heard = link.clock.elapsed_s, len(pool.calls)
    while link.clock.elapsed_s - silent_from < 120:
        await link.clock.next()
        await link.clock.resting()
    assert len(pool.calls) == heard
    link.announced = ANNOUNCED
    link.client.wake()
    await link.clock.next()
    await link.shows(LinkState.REGISTERED)


async def test_quirk_13_the_result_of_a_task_that_the_pool_stopped_in_silence_is_still_delivered(
    pool: ScriptedPool, link: Link, worker: Worker, tmp_path: Path
) -> None:
    assert (await pool.offer(worker.address, T, b"zip")).success
    pool.status[T] = "STOPPED"  # funds ran out; the worker is not told
    assert worker.handler.stops == []
    assert (await link.client.send_result(T, archive_of(tmp_path))).delivered
    assert pool.status[T] == "COMPLETED"


@pytest.mark.parametrize("task_id", ["../../../etc/cron.d/x", "a/b c", "-rf", "<img src=x>", "x" * 512])
async def test_quirk_14_an_id_is_for_the_wire_alone(
    pool: ScriptedPool, link: Link, worker: Worker, tmp_path: Path, task_id: str
) -> None:
    assert (await pool.offer(worker.address, task_id, b"zip")).success
    ((offer, path),) = worker.handler.offers
    assert path.parent == worker.spool and path.name.isascii() and len(path.name) == 36
    assert len(offer.key) == 32 and offer.key.isalnum()
    assert (await link.client.send_output(offer.task_id, "x")).delivered
    assert (await link.client.send_result(offer.task_id, archive_of(tmp_path))).delivered
    assert set(pool.outputs) == set(pool.results) == {task_id}


async def test_quirk_15_only_the_pools_address_may_send_tasks(pool: ScriptedPool, tmp_path: Path) -> None:
    async with open_door(tmp_path, peers={"10.0.0.1"}) as worker:
        assert worker.address.startswith("127.0.0.1:")  # one address, not all
        for call in (pool.offer(worker.address, T, b"zip"), pool.stop(worker.address, T)):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert worker.handler.offers == [] and worker.handler.stops == []
        worker.door.peers.allow({"127.0.0.1"})
        assert (await pool.offer(worker.address, T, b"zip")).success


async def test_quirk_16_output_of_one_task_is_sent_strictly_one_call_at_a_time(
    pool: ScriptedPool, link: Link
) -> None:
    now: dict[str, int] = {}
    most: dict[str, int] = {}

    async def read_modify_write(
        request: pb.TaskOutputUploadRequest, _: object
    ) -> pb.TaskOutputUploadResponse:
        task_id = request.task_id
        now[task_id] = now.get(task_id, 0) + 1
        most[task_id] = max(most.get(task_id, 0), now[task_id])
        most["any"] = max(most.get("any", 0), sum(now.values()))
        before = pool.outputs[task_id]
        await asyncio.sleep(0.001)
        pool.outputs[task_id] = (before + request.output + "\n")[-10240:]
        now[task_id] -= 1
        return pb.TaskOutputUploadResponse(success=True)

    pool.answers["TaskOutputUpload"] = read_modify_write
    ids = [TaskId(name) for name in "abcd"]
    sent = await asyncio.gather(
        *(link.client.send_output(task_id, f"line {number}") for number in range(200) for task_id in ids)
    )
    assert all(one.delivered for one in sent)
    for task_id in ids:
        assert most[task_id] == 1
        assert pool.outputs[task_id] == "".join(f"line {number}\n" for number in range(200))
    assert most["any"] > 1  # different tasks do not wait for one another


async def test_quirk_17_an_address_is_announced_not_the_name_of_the_machine(pool: ScriptedPool) -> None:
    own = choose_own_address({"wg0": ["10.0.0.7"]}, ["10.0.0.1"])
    assert isinstance(own, OwnAddress)
    async with linked(pool.address) as link:
        link.announce(hostname=own.announce)
        await link.shows(LinkState.REGISTERED)
    assert pool.of("RegisterWorkerNode")[0].fields["hostname"] == "10.0.0.7"


@pytest.mark.parametrize("word", ["available", "disabled"])
async def test_quirk_18_the_two_words_about_docker_are_sent_as_they_are(
    pool: ScriptedPool, word: str
) -> None:
    pool.takes_status = True
    async with linked(pool.address) as link:
        link.announce(docker_status=word)
        await link.shows(LinkState.REGISTERED)
    assert pool.of("RegisterWorkerNode")[0].fields["docker_status"] == word
    assert pool.of("ReportStatus")[0].fields["docker_status"] == word


async def test_quirk_19_amounts_that_later_pools_send_as_floats_are_read_and_zero_is_the_default(
    pool: ScriptedPool, worker: Worker
) -> None:
    head = b"\x0a\x01t\x12\x03zip"
    floats = b"\x1d" + struct.pack("<f", 250.0) + b"\x25" + struct.pack("<f", 0.5) + b"\x28" + varint(3)
    answer = pb.ExecuteTaskResponse.FromString(await call_worker(worker.address, EXECUTE, head + floats))
    assert answer.success
    assert (await pool.offer(worker.address, "zero", b"zip")).success
    assert [offer.demand for offer, _ in worker.handler.offers] == [
        normal_demand(250, 3, 0.5, 0),
        normal_demand(0, 0, 0, 0),
    ]


async def test_quirk_20_after_a_restart_of_the_pool_the_worker_logs_in_again_and_delivers(
    pool: ScriptedPool, link: Link, tmp_path: Path
) -> None:
    pool.demands_bearer = True
    pool.invalidate_tokens()  # the connection survives, the tokens do not
    assert (await link.client.send_output(T, "still running")).delivered
    assert len(pool.of("Login")) == 2
    await pool.close()
    assert (await link.client.send_result(T, archive_of(tmp_path))).retry
    await link.clock.next()
    await link.shows(LinkState.UNREACHABLE)
    pool.invalidate_tokens()
    await pool.start()
    away_until_s = link.clock.elapsed_s
    while link.client.view.link is not LinkState.REGISTERED:
        await link.clock.next()
        await link.clock.resting()
    assert link.clock.elapsed_s - away_until_s <= 30
    assert (await link.client.send_result(T, archive_of(tmp_path))).delivered
    assert pool.results[T] == [b"PK result"]
