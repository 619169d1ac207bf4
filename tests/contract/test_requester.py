"""The requester against the embedded pool and against a pool of the original kind, over sockets."""

from __future__ import annotations

import asyncio
import os
import random
import re
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.pool.log_follower import CUT_MARK, LogFollower
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from hivemind_worker.pool.pb import nodepool_pb2_grpc as rpc
from hivemind_worker.pool.requester import ARCHIVE_BYTES_MOST, Demand, Requester, TaskView, new_task_id
from tests.contract.local_pool import PASSWORD, Pool, result_zip, running_pool, tiny_worker, until, zipped

import grpc  # isort: skip
import grpc.aio  # isort: skip


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[Pool]:
    async with running_pool(tmp_path / "pool") as running:
        await running.account("ada")
        yield running


@pytest.fixture
async def ada(pool: Pool) -> AsyncIterator[Requester]:
    requester = Requester(pool.address, "ada", PASSWORD, patience_s=10)
    assert await requester.login() is None
    yield requester
    await requester.close()


def archive_in(folder: Path, content: bytes | None = None) -> Path:
    file = folder / "task.zip"
    file.write_bytes(zipped(main_py="print(1)") if content is None else content)
    return file


async def running(requester: Requester, task_id: str) -> None:
    async def look() -> bool:
        view = await requester.status(task_id)
        return isinstance(view, TaskView) and view.status == "RUNNING"

    await until(look)


def test_ids_have_date_time_and_chance() -> None:
    assert re.fullmatch(r"task_\d{8}_\d{6}_[0-9a-f]{8}", new_task_id())
    assert len({new_task_id(0.0) for _ in range(100)}) == 100


async def test_a_task_goes_out_is_followed_line_by_line_and_its_result_comes_back(
    pool: Pool, ada: Requester, tmp_path: Path
) -> None:
    demand = Demand(cpu_score=150, memory_gb=2, gpu_name="any", location="Europe")
    async with tiny_worker(pool, "wim") as worker:
        assert await ada.upload("t", archive_in(tmp_path), demand) is None
        await running(ada, "t")
        assert (worker.offers[0][1].cpu_usage, worker.offers[0][1].memory_gb) == (150, 2)
        seen: list[str] = []

        async def follow() -> None:
            async for line in ada.follow("t"):
                seen.append(line)

        following = asyncio.create_task(follow())
        for number in range(3):
            assert (await worker.send_output("t", f"line {number}\nsame")).success

            async def shown(number: int = number) -> bool:
                return seen.count("same") == number + 1

            await until(shown)  # each is there while the task still runs
        assert (await worker.send_result("t", result_zip())).success
        await asyncio.wait_for(following, 5)
    output = [line for line in seen if "[system]" not in line]
    assert output == ["line 0", "same", "line 1", "same", "line 2", "same"]
    assert seen[-1].endswith("The task is COMPLETED.")
    view = await ada.wait("t")
    assert view == TaskView(task_id="t", status="COMPLETED", message="Completed.", node="wim")
    assert await ada.fetch("t", tmp_path / "result.zip") is None
    assert (tmp_path / "result.zip").read_bytes() == result_zip()
    assert stat.S_IMODE((tmp_path / "result.zip").stat().st_mode) == 0o600


async def test_following_a_log_that_is_cut_loses_and_doubles_nothing(
    pool: Pool, ada: Requester, tmp_path: Path
) -> None:
    async with tiny_worker(pool, "wim") as worker:
        assert await ada.upload("t", archive_in(tmp_path), Demand()) is None
        await running(ada, "t")
        seen: list[str] = []

        async def follow() -> None:
            async for line in ada.follow("t"):
                if line.startswith("row"):
                    seen.append(line)

        following = asyncio.create_task(follow())
        rows = [f"row {number} {'x' * 100}" for number in range(30_000)]  # 3 MiB, three times what is kept
        for start in range(0, len(rows), 5000):
            assert (await worker.send_output("t", "\n".join(rows[start : start + 5000]))).success

            async def caught_up(last: str = rows[start + 4999]) -> bool:
                return bool(seen) and seen[-1] == last

            await until(caught_up)
        await worker.send_result("t", result_zip())
        await asyncio.wait_for(following, 5)
    assert seen == rows


async def test_a_stopped_task_is_over_at_once_and_its_partial_result_can_be_fetched(
    pool: Pool, ada: Requester, tmp_path: Path
) -> None:
    async with tiny_worker(pool, "wim") as worker:
        assert await ada.upload("t", archive_in(tmp_path), Demand()) is None
        await running(ada, "t")
        assert await ada.stop("t") is None
        view = await ada.wait("t")
        assert isinstance(view, TaskView) and view.status == "STOPPED"
        early = await ada.fetch("t", tmp_path / "r.zip")
        assert isinstance(early, Problem) and early.code is FaultCode.POOL_REFUSED
        assert not (tmp_path / "r.zip").exists()
        assert (await worker.send_result("t", result_zip("STOPPED"))).success
        assert await ada.fetch("t", tmp_path / "r.zip") is None
        again = await ada.stop("t")
        assert isinstance(again, Problem) and again.code is FaultCode.POOL_REFUSED


async def test_a_wrong_password_is_told_in_the_words_of_the_pool(pool: Pool) -> None:
    requester = Requester(pool.address, "ada", "wrong")
    problem = await requester.login()
    assert problem == Problem(code=FaultCode.WRONG_PASSWORD, about="Wrong name or password.")
    await requester.close()


@pytest.mark.parametrize("address", ["", "host", "host:", ":5", "a b:5", "host:99999"])
async def test_what_is_no_address_is_told_before_anything_is_sent(address: str) -> None:
    requester = Requester(address, "ada", PASSWORD)
    problem = await requester.login()
    assert isinstance(problem, Problem) and problem.code is FaultCode.BAD_ADDRESS
    await requester.close()


async def test_an_unreachable_pool_is_told_at_once(pool: Pool) -> None:
    async with tiny_worker(pool, "wim") as worker:
        port = worker.port
    requester = Requester(f"127.0.0.1:{port}", "ada", PASSWORD)
    async with asyncio.timeout(2):
        problem = await requester.login()
    assert problem == Problem(code=FaultCode.POOL_UNREACHABLE, about=f"127.0.0.1:{port}")
    await requester.close()


async def test_a_listener_that_never_speaks_is_told_as_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hivemind_worker.pool.requester.CONNECT_S", 0.3)
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _reader, writer: held.append(writer), "127.0.0.1", 0)
    requester = Requester(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", "ada", PASSWORD)
    problem = await requester.login()
    assert isinstance(problem, Problem) and problem.code is FaultCode.POOL_UNREACHABLE
    await requester.close()
    for writer in held:
        writer.close()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("content, code", [(b"", FaultCode.BAD_ARCHIVE), (None, FaultCode.BAD_PATH)])
async def test_an_archive_that_is_empty_or_absent_is_not_sent(
    ada: Requester, tmp_path: Path, content: bytes | None, code: FaultCode
) -> None:
    file = archive_in(tmp_path, content) if content is not None else tmp_path / "absent.zip"
    problem = await ada.upload("t", file, Demand())
    assert isinstance(problem, Problem) and problem.code is code


async def test_an_archive_at_the_limit_is_sent_and_one_byte_more_is_not(
    pool: Pool, ada: Requester, tmp_path: Path
) -> None:
    file = tmp_path / "task.zip"
    with file.open("wb") as out:
        out.truncate(ARCHIVE_BYTES_MOST + 1)
    problem = await ada.upload("t", file, Demand())
    assert isinstance(problem, Problem) and problem.code is FaultCode.TOO_BIG
    os.truncate(file, ARCHIVE_BYTES_MOST)
    task_id = "ü" * 256  # an id as long as it may be
    assert await ada.upload(task_id, file, Demand()) is None
    (kept,) = (pool.folder / "archives").iterdir()
    assert kept.stat().st_size == ARCHIVE_BYTES_MOST


async def test_refusals_carry_the_words_of_the_pool(ada: Requester, tmp_path: Path) -> None:
    file = archive_in(tmp_path)
    assert await ada.upload("t", file, Demand()) is None
    for problem in (
        await ada.upload("t", file, Demand()),
        await ada.upload("a\nb", file, Demand()),
        await ada.upload("n", file, Demand(memory_gb=-1)),
        await ada.status("unknown"),
        await ada.wait("unknown"),
        await ada.log_text("unknown"),
        await ada.stop("unknown"),
        await ada.fetch("unknown", tmp_path / "r.zip"),
    ):
        assert isinstance(problem, Problem) and problem.code is FaultCode.POOL_REFUSED and problem.about
    assert [line async for line in ada.follow("unknown")] == []


async def test_a_token_that_ended_is_renewed_by_itself(pool: Pool, ada: Requester, tmp_path: Path) -> None:
    pool.pass_time(3700)
    assert await ada.upload("t", archive_in(tmp_path), Demand()) is None
    pool.pass_time(3700)
    assert isinstance(await ada.status("t"), TaskView)
    pool.pass_time(3700)
    assert not isinstance(await ada.log_text("t"), Problem)


async def test_a_pool_that_restarts_is_waited_for_which_is_told_once(pool: Pool, tmp_path: Path) -> None:
    told: list[Problem | None] = []

    async def heard() -> list[Problem | None]:
        return told

    ada = Requester(pool.address, "ada", PASSWORD, patience_s=10, on_away=told.append)
    assert await ada.login() is None
    assert await ada.upload("t", archive_in(tmp_path), Demand()) is None
    waiting = asyncio.create_task(ada.wait("t"))
    await pool.stop()
    await until(heard)
    assert not waiting.done()
    await pool.start()
    async with tiny_worker(pool, "wim") as worker:
        await running(ada, "t")
        await worker.send_result("t", result_zip("FAILED"))
        view = await asyncio.wait_for(waiting, 10)
    assert isinstance(view, TaskView) and view.status == "FAILED"
    away, back = told
    assert away is not None and away.code is FaultCode.POOL_UNREACHABLE and back is None
    await ada.close()


async def test_a_pool_that_stays_away_ends_the_wait_with_a_problem(pool: Pool, tmp_path: Path) -> None:
    requester = Requester(pool.address, "ada", PASSWORD, patience_s=0.5)
    assert await requester.login() is None
    assert await requester.upload("t", archive_in(tmp_path), Demand()) is None
    await pool.local.close()
    begun_s = time.monotonic()
    assert [line async for line in requester.follow("t")] == []
    view = await requester.wait("t")
    assert isinstance(view, Problem) and view.code is FaultCode.POOL_UNREACHABLE
    assert time.monotonic() - begun_s >= 0.5
    await requester.close()


async def test_an_upload_whose_answer_was_lost_is_looked_for_in_the_list(
    pool: Pool, ada: Requester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = pool.book.add_task

    async def kept_but_not_told(task: Any) -> bool:
        await original(task)
        raise OSError(5, "lost")  # the door answers UNAVAILABLE

    monkeypatch.setattr(pool.book, "add_task", kept_but_not_told)
    assert await ada.upload("t", archive_in(tmp_path), Demand()) is None


async def test_a_result_that_cannot_be_written_is_a_problem(
    pool: Pool, ada: Requester, tmp_path: Path
) -> None:
    async with tiny_worker(pool, "wim") as worker:
        assert await ada.upload("t", archive_in(tmp_path), Demand()) is None
        await running(ada, "t")
        await worker.send_result("t", result_zip())
    problem = await ada.fetch("t", tmp_path / "absent" / "r.zip")
    assert isinstance(problem, Problem) and problem.code is FaultCode.NO_PERMISSION


# a pool of the original kind


class OtherPool(rpc.UserServiceServicer, rpc.MasterNodeServiceServicer):  # type: ignore[misc]
    """Its own lines first, a separator, then the last 10,240 letters of output; no counts, Chinese words."""

    def __init__(self) -> None:
        self.own, self.output = ["[2026-01-01 10:00:00] [system] 任务已创建"], ""
        self.status = "RUNNING"
        self.polls = 0

    async def Login(self, request: Any, _context: Any) -> Any:
        good = request.password == PASSWORD
        return pb.LoginResponse(
            success=good, message="登录成功" if good else "密码错误", token="x" if good else ""
        )

    async def GetAllUserTasks(self, _request: Any, _context: Any) -> Any:
        return pb.GetAllTasksResponse(tasks=[pb.TaskInfo(task_id="t", status=self.status)])

    async def GetTasklog(self, _request: Any, _context: Any) -> Any:
        self.polls += 1
        lines = [*self.own, "--- 输出 ---", *self.output[-10_240:].splitlines()]
        return pb.TasklogResponse(success=True, log="\n".join(line for line in lines if line.strip()))

    async def StopTask(self, _request: Any, _context: Any) -> Any:
        return pb.StopTaskResponse(success=False, message="不能停止\x1b[2J")


@pytest.fixture
async def other() -> AsyncIterator[tuple[OtherPool, str]]:
    pool, server = OtherPool(), grpc.aio.server()
    rpc.add_UserServiceServicer_to_server(pool, server)
    rpc.add_MasterNodeServiceServicer_to_server(pool, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield pool, f"127.0.0.1:{port}"
    await server.stop(None)


async def test_the_log_of_another_pool_is_followed_without_lines_twice(other: tuple[OtherPool, str]) -> None:
    pool, address = other
    requester = Requester(address, "ada", PASSWORD)
    assert await requester.login() is None
    seen: list[str] = []

    async def follow() -> None:
        async for line in requester.follow("t"):
            seen.append(line)

    following = asyncio.create_task(follow())
    for number in range(4):
        pool.output += "".join(
            f"round {number} line {n}\n" for n in range(300)
        )  # 6 KiB: cut from the second on
        pool.own.append(f"[2026-01-01 10:00:0{number}] [system] 第 {number}")
        polls = pool.polls

        async def polled(polls: int = polls) -> bool:
            return pool.polls >= polls + 2

        await until(polled)
    pool.status = "COMPLETED"
    await asyncio.wait_for(following, 5)
    await requester.close()
    output = [line for line in seen if line.startswith("round")]
    assert output == pool.output.splitlines()
    assert [line for line in seen if "[system]" in line] == pool.own


async def test_words_of_another_pool_are_shown_and_cannot_move_the_cursor(
    other: tuple[OtherPool, str],
) -> None:
    _, address = other
    requester = Requester(address, "ada", "wrong")
    problem = await requester.login()
    assert problem == Problem(code=FaultCode.WRONG_PASSWORD, about="密码错误")
    await requester.close()
    requester = Requester(address, "ada", PASSWORD)
    assert await requester.login() is None
    refused = await requester.stop("t")
    assert (
        isinstance(refused, Problem) and refused.about.startswith("不能停止") and "\x1b" not in refused.about
    )
    await requester.close()


# following, pure


def test_a_gap_that_nobody_saw_is_marked() -> None:
    follower = LogFollower()
    assert follower.take("a\nb\n", 0) == ["a", "b"]
    assert follower.take("y\nz\n", 100) == [CUT_MARK, "y", "z"]
    assert follower.take("z\nend", 102) == []
    assert follower.take("z\nending\r\n", 102) == ["ending"]
    assert follower.last() == []


def test_the_last_line_may_have_no_end() -> None:
    follower = LogFollower()
    assert follower.take("a\nhalf", 0) == ["a"]
    assert follower.last() == ["half"]


@pytest.mark.parametrize("seed", range(20))
def test_by_count_every_line_comes_once_however_the_text_is_cut(seed: int) -> None:
    chance = random.Random(seed)
    whole = "".join(chance.choice(["x\n", "yy\n", "ä\n", "long line\n"]) for _ in range(400)).encode()
    follower, seen, sent = LogFollower(), list[str](), 0
    while sent < len(whole):
        before, sent = sent, min(len(whole), sent + chance.randrange(200))
        while sent < len(whole) and whole[sent] & 0xC0 == 0x80:
            sent += 1
        cut = chance.randrange(before + 1)
        while whole[cut] & 0xC0 == 0x80:
            cut -= 1
        seen += follower.take(whole[cut:sent].decode(), cut)
    assert seen == whole.decode().splitlines()


@pytest.mark.parametrize("seed", range(20))
def test_by_overlap_distinct_lines_come_once_however_the_text_is_cut(seed: int) -> None:
    chance = random.Random(seed)
    whole = [f"line {n} {'z' * chance.randrange(30)}" for n in range(300)]
    follower, seen, shown = LogFollower(), list[str](), 0
    while shown < len(whole):
        shown = min(len(whole), shown + chance.randrange(12))
        seen += follower.take("\n".join(whole[:shown])[-1000:])
    assert seen == whole
