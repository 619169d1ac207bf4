"""Workers that ask a pool for tasks: the real client, real pool processes, a real nats-server."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.pool_records import PoolNode
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.snapshot import LinkState
from hivemind_worker.model.task import Offer, Problem, TaskId, key_of
from hivemind_worker.pool.nats.archives import COUNT
from hivemind_worker.pool.nats.credential import keep
from hivemind_worker.pool.nats.layout import MOST_TRIES, PIECE_BYTES
from hivemind_worker.pool.nats.pool_error import PoolError
from hivemind_worker.pool.nats.subjects import WorkerId, asks
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from tests.contract.link import ANNOUNCED
from tests.contract.local_pool import TinyWorker, result_zip, tiny_worker, until, zipped
from tests.nats.here import Here, PoolOnEngine, pool_on_engine, secure_pool
from tests.nats.server import enrolled, running_server
from tests.nats.stand import anything
from tests.nats.worker import AskingWorker, asking_worker

_NODE = PoolNode(
    node_id="", account="", hostname="", port=0, peer="", cpu_cores=4, cpu_score=400, memory_gb=8,
    gpu_score=0, gpu_memory_gb=0, gpu_name="", location="", docker_status="", status="Idle", heard_at_s=0.0,
)  # fmt: skip


async def finished(pool: PoolOnEngine, worker: AskingWorker, tmp_path: Path, task_id: str) -> bytes:
    """The worker sends a result of several pieces."""
    archive = zipped(execution_log_txt="status: COMPLETED\n", big_txt="x" * (2 * PIECE_BYTES))
    file = tmp_path / f"{task_id}.result.zip"
    file.write_bytes(archive)
    sent = await worker.client.send_result(TaskId(task_id), file)
    assert sent.delivered, sent
    worker.has.discard(key_of(TaskId(task_id)))
    return archive


async def result_of(pool: PoolOnEngine, token: str, task_id: str) -> Any:
    return await pool.requests.GetTaskResult(pb.GetTaskResultRequest(task_id=task_id, token=token))


async def test_a_task_goes_to_a_worker_that_asks_and_its_result_comes_back(
    pool: PoolOnEngine, here: Here, tmp_path: Path
) -> None:
    token = await pool.account("ada")
    await pool.account("anna", 0)
    archive = zipped(main_py="print(1)" + "#" * PIECE_BYTES)
    async with asking_worker(here.address, "anna", tmp_path) as worker:
        await worker.shows(LinkState.REGISTERED)
        assert (await pool.upload(token, "t", archive, cpu_score=200, memory_gb=3)).success
        assert await worker.got("t") == archive
        offer = worker.offers[0][0]
        assert (offer.demand.cpu, offer.demand.memory_gb, offer.archive_bytes) == (200, 3, len(archive))
        assert (await worker.client.send_output(TaskId("t"), "hello\n" * 30_000)).delivered
        result = await finished(pool, worker, tmp_path, "t")
        assert (await pool.task(token, "t")).status == "COMPLETED"
        assert (await result_of(pool, token, "t")).result_zip == result
        told = await pool.log(token, "t")
        assert told.count("hello") == 30_000 and "Running on anna." in told
        again = await finished(pool, worker, tmp_path, "t")  # the same once more is no harm
        assert again == result
        other = tmp_path / "other.zip"
        other.write_bytes(result_zip())
        refused = await worker.client.send_result(TaskId("t"), other)
        assert not refused.delivered and not refused.retry
        account = await pool.book.account("anna")
        assert account is not None and account.balance == 5


async def test_output_whose_answer_was_lost_stands_in_the_log_once_whichever_process_hears_it_again(
    pool: PoolOnEngine, here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, heard = await pool.account("ada"), list[bool]()
    async with (
        pool_on_engine(tmp_path / "second", here),
        asking_worker(here.address, "anna", tmp_path) as worker,
    ):
        assert (await pool.upload(token, "t")).success
        await worker.got("t")
        request = worker.client._request

        async def every_other(verb: str, data: bytes, *words: Any, **options: Any) -> Any:
            answer = await request(verb, data, *words, **options)
            if verb == "output":
                heard.append(len(heard) % 2 == 1)
                if not heard[-1]:
                    raise PoolError("", retry=True, code=FaultCode.POOL_MUTE)
            return answer

        monkeypatch.setattr(worker.client, "_request", every_other)
        said = [f"line {number}\n" for number in range(8)] + ["same\n", "same\n"]
        for text in said:
            first = await worker.client.send_output(TaskId("t"), text)
            assert first.retry and (await worker.client.send_output(TaskId("t"), text)).delivered
    lines = [line for line in (await pool.log(token, "t")).splitlines() if "[system]" not in line]
    assert lines == [text.strip() for text in said]


async def test_a_worker_that_missed_the_answer_to_its_result_is_not_told_to_stop_but_asks_again(
    pool: PoolOnEngine, here: Here, tmp_path: Path
) -> None:
    token = await pool.account("ada")
    async with asking_worker(here.address, "anna", tmp_path) as worker:
        assert (await pool.upload(token, "t")).success
        await worker.got("t")
        await finished(pool, worker, tmp_path, "t")
        worker.has.add(key_of(TaskId("t")))  # as if the answer had been lost
        worker.client._beat_at = 0.0
        await worker.client._beat_when_due(ANNOUNCED)
        assert worker.stops == []
        await finished(pool, worker, tmp_path, "t")


async def test_results_that_a_worker_begins_and_never_ends_do_not_pile_up(
    pool: PoolOnEngine, here: Here, tmp_path: Path
) -> None:
    token = await pool.account("ada")
    await pool.account("anna", 0)
    key = key_of(TaskId("t"))
    async with asking_worker(here.address, "anna", tmp_path) as worker:
        await worker.shows(LinkState.REGISTERED)
        assert (await pool.upload(token, "t", zipped(main_py="print(1)"), cpu_score=200, memory_gb=3)).success
        await worker.got("t")
        for fill in "abcd":
            for number in range(2):
                headers = {
                    "Hivemind-Key": key, "Hivemind-Digest": fill * 64, "Hivemind-Number": str(number),
                    COUNT: "3",
                }  # fmt: skip
                answer = await worker.client._request("result", fill.encode(), headers)
                assert json.loads(answer.data) == {"ok": True}
        kept = [each for each in await pool.archives_kept() if not each.startswith(b"PK")]
        assert kept == [b"dd"]
        result = await finished(pool, worker, tmp_path, "t")
        assert (await result_of(pool, token, "t")).result_zip == result


async def test_a_worker_is_given_only_what_it_has_room_for(
    pool: PoolOnEngine, here: Here, tmp_path: Path
) -> None:
    token = await pool.account("ada")
    async with asking_worker(here.address, "anna", tmp_path) as worker:
        for name, score in (("big", 500), ("half", 250), ("rest", 150), ("more", 100)):
            assert (await pool.upload(token, name, cpu_score=score)).success
        await worker.got("half")
        await worker.got("rest")
        waiting = [(await pool.task(token, name)).status for name in ("big", "more")]
        assert waiting == ["PENDING", "PENDING"]
        await finished(pool, worker, tmp_path, "half")
        await worker.got("more")


@pytest.mark.parametrize("most_tasks", [0, 2])
async def test_a_task_that_asks_for_nothing_takes_a_core_and_one_of_the_places(
    pool: PoolOnEngine, here: Here, tmp_path: Path, most_tasks: int
) -> None:
    token, announced = await pool.account("ada"), replace(ANNOUNCED, most_tasks=most_tasks)
    async with asking_worker(here.address, "anna", tmp_path, announced=announced) as first:
        fitting = [f"t{number}" for number in range(most_tasks or ANNOUNCED.cpu_cores)]
        for name in fitting:
            assert (await pool.upload(token, name)).success
            await first.got(name)
        assert (await pool.upload(token, "more")).success
        async with asking_worker(here.address, "bert", tmp_path) as second:
            await second.got("more")
        assert [offer.task_id for offer, _ in first.offers] == fitting
        assert "anna" not in await pool.log(token, "more")
        await finished(pool, first, tmp_path, "t0")
        assert (await pool.upload(token, "next")).success
        await first.got("next")


async def test_a_worker_that_takes_nothing_new_asks_for_nothing_and_is_known(
    pool: PoolOnEngine, here: Here, tmp_path: Path
) -> None:
    token = await pool.account("ada")
    finishing = replace(ANNOUNCED, accepts=False)
    async with asking_worker(here.address, "anna", tmp_path, announced=finishing) as first:
        await first.shows(LinkState.REGISTERED)
        assert (await pool.upload(token, "t")).success
        async with asking_worker(here.address, "bert", tmp_path) as second:
            await second.got("t")
        assert first.offers == [] and "anna" not in await pool.log(token, "t")


async def test_what_a_worker_has_no_room_for_goes_back_before_its_archive_is_fetched_and_is_told(
    pool: PoolOnEngine, here: Here, tmp_path: Path
) -> None:
    token, asked = await pool.account("ada"), list[Resources]()

    def full(demand: Resources) -> Problem:
        asked.append(demand)
        return Problem(code=FaultCode.NO_ROOM, about="cpu")

    def never(_: Offer) -> Problem:
        raise AssertionError("its archive was fetched")

    async with asking_worker(here.address, "anna", tmp_path, refuses=never, objects=full):
        assert (await pool.upload(token, "t", cpu_score=150, memory_gb=2)).success

        async def given_back() -> bool:
            return "anna gave the task back" in await pool.log(token, "t")

        await until(given_back, 20)
        async with asking_worker(here.address, "bert", tmp_path) as second:
            await second.got("t")
    assert [(each.cpu, each.memory_gb) for each in asked] == [(150, 2)]


async def test_the_task_of_a_worker_that_is_cut_off_ends_on_another_with_the_story_of_both(
    pool: PoolOnEngine, here: Here, tmp_path: Path
) -> None:
    token = await pool.account("ada")
    async with asking_worker(here.address, "anna", tmp_path) as first:
        assert (await pool.upload(token, "t")).success
        await first.got("t")
    async with asking_worker(here.address, "bert", tmp_path) as second:
        await second.shows(LinkState.REGISTERED)
        assert not second.offers
        pool.pass_time(31)
        second.client.wake()
        await second.got("t")
        result = await finished(pool, second, tmp_path, "t")
    assert (await result_of(pool, token, "t")).result_zip == result
    told = await pool.log(token, "t")
    places = [
        told.index(each) for each in ("on anna.", "anna was not heard from", "on bert.", "Result of bert")
    ]
    assert places == sorted(places)


@pytest.mark.release
async def test_a_result_of_a_lost_worker_that_is_first_counts_and_the_other_is_told(
    pool: PoolOnEngine, here: Here, tmp_path: Path
) -> None:
    token = await pool.account("ada")
    async with asking_worker(here.address, "anna", tmp_path) as first:
        assert (await pool.upload(token, "t")).success
        await first.got("t")
        first.announced = None  # it falls silent, its connection stays
        async with asking_worker(here.address, "bert", tmp_path) as second:
            await second.shows(LinkState.REGISTERED)
            pool.pass_time(31)
            second.client.wake()
            await second.got("t")
            result = await finished(pool, first, tmp_path, "t")
            second.client.wake()
            await until(lambda: _stops(second))
            file = tmp_path / "late.zip"
            file.write_bytes(result_zip())
            late = await second.client.send_result(TaskId("t"), file)
            assert not late.delivered and not late.retry
        assert (await result_of(pool, token, "t")).result_zip == result


async def _stops(worker: AskingWorker) -> bool:
    return key_of(TaskId("t")) in worker.stops


async def test_what_one_worker_cannot_do_another_gets_with_the_reason_in_the_log(
    pool: PoolOnEngine, here: Here, tmp_path: Path
) -> None:
    token = await pool.account("ada")
    lacking = Problem(code=FaultCode.MISSING_PACKAGES, about="torch")
    async with asking_worker(here.address, "anna", tmp_path, refuses=lambda _: lacking):
        assert (await pool.upload(token, "t")).success

        async def given_back() -> bool:
            return "anna gave the task back" in await pool.log(token, "t")

        await until(given_back, 20)
        assert (await pool.task(token, "t")).status == "PENDING"
        async with asking_worker(here.address, "bert", tmp_path) as second:
            await second.got("t")
    told = await pool.log(token, "t")
    assert "torch" in told and told.count("gave the task back") == 1


async def test_a_task_that_nobody_can_do_fails_after_so_many_tries_with_the_last_reason(
    pool: PoolOnEngine,
) -> None:
    token = await pool.account("ada")
    await pool.upload(token, "t")
    key = key_of(TaskId("t"))
    for number in range(MOST_TRIES):
        node = replace(_NODE, node_id=f"n{number}")
        await pool.book.put_node(node)
        assert await pool.book.hand_out(node, anything, anything, 0.0) is not None
        assert await pool.book.hand_out(node, anything, anything, 0.0) is None
        await pool.book.take_back(key, node.node_id, f"reason {number}", 1.0, lost=True, refused=False)
    task = await pool.task(token, "t")
    assert task.status == "FAILED" and f"reason {MOST_TRIES - 1}" in task.message


async def test_a_stop_reaches_the_worker_and_what_it_then_sends_is_kept(
    pool: PoolOnEngine, here: Here, tmp_path: Path
) -> None:
    token = await pool.account("ada")
    async with asking_worker(here.address, "anna", tmp_path) as worker:
        assert (await pool.upload(token, "t")).success
        await worker.got("t")
        assert (await pool.requests.StopTask(pb.StopTaskRequest(task_id="t", token=token))).success
        await until(lambda: _stops(worker))
        result = await finished(pool, worker, tmp_path, "t")
        assert (await pool.task(token, "t")).status == "STOPPED"
        assert (await result_of(pool, token, "t")).result_zip == result


async def test_with_charging_the_requester_pays_a_worker_that_asks_by_the_minute(
    here: Here, tmp_path: Path
) -> None:
    pool = PoolOnEngine(tmp_path / "pool", here)
    pool.charges = True
    await pool.start()
    try:
        token = await pool.account("ada", 100)
        wages = await pool.account("anna", 0)
        async with asking_worker(here.address, "anna", tmp_path) as worker:
            assert (await pool.upload(token, "t", cpu_score=8, memory_gb=2)).success
            await worker.got("t")
            pool.clock.now += 60

            async def paid() -> bool:
                return await pool.balance("anna", wages) == 10

            await until(paid, 20)
            await finished(pool, worker, tmp_path, "t")
            assert await pool.balance("anna", wages) == 10
            assert await pool.balance("ada", token) == 90
    finally:
        await pool.stop()


async def test_an_account_of_a_workers_name_cannot_answer_for_the_worker_nor_take_its_place(
    pool: PoolOnEngine, here: Here, tmp_path: Path
) -> None:
    token = await pool.account("ada")
    async with asking_worker(here.address, "anna", tmp_path) as worker:
        assert (await pool.upload(token, "t")).success
        await worker.got("t")
        namesake = TinyWorker(pool, "anna")
        await pool.account("anna")
        await namesake.listen()
        await namesake.sign_in()
        assert not (await namesake.register()).success
        assert not (await namesake.send_output("t", "hello")).success
        assert not (await namesake.send_result("t", result_zip())).success
        await namesake.server.stop(None)


async def test_a_worker_that_asks_under_the_name_of_a_node_that_is_called_is_refused(
    pool: PoolOnEngine, here: Here, tmp_path: Path
) -> None:
    async with tiny_worker(pool, "wim"), asking_worker(here.address, "wim", tmp_path) as worker:
        view = await worker.shows(LinkState.UNREACHABLE)
        assert view.problem is not None and view.problem.code is FaultCode.POOL_REFUSED


async def test_what_is_no_request_is_answered_with_words_and_harms_nothing(
    pool: PoolOnEngine, here: Here, tmp_path: Path
) -> None:
    token = await pool.account("ada")
    await pool.upload(token, "t", cpu_score=1_000)
    client = await here.connect(lambda: None)
    assert not isinstance(client, Problem)
    requests = [
        b"",
        b"{",
        b"[]",
        b"null",
        b"1",
        b'{"key": 5}',
        b'{"announced": {}, "has": []}',
        b"\xff" * 100,
    ]
    for verb in ("beat", "output", "back", "archive", "result"):
        for data in requests:
            answer = await client.request(asks(WorkerId(name="eve", account="eve"), verb), data, timeout=10)
            assert b"problem" in answer.data, (verb, data)
    await client.close()
    assert (await pool.task(token, "t")).status == "PENDING"


async def test_a_paused_worker_is_given_nothing_and_without_a_server_it_says_so(
    pool: PoolOnEngine, here: Here, tmp_path: Path
) -> None:
    token = await pool.account("ada")
    async with asking_worker(here.address, "anna", tmp_path, announced=None) as worker:
        await worker.shows(LinkState.WAITING)
        assert (await pool.upload(token, "t")).success
        worker.announced = ANNOUNCED
        worker.client.wake()
        await worker.got("t")
        await here.end()
        view = await worker.shows(LinkState.UNREACHABLE)
        assert view.problem is not None
        sent = await worker.client.send_output(TaskId("t"), "x")
        assert not sent.delivered and sent.retry
        await here.start_again()
        await worker.shows(LinkState.REGISTERED, 40)


@pytest.mark.release
async def test_with_a_credential_over_tls_it_is_the_same_and_without_one_it_is_said(tmp_path: Path) -> None:
    async with running_server(tmp_path / "keys") as server:
        credential = await enrolled(server, "anna")
        file, pools_own = tmp_path / "anna.json", tmp_path / "pool.json"
        keep(file, credential)
        keep(pools_own, server.authority.for_pool(1 << 30))
        (address,) = server.authority.servers
        async with secure_pool(tmp_path / "pool", address, pools_own) as pool:
            token = await pool.account("ada")
            async with asking_worker(address, "anna", tmp_path, credential=file) as worker:
                assert (await pool.upload(token, "t")).success
                await worker.got("t")
                await finished(pool, worker, tmp_path, "t")
            async with asking_worker(address, "bert", tmp_path) as without:
                view = await without.shows(LinkState.NOT_LOGGED_IN)
                assert view.problem is not None and view.problem.code is FaultCode.BAD_CREDENTIAL
            async with asking_worker(address, "carl", tmp_path, credential=file) as impostor:
                await impostor.client._rest(2.0)  # it asks under a name that is not its own: nobody hears it
                assert impostor.client.view.link is not LinkState.REGISTERED
