"""What goes wrong with a pool on NATS, each with its words, on the real server; nothing is lost."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from hivemind_worker.model.faults import FaultCode, sentence
from hivemind_worker.model.snapshot import LinkState, PoolView
from hivemind_worker.model.task import Offer, Problem, TaskId, key_of
from hivemind_worker.pool.nats import engine, layout
from hivemind_worker.pool.nats.authority import Authority, make_authority
from hivemind_worker.pool.nats.book import NatsPoolBook
from hivemind_worker.pool.nats.credential import keep
from hivemind_worker.pool.nats.enrolment import tell_servers
from hivemind_worker.pool.nats.entrances import entrance
from hivemind_worker.pool.nats.layout import DAY_S, OPEN_S
from hivemind_worker.pool.nats.lost_tasks import OVERDUE_S
from hivemind_worker.pool.nats.patience import FIRST_S
from hivemind_worker.pool.nats.pool import EnginePool
from hivemind_worker.pool.nats.subjects import WorkerId, asks
from tests.contract.local_pool import until
from tests.drills.clocks import library
from tests.nats.cluster import cluster
from tests.nats.here import Here, PoolOnEngine, pool_on_engine, secure_pool, server_here
from tests.nats.server import enrolled, running_server
from tests.nats.stand import crowds, filling, sign_for
from tests.nats.worker import asking_worker

MIB = 1 << 20


@pytest.mark.release
async def test_a_full_server_says_so_and_what_is_there_stays_and_ends(tmp_path: Path) -> None:
    async with (
        server_here(tmp_path / "server", keep_bytes=4 * MIB) as here,
        pool_on_engine(tmp_path / "pool", here) as pool,
    ):
        token = await pool.account("ada")
        assert (await pool.upload(token, "small")).success
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await pool.upload(token, "large", b"x" * (6 * MIB))
        assert told.value.code() is grpc.StatusCode.UNAVAILABLE
        assert told.value.details() == "The pool's disk is full; try again later."
        async with asking_worker(here.address, "anna", tmp_path) as worker:
            await worker.got("small")
        assert await pool.book.task(key_of(TaskId("large"))) is None


@pytest.mark.slow
async def test_a_server_that_is_away_is_told_once_and_once_that_it_is_back_with_what_was_given_up(
    pool: PoolOnEngine, here: Here, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = await pool.account("ada")
    await pool.account("anna", 0)
    async with asking_worker(here.address, "anna", tmp_path) as worker:
        await worker.shows(LinkState.REGISTERED)
        caplog.set_level(logging.DEBUG, "hivemind_worker.pool")
        await here.end()
        for _ in range(7):
            with pytest.raises(grpc.aio.AioRpcError):
                await pool.upload(token, "t")
        await until(lambda: said(caplog, logging.DEBUG, "running tasks were not looked at"), 20)
        await here.start_again()
        await until(lambda: said(caplog, logging.WARNING, "is back after"), 20)
        assert (await pool.upload(token, "t")).success
        await worker.got("t")
    away, back = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert away.startswith("the pool's NATS server is away: nats://127.0.0.1:")
    assert re.fullmatch(r"the pool's NATS server is back after \d+\.\d s; 7 requests .*", back)
    assert await said(caplog, logging.DEBUG, "UploadTask given up")


async def test_a_server_that_answers_late_is_not_left_and_breaks_nothing(
    pool: PoolOnEngine, here: Here, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library's reader breaks at an answer to a question that was given up."""
    monkeypatch.setattr(engine, "MUTE_S", 0.3)
    token, before = await pool.account("ada"), pool.engine_pool.engine.client
    looks: list[bool] = []
    answers = engine.Engine._answers

    async def noted(of: engine.Engine) -> bool:
        looks.append(await answers(of))
        return looks[-1]

    monkeypatch.setattr(engine.Engine, "_answers", noted)
    here.process.send_signal(signal.SIGSTOP)
    await until(lambda: _any([each for each in looks if not each]), 20)
    here.process.send_signal(signal.SIGCONT)
    await until(lambda: _any(looks[-1:] if looks[-1] else []), 20)
    assert (await pool.upload(token, "t")).success
    assert pool.engine_pool.engine.client is before
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


async def test_a_worker_whose_account_nobody_made_is_told_of_once(
    pool: PoolOnEngine, here: Here, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = "anna works for nothing: the pool has no account anna to pay"
    async with asking_worker(here.address, "anna", tmp_path) as worker:
        await worker.shows(LinkState.REGISTERED)
        before = len(worker.views)
        worker.client.wake()  # says once more that it is here
        await until(lambda: more(worker.views, before), 20)
    assert [each.getMessage() for each in caplog.records].count(words) == 1


async def more(found: list[PoolView], before: int) -> bool:
    return len(found) > before


async def said(caplog: pytest.LogCaptureFixture, level: int, words: str) -> bool:
    return any(each.levelno == level and words in each.getMessage() for each in caplog.records)


async def test_a_result_with_too_many_pieces_is_refused_for_good_and_the_task_stays(
    pool: PoolOnEngine, here: Here, tmp_path: Path
) -> None:
    token = await pool.account("ada")
    async with asking_worker(here.address, "anna", tmp_path) as worker:
        await pool.upload(token, "t")
        await worker.got("t")
        client = await here.connect(lambda: None)
        assert not isinstance(client, Problem)
        headers = {
            "Hivemind-Key": key_of(TaskId("t")), "Hivemind-Digest": hashlib.sha256(b"x").hexdigest(),
            "Hivemind-Number": "0", "Hivemind-Pieces": "100000",
        }  # fmt: skip
        subject = asks(WorkerId(name="anna", account="anna"), "result")
        answer = json.loads((await client.request(subject, b"x", timeout=10, headers=headers)).data)
        await client.close()
        assert answer == {"problem": "The result archive is larger than 100 MiB.", "retry": False}
        assert (await pool.task(token, "t")).status == "RUNNING"


@pytest.mark.release
async def test_the_task_of_a_worker_that_is_shut_out_while_it_works_goes_to_another(tmp_path: Path) -> None:
    async with running_server(tmp_path / "keys") as server:
        pools_own, (address,) = tmp_path / "pool.json", server.authority.servers
        keep(pools_own, server.authority.for_pool())
        for name in ("anna", "bert"):
            keep(tmp_path / f"{name}.json", await enrolled(server, name))
        async with (
            secure_pool(tmp_path / "pool", address, pools_own) as pool,
            asking_worker(address, "anna", tmp_path, credential=tmp_path / "anna.json") as anna,
        ):
            token = await pool.account("ada")
            await pool.upload(token, "t")
            await anna.got("t")
            server.authority.revoke("anna")
            assert await tell_servers(server.authority) is None
            view = await anna.shows(LinkState.LOGIN_REFUSED)
            assert view.problem is not None and view.problem.code is FaultCode.CREDENTIAL_REFUSED
            assert not (await anna.client.send_output(TaskId("t"), "still here")).delivered
            async with asking_worker(address, "bert", tmp_path, credential=tmp_path / "bert.json") as bert:
                await bert.shows(LinkState.REGISTERED)
                pool.pass_time(31)
                bert.client.wake()
                await bert.got("t")
            other = make_authority(tmp_path / "other", [address], time.time)
            assert isinstance(other, Authority)
            sign_for(other, ["carl"], tmp_path)
            async with asking_worker(address, "carl", tmp_path, credential=tmp_path / "carl.json") as carl:
                view = await carl.shows_trouble()
                assert view.problem is not None and view.problem.code is FaultCode.NOT_THE_POOL


async def test_a_worker_that_is_always_busy_after_all_does_not_get_the_same_task_at_once_again(
    pool: PoolOnEngine, here: Here, tmp_path: Path
) -> None:
    asked: list[float] = []

    def busy(_: Offer) -> Problem:
        asked.append(time.monotonic())
        return Problem(code=FaultCode.NO_ROOM)

    token = await pool.account("ada")
    async with asking_worker(here.address, "liar", tmp_path, refuses=busy) as liar:
        await pool.upload(token, "t")
        await until(lambda: _any(asked))
        async with asking_worker(here.address, "anna", tmp_path) as honest:
            await honest.got("t")
        assert len(asked) == 1
        pool.pass_time(FIRST_S + 31)  # the honest one is lost: the other may be asked once more
        liar.client.wake()
        await until(lambda: _any(asked[1:]))


async def _any(found: list[float]) -> bool:
    return bool(found)


async def test_a_task_that_is_given_back_for_ever_fails_with_the_last_reason(
    pool: PoolOnEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hivemind_worker.pool.nats import book
    from tests.nats.stand import anything
    from tests.nats.test_pull_client import _NODE

    monkeypatch.setattr(book, "MOST_BACK", 3)
    token = await pool.account("ada")
    await pool.upload(token, "t")
    key, node = key_of(TaskId("t")), replace(_NODE, node_id="n")
    await pool.book.put_node(node)
    for number in range(3):
        assert await pool.book.hand_out(node, anything, anything, 0.0) is not None
        await pool.book.take_back(key, "n", f"busy {number}", 1.0, lost=False, refused=False)
    task = await pool.task(token, "t")
    assert task.status == "FAILED" and "Tried 3 times" in task.message and "busy 2" in task.message


async def test_a_task_that_nobody_takes_ends_with_words_before_it_would_vanish(
    pool: PoolOnEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert OPEN_S < layout.KEPT_S - 7 * DAY_S
    token = await pool.account("ada")
    pool.clock.now = time.time()
    await pool.upload(token, "old")
    now_s = await pool.engine_pool.engine.now_s()
    for days, status in ((59, "PENDING"), (61, "FAILED")):

        async def later(days: int = days) -> float:
            return now_s + days * DAY_S

        monkeypatch.setattr(pool.engine_pool.engine, "now_s", later)
        pool.monotonic.now += OVERDUE_S
        await pool.engine_pool.desk.lost.look_for_overdue()
        assert (await pool.task(token, "old")).status == status
    assert "No worker took it within 60 days." in await pool.log(token, "old")
    assert await pool.archives_kept() == []


@pytest.mark.release
@pytest.mark.parametrize("apart", ["+7h", "-7h"])
async def test_a_worker_whose_clock_is_hours_wrong_works_like_any_other(tmp_path: Path, apart: str) -> None:
    assert library(), "libfaketime is among the packages of the tests"
    async with running_server(tmp_path / "keys") as server:
        pools_own, (address,) = tmp_path / "pool.json", server.authority.servers
        keep(pools_own, server.authority.for_pool())
        sign_for(server.authority, ["w0", "w1"], tmp_path / "workers")
        async with (
            secure_pool(tmp_path / "pool", address, pools_own),
            filling(address, tmp_path / "in-use", pools_own) as fill,
            crowds() as crowd,
        ):
            skewed = {"LD_PRELOAD": library(), "FAKETIME": apart}
            await crowd.start(address, tmp_path / "workers", 0, 2, env=skewed)
            assert abs(crowd.clock_s - time.time()) > 6 * 3600
            names = [f"t{number}" for number in range(6)]
            await fill.put(names)
            async with asyncio.timeout(30):
                await fill.ended(names)
                await crowd.until(lambda: len(crowd.accepted) == len(names))


async def test_a_server_that_goes_away_while_a_pool_process_starts_is_told_as_that(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = NatsPoolBook.signing_key

    async def after_the_end(book: NatsPoolBook) -> bytes:
        await here.end()
        return await key(book)

    monkeypatch.setattr(NatsPoolBook, "signing_key", after_the_end)
    problem = await EnginePool(here.connect, tmp_path / "starts", "127.0.0.1:0").start()
    assert isinstance(problem, Problem) and problem.code is FaultCode.SERVER_UNREACHABLE


@pytest.mark.release
async def test_a_cluster_without_quorum_says_so_loses_nothing_and_goes_on_when_the_others_are_back(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path / "owner") as servers:
        connect = entrance(servers.addresses[0], servers.credential)
        assert not isinstance(connect, Problem)

        async def started() -> EnginePool | None:
            made = EnginePool(connect, tmp_path / "a", "127.0.0.1:0", replicas=3)
            return made if isinstance(await made.start(), str) else None

        running = await until(started, 60)  # a new cluster takes a while to agree
        try:
            assert await running.book.add_account("ada", b"salt", b"digest", 7)
            await servers.kill(1)
            await servers.kill(2)
            with pytest.raises(OSError, match="NATS server"):
                await running.book.add_account("bert", b"salt", b"digest", 7)
            late = EnginePool(connect, tmp_path / "b", "127.0.0.1:0", replicas=3)
            problem = await late.start()
            assert isinstance(problem, Problem) and problem.code is FaultCode.NO_QUORUM
            assert "keeps nothing at present" in sentence(problem.code, problem.about)
            await servers.start(1)

            async def account() -> object:
                try:
                    return await running.book.account("ada")
                except OSError:
                    return None

            found = await until(account, 60)
            assert found.balance == 7
        finally:
            await running.close()


async def test_what_is_removed_gives_its_room_back_however_much_has_passed_through(tmp_path: Path) -> None:
    async with (
        server_here(tmp_path / "server", keep_bytes=4 * MIB) as here,
        pool_on_engine(tmp_path / "pool", here) as pool,
    ):
        archives = pool.engine_pool.desk._archives
        key = key_of(TaskId("t"))
        for _ in range(6):  # twice what the server may keep
            await archives._send(key, "task", "n", memoryview(b"x" * (MIB + MIB // 2)))
            await archives._remove(key, "task", "n", range(3))
        assert await pool.archives_kept() == []


async def test_a_copy_of_the_servers_folder_brings_everything_back(here: Here, tmp_path: Path) -> None:
    async with pool_on_engine(tmp_path / "a", here) as pool:
        await pool.account("ada", 70)
    kept = here.config.parent / "jetstream"
    await here.end()
    shutil.copytree(kept, tmp_path / "copy")
    shutil.rmtree(kept)
    shutil.copytree(tmp_path / "copy", kept)
    await here.start_again()
    async with pool_on_engine(tmp_path / "b", here) as pool:
        found = await pool.book.account("ada")
        assert found is not None and found.balance == 70
