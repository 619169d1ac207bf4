"""Several processes of one pool on a real nats-server: each may end, nothing is lost or done twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.pool_records import PoolTaskState
from hivemind_worker.model.task import Problem, TaskId, key_of
from hivemind_worker.pool.local.limits import LOG_BYTES
from hivemind_worker.pool.nats.arrears import DEAD_S
from hivemind_worker.pool.nats.connection import connect_here
from hivemind_worker.pool.nats.entrances import entrance
from hivemind_worker.pool.nats.layout import LOG_SLACK_BYTES
from tests.contract.local_pool import PASSWORD, Pool, TinyWorker, result_zip, tiny_worker, until, zipped
from tests.e2e.process import command
from tests.nats.here import Here, PoolOnEngine, pool_on_engine, server_here

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    async with server_here(tmp_path / "server") as running:
        yield running


@asynccontextmanager
async def two_pools(folder: Path, here: Here) -> AsyncIterator[tuple[PoolOnEngine, PoolOnEngine]]:
    async with pool_on_engine(folder / "a", here) as first, pool_on_engine(folder / "b", here) as second:
        yield first, second


@pytest.mark.release
async def test_tasks_sent_to_two_processes_are_each_offered_once(here: Here, tmp_path: Path) -> None:
    async with (
        two_pools(tmp_path, here) as (first, second),
        tiny_worker(first, "wim", cpu_score=2000, memory_gb=100) as wim,
        tiny_worker(second, "bert", cpu_score=2000, memory_gb=100) as bert,
    ):
        token = await first.account("ada")
        names = [f"t{number}" for number in range(12)]
        answers = await asyncio.gather(
            *((first, second)[n % 2].upload(token, name, cpu_score=100) for n, name in enumerate(names))
        )
        assert all(each.success for each in answers)
        for name in names:
            await second.until(token, name, "RUNNING", limit_s=30)
        offered = [each.task_id for worker in (wim, bert) for _, each in worker.offers]
        assert sorted(offered) == sorted(names)


async def test_what_one_process_was_told_the_other_knows(here: Here, tmp_path: Path) -> None:
    async with two_pools(tmp_path, here) as (first, second), tiny_worker(first, "wim") as worker:
        token = await first.account("ada")
        archive = zipped(main_py="print(1)" + "#" * 700_000)  # more than one piece
        assert (await second.upload(token, "t", archive)).success
        await first.until(token, "t", "RUNNING", limit_s=10)
        assert worker.offers[0][1].task_zip == archive
        worker.pool = second  # as after a change of address: the other process takes what is sent
        at_second = TinyWorkerAt(second, worker.token)
        assert (await at_second.send_output("t", "hello")).success
        assert (await at_second.send_result("t", result_zip())).success
        assert (await first.task(token, "t")).status == "COMPLETED"
        assert "hello" in await first.log(token, "t")
        assert await first.balance("wim", worker.token) == 1


class TinyWorkerAt(TinyWorker):
    """A worker's calls to another process of its pool."""

    def __init__(self, pool: Pool, token: str) -> None:
        super().__init__(pool, "")
        self.token = token


async def test_a_minute_is_paid_once_by_two_processes_that_both_look(here: Here, tmp_path: Path) -> None:
    pools = [PoolOnEngine(tmp_path / name, here) for name in "ab"]
    for pool in pools:
        pool.charges = True
        await pool.start()
    try:
        token = await pools[0].account("ada", 100)
        async with tiny_worker(pools[0], "wim") as worker:
            await pools[0].upload(token, "t", cpu_score=8, memory_gb=2)
            await pools[0].until(token, "t", "RUNNING", limit_s=10)
            key = key_of(TaskId("t"))
            moved = await asyncio.gather(*(pool.book.charge(key, "wim", 10) for pool in pools * 3))
            paid = (await pools[0].book.task(key)).paid_minutes
            assert moved and paid >= 1
            assert await pools[1].balance("wim", worker.token) == 10 * paid
            assert await pools[1].balance("ada", token) == 100 - 10 * paid
    finally:
        for pool in pools:
            await pool.stop()


async def test_of_two_results_at_two_processes_one_is_accepted(here: Here, tmp_path: Path) -> None:
    async with two_pools(tmp_path, here) as (first, second), tiny_worker(first, "wim") as worker:
        token = await first.account("ada")
        await first.upload(token, "t")
        await first.until(token, "t", "RUNNING", limit_s=10)
        there = TinyWorkerAt(second, worker.token)
        archives = [zipped(execution_log_txt="status: COMPLETED\n", n_txt=str(n)) for n in range(6)]
        senders: list[Any] = [worker, there] * 3
        answers = await asyncio.gather(
            *(sender.send_result("t", archive) for sender, archive in zip(senders, archives, strict=True))
        )
        assert any(each.success for each in answers)
        assert await first.balance("wim", worker.token) == 1
        again = [(await there.send_result("t", archive)).success for archive in archives]
        assert again.count(True) == 1


async def test_a_server_that_was_away_finds_everything_as_it_was(here: Here, tmp_path: Path) -> None:
    async with pool_on_engine(tmp_path / "a", here) as pool:
        token = await pool.account("ada")
        await pool.upload(token, "t")
        await here.end()

        async def is_refused() -> bool:
            with contextlib.suppress(OSError):
                await pool.book.account("ada")
                return False
            return True

        await until(is_refused, limit_s=20)
        await here.start_again()

        async def is_back() -> Any:
            with contextlib.suppress(OSError):
                return await pool.book.account("ada")

        await until(is_back, limit_s=20)
        async with tiny_worker(pool, "wim"):
            await pool.until(token, "t", "RUNNING", limit_s=20)


async def test_a_log_keeps_its_last_mebibyte_and_says_how_much_is_gone(here: Here, tmp_path: Path) -> None:
    async with pool_on_engine(tmp_path / "a", here) as pool:
        key = key_of(TaskId("t"))
        texts = [f"{number:06} " + "ä" * 20_000 + "\n" for number in range(60)]
        for text in texts:
            await pool.book.append_log(key, [text], LOG_BYTES)
        cut, kept = await pool.book.log(key)
        whole = "".join(texts).encode()
        assert whole[cut:].decode() == kept
        assert LOG_BYTES <= len(kept.encode()) <= LOG_BYTES + 2 * LOG_SLACK_BYTES


async def test_where_no_server_is_and_what_is_no_address_is_said(tmp_path: Path) -> None:
    pool = PoolOnEngine(tmp_path, Here("nats://127.0.0.1:9", tmp_path / "none", None))  # type: ignore[arg-type]
    assert await pool.build() == Problem(code=FaultCode.POOL_UNREACHABLE, about="nats://127.0.0.1:9")
    for address in ("", "127.0.0.1:4222", "nats://", "nats://127.0.0.1", "http://127.0.0.1:1", "nats://a:b"):
        problem = entrance(address, tmp_path / "none")
        assert isinstance(problem, Problem) and problem.code is FaultCode.BAD_ADDRESS, address
    problem = await connect_here("nats://192.0.2.1:4222", "ada", "secret")
    assert isinstance(problem, Problem) and problem.code is FaultCode.NATS_IN_THE_OPEN
    lost = entrance("tls://127.0.0.1:4222", tmp_path / "none")
    assert isinstance(lost, Problem) and lost.code is FaultCode.BAD_CREDENTIAL


# real processes


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("pool", "--engine", "tls://127.0.0.1:1"), 4, "pool nats-config; elsewhere name a copy with"),
        (("pool", "--engine", "tls://127.0.0.1:1", "servers"), 4, "pool nats-config; elsewhere name a copy"),
        (
            ("pool", "--engine", "tls://127.0.0.1:1", "user", "list"),
            4,
            "credential of the pool's own processes",
        ),
        (("pool", "--engine", "nats://127.0.0.1:1", "user", "list"), 4, "server cannot be reached"),
        (("pool", "--engine", "{here}", "--replicas", "3"), 2, "needs a cluster of NATS servers"),
        (("login", "--pool", "{here}", "--user", "anna", "--password-file", "/dev/null"), 0, "Signed in"),
    ],
)
async def test_commands_tell_the_pools_owner_what_to_do(
    here: Here, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    exit_code, out, err = await command(tmp_path, *(each.format(here=here.address) for each in words))
    assert exit_code == code and said in out + err, out + err


@asynccontextmanager
async def pool_process(home: Path, here: Here) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`hivemind-worker pool --engine`, and where it listens."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hivemind_worker", "pool", "--engine", here.address, "--listen", "127.0.0.1:0",
        "--json", cwd=ROOT, env={**os.environ, "HIVEMIND_HOME": str(home)}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    try:
        ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
        yield process, ready["address"]
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 30)


async def make_account(home: Path, here: Here, name: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hivemind_worker", "pool", "--engine", here.address, "user", "add", name,
        "--password-file", "-", cwd=ROOT, env={**os.environ, "HIVEMIND_HOME": str(home)},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(process.communicate(PASSWORD.encode()), 60)
    assert process.returncode == 0, said


class Elsewhere(Pool):
    """A pool that runs in another process."""

    def __init__(self, folder: Path, address: str) -> None:
        super().__init__(folder)
        self.connect(address)


@pytest.mark.release
async def test_of_two_pool_processes_one_may_be_killed_in_the_middle(here: Here, tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with pool_process(home, here) as (first, at_first), pool_process(home, here) as (_, at_second):
        await make_account(home, here, "ada")
        await make_account(home, here, "wim")
        one, two = Elsewhere(tmp_path, at_first), Elsewhere(tmp_path, at_second)
        worker = TinyWorker(one, "wim")
        await worker.listen()
        await worker.sign_in()
        assert (await worker.register()).success
        token = await one.token("ada")
        assert (await two.upload(token, "t")).success
        await two.until(token, "t", "RUNNING", limit_s=20)
        first.kill()
        await first.wait()
        worker.pool = two
        assert (await worker.register()).success  # with the token of the process that is gone
        assert (await worker.send_output("t", "still here")).success
        assert (await worker.send_result("t", result_zip())).success
        assert (await two.task(token, "t")).status == PoolTaskState.COMPLETED
        assert "still here" in await two.log(token, "t")
        assert (await two.upload(token, "u")).success
        await two.until(token, "u", "RUNNING", limit_s=20)
        for pool in (one, two):
            await pool.channel.close()
        await worker.server.stop(None)


async def balances(pool: PoolOnEngine) -> list[tuple[str, int]]:
    return [(each.name, each.balance) for each in await pool.book.accounts()]


async def test_accounts_are_listed_and_a_payment_left_in_the_middle_arrives_once_its_process_must_be_dead(
    here: Here, tmp_path: Path
) -> None:
    async with pool_on_engine(tmp_path / "a", here) as pool:
        await pool.account("ada", 70)
        await pool.account("wim", 10)
        assert await balances(pool) == [("ada", 70), ("wim", 10)]
        found = await pool.book._payments.read("ada")
        assert found is not None
        taken_off = found[0].with_balance(60, leaving={"0123456789abcdef": ("wim", 10)})
        assert await pool.book._payments.write(taken_off, found[1])  # and the process dies here
    async with pool_on_engine(tmp_path / "b", here) as pool:
        arrears = pool.engine_pool.desk._arrears
        await arrears.look(1_000.0)
        assert await balances(pool) == [("ada", 60), ("wim", 10)]
        await arrears.look(1_000.0 + DEAD_S)
        assert await balances(pool) == [("ada", 60), ("wim", 20)]
        again = await pool.book._payments.read("ada")
        assert again is not None and not again[0].leaving
