"""The embedded pool at work: offers, output, results, stops, silence, pay, restarts, large archives."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hivemind_worker.model.task import TaskId, key_of
from hivemind_worker.pool.local import dispatch, task_log
from hivemind_worker.pool.local.dispatch import FIRST_LOOKED_AT
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from tests.contract.local_pool import (
    PASSWORD,
    Pool,
    TinyWorker,
    result_zip,
    running_pool,
    tiny_worker,
    until,
    zipped,
)

import grpc  # isort: skip
import grpc.aio  # isort: skip


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[Pool]:
    async with running_pool(tmp_path / "pool") as running:
        yield running


async def fetched(pool: Pool, token: str, task_id: str) -> Any:
    return await pool.requests.GetTaskResult(pb.GetTaskResultRequest(task_id=task_id, token=token))


async def stop(pool: Pool, token: str, task_id: str) -> Any:
    return await pool.requests.StopTask(pb.StopTaskRequest(task_id=task_id, token=token))


async def count(worker: TinyWorker, offers: int, limit_s: float = 5.0) -> None:
    """Wait until the worker was offered so many tasks."""

    async def enough() -> bool:
        return len(worker.offers) >= offers

    await until(enough, limit_s)


# dispatch


async def test_a_task_is_offered_at_once_with_its_archive_and_demand(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim", gpu_score=50, gpu_memory_gb=9) as worker:
        began = time.monotonic()
        archive = zipped(main_py="print(7)")
        demand = {"cpu_score": 200, "memory_gb": 3, "gpu_score": 40, "gpu_memory_gb": 5}
        assert (await pool.upload(token, "t ü/1", archive, **demand)).success
        await worker.offered.wait()
        at, offer = worker.offers[0]
        assert at - began < 0.5
        assert (offer.task_id, offer.task_zip) == ("t ü/1", archive)
        assert (offer.cpu_usage, offer.memory_gb, offer.gpu_usage, offer.gpu_memory_gb) == (200, 3, 40, 5)
        task = await pool.until(token, "t ü/1", "RUNNING")
        assert task.worker_ip == "wim"


async def test_a_waiting_task_is_offered_at_once_to_a_node_that_registers(pool: Pool) -> None:
    token = await pool.account("ada")
    await pool.upload(token, "t")
    began = time.monotonic()
    async with tiny_worker(pool, "wim") as worker:
        await pool.until(token, "t", "RUNNING")
    # Half a second after the registration; the password of the new account takes its share before.
    assert worker.offers[0][0] - began < 1.0


async def test_a_refused_task_is_offered_again_after_a_second_then_later_and_later(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim") as worker:
        worker.answer = worker.refuse
        await pool.upload(token, "t")
        await count(worker, 1)
        assert (await pool.task(token, "t")).status == "PENDING"
        for wait_s, offers in ((1.0, 2), (2.0, 3), (4.0, 4), (8.0, 5), (10.0, 6), (10.0, 7)):
            await asyncio.sleep(0.05)
            pool.monotonic.now += wait_s - 0.1
            await pool.look_round()
            assert len(worker.offers) == offers - 1, "offered before its time"
            pool.monotonic.now += 0.2
            await pool.look_round()
            await count(worker, offers)
            pool.clock.now += 1
            await worker.register()
        worker.answer = worker.accept
        pool.monotonic.now += 11
        await pool.look_round()
        await pool.until(token, "t", "RUNNING")
        assert "no room" in await pool.log(token, "t")
        assert (await pool.log(token, "t")).count("no room") == 1


async def test_a_task_that_one_node_refuses_goes_to_another_at_once(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "anna") as first, tiny_worker(pool, "bert") as second:
        first.answer = first.refuse
        began = time.monotonic()
        await pool.upload(token, "t")
        task = await pool.until(token, "t", "RUNNING")
        assert task.worker_ip == "bert" and len(first.offers) == len(second.offers) == 1
        assert second.offers[0][0] - began < 0.5


async def test_tasks_are_spread_over_nodes_and_fill_them_up_to_what_they_announced(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "anna", cpu_score=200) as a, tiny_worker(pool, "bert", cpu_score=200) as b:
        for number in range(6):
            await pool.upload(token, f"t{number}", cpu_score=100, memory_gb=1)
            if number < 4:
                await pool.until(token, f"t{number}", "RUNNING")
        assert {len(a.offers), len(b.offers)} == {2}
        states = [(await pool.task(token, f"t{n}")).status for n in range(6)]
        assert states == ["RUNNING"] * 4 + ["PENDING"] * 2
        freed = a.offers[0][1].task_id
        assert (await a.send_result(freed, result_zip())).success
        await pool.until(token, "t4", "RUNNING")
        assert (await pool.task(token, "t4")).worker_ip == "anna"


async def test_a_task_too_large_for_every_node_is_not_offered_until_one_grows(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim", memory_gb=8) as worker:
        await pool.upload(token, "big", memory_gb=9)
        await pool.upload(token, "small", memory_gb=1)
        await pool.until(token, "small", "RUNNING")
        assert [each.task_id for _, each in worker.offers] == ["small"]
        await worker.register(memory_gb=16)
        await pool.until(token, "big", "RUNNING")


@pytest.mark.parametrize(
    "asked, suits", [("", True), ("Any", True), ("any", True), ("RTX 4090", True), ("A100", False)]
)
async def test_a_gpu_name_must_match_unless_any_will_do(pool: Pool, asked: str, suits: bool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim", gpu_name="RTX 4090", gpu_score=10) as worker:
        await pool.upload(token, "gpu", gpu_name=asked)
        await pool.upload(token, "plain")
        await pool.until(token, "plain", "RUNNING")
        assert ("gpu" in [each.task_id for _, each in worker.offers]) is suits


async def test_a_node_is_offered_nothing_when_its_heartbeat_is_older_than_thirty_seconds(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim") as worker:
        pool.pass_time(29.9)
        await pool.upload(token, "in-time")
        await pool.until(token, "in-time", "RUNNING")
        pool.pass_time(0.2)
        await pool.upload(token, "late")
        async with tiny_worker(pool, "other"):
            assert (await pool.until(token, "late", "RUNNING")).worker_ip == "other"
        assert len(worker.offers) == 1


async def test_status_reports_keep_a_node_eligible(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim") as worker:
        pool.pass_time(25)
        header = (("authorization", f"Bearer {worker.token}"),)
        await pool.nodes.ReportStatus(pb.RunningStatusRequest(node_id="wim", status="Idle"), metadata=header)
        pool.pass_time(25)
        await pool.upload(token, "t")
        await pool.until(token, "t", "RUNNING")


async def test_an_unreachable_node_delays_nobody(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "anna") as gone:
        await gone.server.stop(None)
        await pool.upload(token, "first")
        async with tiny_worker(pool, "bert") as here:
            began = time.monotonic()
            await pool.upload(token, "second", cpu_score=1)
            await pool.until(token, "second", "RUNNING")
            assert here.offers[0][0] - began < 0.5
            await pool.until(token, "first", "RUNNING")
        assert "not reachable" in await pool.log(token, "first")


async def test_a_lost_answer_is_cleared_up_with_the_same_node_first(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "anna") as first, tiny_worker(pool, "bert") as second:
        original = first.ExecuteTask

        async def cut_off(request: Any, context: Any) -> Any:
            if not first.offers:
                await original(request, context)
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the line was cut")
            return await original(request, context)

        first.answer = first.accept
        await first.server.stop(None)
        first.ExecuteTask = cut_off  # type: ignore[method-assign]
        await first.listen()
        await first.register()
        await pool.upload(token, "t")
        await count(first, 1)
        await asyncio.sleep(0.1)
        assert (await pool.task(token, "t")).status == "PENDING" and not second.offers
        pool.monotonic.now += 1.1
        await pool.look_round()
        task = await pool.until(token, "t", "RUNNING")
        assert task.worker_ip == "anna" and len(first.offers) == 2 and not second.offers


async def test_a_full_node_is_not_flooded_with_every_waiting_task(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim") as worker:
        taken: list[str] = []

        async def one_at_a_time(request: Any) -> tuple[bool, str]:
            if taken:
                return False, "full"
            taken.append(request.task_id)
            return True, ""

        worker.answer = one_at_a_time
        for number in range(40):
            await pool.upload(token, f"t{number}")
        for ended in range(40):
            await until(lambda: _of(taken), 10)
            task_id = taken[0]
            await pool.until(token, task_id, "RUNNING")
            taken.clear()
            assert (await worker.send_result(task_id, result_zip())).success, ended
        assert len(worker.offers) < 40 * 4  # each offer carries an archive


async def _of(found: list[str]) -> bool:
    return bool(found)


async def test_who_has_waited_longest_comes_first_whatever_the_tasks_ask_for(pool: Pool) -> None:
    token = await pool.account("ada")
    for number in range(27):
        await pool.upload(token, f"t{number}", cpu_score=100, memory_gb=1 + number % 3)
        pool.clock.now += 1
    async with tiny_worker(pool, "wim", cpu_score=100) as worker:
        for number in range(27):
            await count(worker, number + 1)
            task_id = worker.offers[number][1].task_id
            assert task_id == f"t{number}"
            await pool.until(token, task_id, "RUNNING")
            assert (await worker.send_result(task_id, result_zip())).success


async def test_of_many_tasks_that_fit_all_are_handed_out(pool: Pool) -> None:
    token = await pool.account("ada")
    for number in range(70):
        await pool.upload(token, f"t{number}", cpu_score=1)
    async with tiny_worker(pool, "wim", memory_gb=100) as worker:
        await count(worker, 70)
        assert len({each.task_id for _, each in worker.offers}) == 70


async def test_tasks_that_a_node_has_just_refused_hold_up_none_of_those_behind_them(pool: Pool) -> None:
    token = await pool.account("ada")
    refused = [f"refused {number}" for number in range(3 * FIRST_LOOKED_AT)]
    async with tiny_worker(pool, "wim", cpu_score=100, memory_gb=100) as worker:
        assert pool.local._dispatch is not None
        for name in refused:
            pool.local._dispatch._patience.tried(key_of(TaskId(name)), "wim")
        for name in (*refused, "behind them"):
            await pool.upload(token, name, cpu_score=1)
        await pool.until(token, "behind them", "RUNNING")
        assert [each.task_id for _, each in worker.offers] == ["behind them"]
        pool.monotonic.now += 1.1
        await pool.look_round()
        await count(worker, 1 + len(refused))


async def test_archives_too_large_to_be_on_their_way_together_wait_and_smaller_ones_do_not(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "BYTES_ON_THEIR_WAY", 3000)
    token, large = await pool.account("ada"), zipped(main_py="#" * 2000)
    for number in range(2 * FIRST_LOOKED_AT):
        await pool.upload(token, f"large {number}", large, cpu_score=1)
        pool.clock.now += 1
    await pool.upload(token, "small", cpu_score=2)
    async with tiny_worker(pool, "wim", cpu_score=0) as worker:
        go_on = asyncio.Event()

        async def slowly(_request: Any) -> tuple[bool, str]:
            await go_on.wait()
            return True, ""

        worker.answer = slowly
        await worker.register(memory_gb=100)
        await count(worker, 2)
        assert {each.task_id for _, each in worker.offers} == {"large 0", "small"}
        go_on.set()
        await count(worker, 2 * FIRST_LOOKED_AT + 1)


# output


async def test_output_reaches_the_requester_in_order_with_line_ends_only_where_missing(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim") as worker:
        await pool.upload(token, "t")
        await pool.until(token, "t", "RUNNING")
        for text in ("one", "two\n", "three\n\nfour", "", "五\x00\x1b[2J"):
            assert (await worker.send_output("t", text)).success
        log = await pool.log(token, "t")
        assert log.endswith("one\ntwo\nthree\n\nfour\n五\x00\x1b[2J\n")
        assert "[system] Running on wim.\n" in log


async def test_lines_sent_at_the_same_time_are_all_kept_whole(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim") as worker:
        await pool.upload(token, "t")
        await pool.until(token, "t", "RUNNING")
        await asyncio.gather(*(worker.send_output("t", f"line {n}") for n in range(200)))
        lines = [line for line in (await pool.log(token, "t")).splitlines() if "system" not in line]
        assert sorted(lines) == sorted(f"line {n}" for n in range(200))


async def test_the_log_keeps_its_last_mebibyte_and_says_how_much_is_gone(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim") as worker:
        await pool.upload(token, "t")
        await pool.until(token, "t", "RUNNING")
        before = len((await pool.log(token, "t")).encode())
        block = "".join(f"{n:07} ä€𝄞\n" for n in range(6000))
        for _ in range(30):
            assert (await worker.send_output("t", block)).success
        call = pool.requests.GetTasklog(pb.TasklogRequest(task_id="t", token=token))
        log = (await call).log
        cut = int(dict(await call.trailing_metadata())["hivemind-log-cut-bytes"])
        size = len(log.encode())
        assert task_log.LOG_BYTES <= size <= task_log.LOG_BYTES + 16 * 1024
        assert cut + size == before + 30 * len(block.encode())
        assert (block * 2).endswith(log[-len(block) :])
        pages = sum(each.stat().st_size for each in pool.folder.glob("book.sqlite3*"))
        assert pages < 16 * 2**20


async def test_output_of_a_task_that_the_caller_does_not_hold_is_refused(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim"), tiny_worker(pool, "eve", cpu_score=0) as eve:
        await pool.upload(token, "t", cpu_score=1)
        await pool.until(token, "t", "RUNNING")
        for bad_token in (eve.token, token):
            answer = await eve.send_output("t", "[system] forged", bad_token)
            assert not answer.success and answer.message
        assert not (await eve.send_output("unknown", "x")).success
        assert "forged" not in await pool.log(token, "t")


# results


@pytest.mark.parametrize(
    "archive, state",
    [
        (result_zip("COMPLETED"), "COMPLETED"),
        (result_zip("FAILED"), "FAILED"),
        (result_zip("STOPPED"), "STOPPED"),
        (zipped(execution_log_txt="Status = failed\n"), "FAILED"),
        (zipped(execution_log_txt="this status: FAILED is in the middle"), "COMPLETED"),
        (zipped(out_txt="no log at all"), "COMPLETED"),
        (zipped(execution_log_txt="\n" * 70_000 + "status: FAILED"), "COMPLETED"),
        (b"no zip", "COMPLETED"),
        (result_zip("FAILED")[:-9], "COMPLETED"),
        (b"PK\x05\x06" + bytes(18), "COMPLETED"),
    ],
)
async def test_a_result_ends_the_task_with_what_its_execution_log_says(
    pool: Pool, archive: bytes, state: str
) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim") as worker:
        await pool.upload(token, "t")
        await pool.until(token, "t", "RUNNING")
        assert (await worker.send_result("t", archive)).success
        assert (await pool.task(token, "t")).status == state
        result = await fetched(pool, token, "t")
        assert result.success and result.result_zip == archive
        assert await pool.archives_kept() == [archive]  # the task's own is not needed any more


@pytest.mark.parametrize(
    "log, message",
    [
        (
            "Status: FAILED\nReason: The task's program ended with exit code 3. (exit_code)\n",
            "The worker reports that the task failed: The task's program ended with exit code 3.",
        ),
        ("Status: FAILED\n", "The worker reports that the task failed; see its log."),
        ("Status: FAILED\nReason:   \nNode: y\n", "The worker reports that the task failed; see its log."),
        ("Status: FAILED\nNo reason: at all\n", "The worker reports that the task failed; see its log."),
        (
            "Status: STOPPED\nReason: Stopped by the owner of the computer it ran on.\n",
            "The worker reports: Stopped by the owner of the computer it ran on.",
        ),
        ("Status: STOPPED\n", "The worker reports that the task was stopped."),
        ("Status: COMPLETED\nReason: to boast\n", "Completed."),
        (
            "Status: FAILED\nReason: \x1b[31mred\x07\u202egpj.exe\x85<b>bold</b> (not_a_code)\n",
            "The worker reports that the task failed: [31mred gpj.exe <b>bold</b> (not_a_code)",
        ),
        (
            "Status: FAILED\nReason: " + "long " * 10_000,
            "The worker reports that the task failed: " + ("long " * 40)[:199] + "…",
        ),
    ],
)
async def test_a_requester_is_told_the_workers_reason_in_one_clean_line(
    pool: Pool, log: str, message: str
) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim") as worker:
        await pool.upload(token, "t")
        await pool.until(token, "t", "RUNNING")
        assert (await worker.send_result("t", zipped(execution_log_txt=log))).success
        assert (await pool.task(token, "t")).message == message


async def test_one_result_is_kept_however_often_it_comes(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim") as worker:
        await pool.upload(token, "t")
        await pool.until(token, "t", "RUNNING")
        answers = await asyncio.gather(*(worker.send_result("t", result_zip()) for _ in range(8)))
        assert all(each.success for each in answers)
        other = await worker.send_result("t", result_zip("FAILED"))
        assert not other.success and other.message
        assert (await pool.task(token, "t")).status == "COMPLETED"
        assert (await fetched(pool, token, "t")).result_zip == result_zip()
        assert await pool.balance("wim", worker.token) == 1


async def test_of_racing_different_results_one_is_kept(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim") as worker:
        await pool.upload(token, "t")
        await pool.until(token, "t", "RUNNING")
        archives = [zipped(out_txt=str(n)) for n in range(8)]
        answers = await asyncio.gather(*(worker.send_result("t", each) for each in archives))
        (winner,) = [each for each, answer in zip(archives, answers, strict=True) if answer.success]
        assert (await fetched(pool, token, "t")).result_zip == winner


async def test_results_from_others_and_empty_ones_are_refused(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim") as worker, tiny_worker(pool, "eve", cpu_score=0) as eve:
        await pool.upload(token, "t", cpu_score=1)
        await pool.until(token, "t", "RUNNING")
        for answer in (
            await eve.send_result("t", result_zip()),
            await worker.send_result("t", result_zip(), token),
            await worker.send_result("t", result_zip(), ""),
            await worker.send_result("t", b""),
            await worker.send_result("unknown", result_zip()),
        ):
            assert not answer.success and answer.message
        assert (await pool.task(token, "t")).status == "RUNNING"


async def test_a_result_that_comes_before_the_offer_was_answered_is_not_lost(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim") as worker:

        async def fast(request: Any) -> tuple[bool, str]:
            assert (await worker.send_output(request.task_id, "early")).success
            assert (await worker.send_result(request.task_id, result_zip())).success
            return True, ""

        worker.answer = fast
        await pool.upload(token, "t")
        await pool.until(token, "t", "COMPLETED")
        await asyncio.sleep(0.1)  # the answer to the offer is written meanwhile
        task = await pool.task(token, "t")
        assert (task.status, task.worker_ip) == ("COMPLETED", "wim")
        assert "early" in await pool.log(token, "t") and len(worker.offers) == 1


async def test_a_node_that_refused_does_not_hold_the_task(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim") as worker:
        worker.answer = worker.refuse
        await pool.upload(token, "t")

        async def noted() -> bool:
            return "no room" in await pool.log(token, "t")

        await until(noted)
        assert not (await worker.send_result("t", result_zip())).success


async def test_two_nodes_of_one_account_each_hold_their_own_tasks(pool: Pool) -> None:
    token = await pool.account("ada")
    async with (
        tiny_worker(pool, "wim", cpu_score=1) as first,
        tiny_worker(pool, "wim", "cellar", cpu_score=1) as second,
    ):
        await pool.upload(token, "a", cpu_score=1)
        await pool.upload(token, "b", cpu_score=1)
        held = {(await pool.until(token, each, "RUNNING")).worker_ip for each in "ab"}
        assert held == {"wim", "cellar"}
        for worker in (first, second):
            assert (await worker.send_result(worker.offers[0][1].task_id, result_zip())).success


# stops


async def test_stop_tells_the_worker_and_keeps_what_it_then_sends(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim") as worker:
        await pool.upload(token, "t")
        await pool.until(token, "t", "RUNNING")
        assert (await stop(pool, token, "t")).success
        assert (await pool.task(token, "t")).status == "STOPPED"
        await until(lambda: _of(worker.stops))
        assert worker.stops == ["t"]
        assert (await worker.send_output("t", "last words")).success
        assert (await worker.send_result("t", result_zip("COMPLETED"))).success
        assert (await pool.task(token, "t")).status == "STOPPED"
        assert (await fetched(pool, token, "t")).result_zip == result_zip("COMPLETED")
        assert "last words" in await pool.log(token, "t")
        assert await pool.balance("wim", worker.token) == 0
        assert not (await stop(pool, token, "t")).success


async def test_a_task_stopped_while_its_offer_is_on_its_way_is_stopped_at_the_worker(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim", cpu_score=0) as worker:
        go_on = asyncio.Event()

        async def slow(_request: Any) -> tuple[bool, str]:
            await go_on.wait()
            return True, ""

        worker.answer = slow
        await pool.upload(token, "t")
        await count(worker, 1)
        assert (await stop(pool, token, "t")).success
        go_on.set()
        await until(lambda: _of(worker.stops))
        assert (await pool.task(token, "t")).status == "STOPPED"
        assert (await worker.send_result("t", result_zip("STOPPED"))).success


async def test_a_worker_that_is_away_hears_of_the_stop_when_it_is_back_even_after_a_restart(
    pool: Pool,
) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim") as worker:
        await pool.upload(token, "t")
        await pool.until(token, "t", "RUNNING")
        await worker.server.stop(None)
        assert (await stop(pool, token, "t")).success
        await pool.restart()
        await worker.listen()
        await worker.register()
        await until(lambda: _of(worker.stops), 15)
        assert worker.stops == ["t"]


# silence


async def test_a_task_fails_after_a_minute_of_silence_and_a_late_result_completes_it(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim") as worker:
        await pool.upload(token, "t")
        await pool.until(token, "t", "RUNNING")
        pool.pass_time(59)
        await asyncio.sleep(1.2)  # one look of the watch
        assert (await pool.task(token, "t")).status == "RUNNING"
        pool.pass_time(2)
        task = await pool.until(token, "t", "FAILED")
        assert "60 s" in task.message
        assert (await worker.send_result("t", result_zip())).success
        task = await pool.task(token, "t")
        assert (task.status, task.message) == ("COMPLETED", "Completed.")
        assert len(worker.offers) == 1


async def test_a_corrected_wall_clock_fails_no_task(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim"):
        await pool.upload(token, "t")
        await pool.until(token, "t", "RUNNING")
        pool.clock.now += 3000
        await asyncio.sleep(1.2)
        assert (await pool.task(token, "t")).status == "RUNNING"


# pay


async def test_a_completed_task_earns_what_it_asked_for_and_costs_nobody(pool: Pool) -> None:
    token = await pool.account("ada", 0)
    async with tiny_worker(pool, "wim", gpu_score=500, gpu_memory_gb=8) as worker:
        earned = 0
        for task_id, demand, pay in (
            ("a", {}, 1),
            ("b", {"cpu_score": 250}, 2),
            ("c", {"cpu_score": 200, "memory_gb": 3, "gpu_score": 100, "gpu_memory_gb": 4}, 10),
        ):
            await pool.upload(token, task_id, **demand)
            await pool.until(token, task_id, "RUNNING")
            assert (await worker.send_result(task_id, result_zip())).success
            earned += pay
            assert await pool.balance("wim", worker.token) == earned
        await pool.upload(token, "failed", cpu_score=300)
        await pool.until(token, "failed", "RUNNING")
        assert (await worker.send_result("failed", result_zip("FAILED"))).success
        assert await pool.balance("wim", worker.token) == earned
        assert await pool.balance("ada", token) == 0


async def test_with_charging_the_requester_pays_each_full_minute_until_the_money_is_gone(
    tmp_path: Path,
) -> None:
    async with running_pool(tmp_path, charges=True) as pool:
        token = await pool.account("ada", 25)
        async with tiny_worker(pool, "wim") as worker:
            await pool.upload(token, "t", cpu_score=8, memory_gb=2)
            await pool.until(token, "t", "RUNNING")

            async def paid(amount: int) -> None:
                async def moved() -> bool:
                    return await pool.balance("wim", worker.token) == amount

                await until(moved)

            for minute in (1, 2):
                pool.clock.now += 60
                await paid(10 * minute)
            assert await pool.balance("ada", token) == 5
            pool.clock.now += 60
            task = await pool.until(token, "t", "STOPPED")
            assert "balance" in task.message
            await until(lambda: _of(worker.stops))
            assert (await worker.send_result("t", result_zip("STOPPED"))).success
            assert await pool.balance("ada", token) == 5
            assert await pool.balance("wim", worker.token) == 20


# restarts


async def test_a_running_task_goes_on_over_a_restart_of_the_pool(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim") as worker:
        await pool.upload(token, "t")
        await pool.until(token, "t", "RUNNING")
        await worker.send_output("t", "before")
        await pool.stop()
        pool.pass_time(3000)  # nobody could be heard in that time: it does not count as silence
        await pool.start()
        await asyncio.sleep(1.2)
        assert (await pool.task(token, "t")).status == "RUNNING"
        assert (await worker.send_output("t", "after")).success
        assert (await worker.send_result("t", result_zip())).success
        assert (await pool.task(token, "t")).status == "COMPLETED"
        log = await pool.log(token, "t")
        assert log.index("before") < log.index("after")
        assert len(worker.offers) == 1


async def test_a_pool_that_dies_between_offer_and_answer_asks_the_same_node_again(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "anna") as first, tiny_worker(pool, "bert", cpu_score=10**6) as second:
        hanging = asyncio.Event()

        async def hang(_request: Any) -> tuple[bool, str]:
            hanging.set()
            await asyncio.Event().wait()
            raise AssertionError

        for worker in (first, second):
            worker.answer = hang
        await pool.upload(token, "t")
        await hanging.wait()
        asked = first if first.offers else second
        await pool.stop()
        for worker in (first, second):
            worker.answer = worker.accept
        await pool.start()
        task = await pool.until(token, "t", "RUNNING")
        assert task.worker_ip == asked.node_id and len(asked.offers) == 2
        assert len(first.offers) + len(second.offers) == 2


async def test_a_result_sent_again_after_a_restart_is_the_same_success(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim") as worker:
        await pool.upload(token, "t")
        await pool.until(token, "t", "RUNNING")
        assert (await worker.send_result("t", result_zip())).success
        await pool.restart()
        assert (await worker.send_result("t", result_zip())).success
        assert not (await worker.send_result("t", result_zip("FAILED"))).success


async def test_a_task_whose_archive_is_gone_fails_with_words(pool: Pool) -> None:
    token = await pool.account("ada")
    await pool.upload(token, "t")
    await pool.lose_archives()
    async with tiny_worker(pool, "wim") as worker:
        task = await pool.until(token, "t", "FAILED")
        assert "gone" in task.message and not worker.offers


# large archives

POOL_ALONE = """
import asyncio, sys, time
from pathlib import Path
from hivemind_worker.pool.local.pool import LocalPool
from hivemind_worker.store.pool_book import SqlitePoolBook

async def main():
    book = SqlitePoolBook(Path(sys.argv[1]))
    assert await book.open() is None
    pool = LocalPool(book, Path(sys.argv[1]), "127.0.0.1:0")
    for name in ("ada", "wim"):
        await pool.add_account(name, sys.argv[2], 0)
    print(await pool.start(), flush=True)
    worst, last = 0.0, time.perf_counter()
    reading = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    while not reading.done():
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        worst, last = max(worst, now - last), now
    print(worst, flush=True)
    await pool.close()
    await book.close()

asyncio.run(main())
"""


def peak_bytes(pid: int) -> int:
    """The largest resident memory of a process so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise LookupError("no VmHWM")


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
async def test_archives_of_95_mib_pass_in_and_out_with_bounded_memory(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", POOL_ALONE, str(tmp_path), PASSWORD,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin and process.stdout
    try:
        pool = Pool(tmp_path)
        pool.connect((await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip())
        base = peak_bytes(process.pid)
        worker = TinyWorker(pool, "wim")
        await worker.listen()
        await worker.sign_in()
        await worker.register()
        token = await pool.token("ada")
        archive = os.urandom(95 * 2**20)
        began = time.monotonic()
        assert (await pool.upload(token, "big", archive)).success
        await pool.until(token, "big", "RUNNING", limit_s=30)
        assert worker.offers[0][1].task_zip == archive
        assert (await worker.send_result("big", archive)).success
        assert (await fetched(pool, token, "big")).result_zip == archive
        took_s = time.monotonic() - began
        grown = peak_bytes(process.pid) - base
        process.stdin.write(b"\n")
        stall_s = float(await asyncio.wait_for(process.stdout.readline(), 20))
        print(
            f"95 MiB in, out and back: {took_s:.2f} s, +{grown / 2**20:.0f} MiB, stall {stall_s * 1e3:.0f} ms"
        )
        assert grown < 4 * len(archive)
        await pool.channel.close()
        await worker.server.stop(None)
        assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
