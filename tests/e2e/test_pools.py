"""Several pools kept, one active: trying it on this computer, sending a folder, leaving a pool in order.

The worker is the real one, in this process; pools are embedded ones on sockets.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hivemind_worker.model.checkup import CheckState
from hivemind_worker.model.events import PauseAsked, ResumeAsked
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.pools import Leaving
from hivemind_worker.model.receipts import Seal
from hivemind_worker.model.sending import Sending, SendStep
from hivemind_worker.model.settings import Settings
from hivemind_worker.model.snapshot import LinkState, Mode
from hivemind_worker.places import find_places
from hivemind_worker.pool.local.pool import LocalPool
from hivemind_worker.store.pool_book import SqlitePoolBook
from hivemind_worker.store.settings_file import load
from hivemind_worker.store.worker_log import WorkerLog
from hivemind_worker.worker_node import WorkerNode
from tests.contract.stage import session_sandbox

LIMIT_S = 60.0
PASSWORD = "right horse"


@asynccontextmanager
async def a_pool(folder: Path, *names: str) -> AsyncIterator[str]:
    book = SqlitePoolBook(folder)
    assert await book.open() is None
    pool = LocalPool(book, folder, "127.0.0.1:0")
    address = await pool.start()
    assert isinstance(address, str)
    for name in names:
        assert await pool.add_account(name, PASSWORD, 100) is None
    yield address
    await pool.close()
    await book.close()


@asynccontextmanager
async def a_worker(home: Path, pool: str = "127.0.0.1:1", **sources: str) -> AsyncIterator[WorkerNode]:
    places = replace(find_places(str(home)), shared_sandbox=session_sandbox())
    places.make()
    settings = Settings(
        master_address=pool, node_port=0, web_port=0, task_disk_gb=0.2, keep_free_gb=0.1, runtime="wasm"
    )
    worker_log = WorkerLog(places.logs)
    node = WorkerNode(settings=settings, set_by_hand=sources, places=places, worker_log=worker_log)
    try:
        assert await node.start() is None
        yield node
    finally:
        await node.stop()
        worker_log.close()


async def until(node: WorkerNode, holds: Callable[[], bool]) -> None:
    """Looks whenever the picture changes, and every tenth of a second for what changes without it."""
    async with asyncio.timeout(LIMIT_S):
        while not holds():
            await asyncio.sleep(0.1)


def only(node: WorkerNode) -> Sending:
    (sending,) = node.sending.all()
    return sending


def a_task(folder: Path, text: str = "print('hello')\nopen('out.txt', 'w').write('42')\n") -> Path:
    folder.mkdir()
    (folder / "main.py").write_text(text)
    return folder


@pytest.mark.slow
async def test_it_can_be_tried_on_this_computer_without_account_and_pool(tmp_path: Path) -> None:
    async with a_worker(tmp_path / "home") as node:
        assert await node.pools.start_demo() is None
        await until(node, lambda: node.snapshot().pool.link is LinkState.REGISTERED)
        assert node.pools.demo_runs
        assert node.snapshot().pool.address.startswith("127.0.0.1:")
        (kept,) = await node.pools.kept()
        assert (kept.built_in, kept.active, kept.signed_in) == (True, True, True)
        found = {check.name: check.state for check in await node.care.checkup()}
        assert len(node.care.found()) == len(found), "the last checkup is remembered"
        assert (found["Network"], found["Pool"]) == (CheckState.OK, CheckState.OK), "it is that pool's checks"

        node.sending.send(a_task(tmp_path / "my task"))
        await until(node, lambda: only(node).step.has_ended)
        done = only(node)
        assert (done.step, done.problem, done.name) == (SendStep.COMPLETED, None, "my task")
        assert (Path(done.result) / "out.txt").read_text() == "42"
        assert "hello" in node.sending.lines(done.task_id)
        order = [step for step, _at_s in done.reached]
        assert order == [SendStep.PACKING, SendStep.UPLOADING, SendStep.WAITING, SendStep.RUNNING,
                         SendStep.FETCHING, SendStep.COMPLETED]  # fmt: skip
        (receipt,) = await node.latest_receipts(5)
        assert (receipt.task.task_id, receipt.seal) == (done.task_id, Seal.OURS)
        assert {"pool", "worker_node"} <= {line.source for line in node.log_entries()}

        assert await node.pools.stop_demo() is None
        await until(node, lambda: not node.snapshot().switching_to)
        assert node.snapshot().pool.address == "127.0.0.1:1"
        assert node.snapshot().node.mode is Mode.RUN
        await until(
            node, lambda: not node.pools.demo_runs and not (tmp_path / "home/data/demo-pool").exists()
        )
        assert load(node.parts.places.settings_file) == {}, (
            "the settings never named the pool that is built in"
        )


@pytest.mark.slow
async def test_a_pool_is_left_only_when_its_last_result_is_delivered(tmp_path: Path) -> None:
    async with (
        a_pool(tmp_path / "one", "ann") as one,
        a_pool(tmp_path / "two", "bob") as two,
        a_worker(tmp_path / "home", one) as node,
    ):
        assert await node.pools.sign_in(one, "ann", PASSWORD) is None
        assert await node.pools.sign_in(two, "bob", PASSWORD) is None
        await until(node, lambda: node.snapshot().pool.link is LinkState.REGISTERED)
        node.sending.send(a_task(tmp_path / "slow", "import time\ntime.sleep(2)\nprint('done')\n"))
        await until(node, lambda: only(node).step is SendStep.RUNNING and bool(node.snapshot().tasks))

        assert await node.pools.switch(two, Leaving.FINISH) is None
        assert node.snapshot().switching_to == two
        busy = await node.pools.switch(two, Leaving.STOP)
        assert busy is not None
        assert busy.code is FaultCode.BUSY
        await until(node, lambda: not node.snapshot().switching_to)

        await until(node, lambda: only(node).step.has_ended)
        assert only(node).step is SendStep.COMPLETED, "the first pool has its result"
        await until(node, lambda: node.snapshot().pool.link is LinkState.REGISTERED)
        assert (node.snapshot().pool.address, node.snapshot().pool.user) == (two, "bob")
        assert node.snapshot().node.mode is Mode.RUN
        assert load(node.parts.places.settings_file) == {"master_address": two}
        rows = await node.pools.kept()
        assert [(row.address, row.active, row.signed_in) for row in rows] == [
            (two, True, True),
            (one, False, True),
        ]
        assert rows[1].used_until_s > 0

        node.sending.send(a_task(tmp_path / "second"))
        await until(node, lambda: node.sending.all()[0].step.has_ended)
        assert node.sending.all()[0].step is SendStep.COMPLETED, "the second pool reaches the task door"
        await until(node, lambda: node.snapshot().pool.balance is not None)
        assert [row.amount for row in await node.pools.balances(two, "bob", 0.0)]


async def test_a_pool_that_is_gone_can_be_left_and_its_results_stay_here(tmp_path: Path) -> None:
    async with a_pool(tmp_path / "two", "bob") as two, a_worker(tmp_path / "home") as node:
        assert await node.pools.sign_in(two, "bob", PASSWORD) is None
        assert await node.pools.switch(two, Leaving.KEEP) is None
        await until(node, lambda: node.snapshot().pool.link is LinkState.REGISTERED)
        assert node.snapshot().pool.address == two


async def test_only_a_login_that_works_is_kept(tmp_path: Path) -> None:
    async with a_pool(tmp_path / "one", "ann") as one, a_worker(tmp_path / "home", one) as node:
        wrong = await node.pools.sign_in(one, "ann", "wrong horse")
        assert wrong is not None
        assert wrong.code is FaultCode.WRONG_PASSWORD
        assert await node.pools.kept() == ()
        nowhere = await node.pools.sign_in("nowhere", "ann", PASSWORD)
        assert nowhere is not None
        assert nowhere.code is FaultCode.BAD_ADDRESS


async def test_who_signs_out_keeps_the_pool_on_the_list_and_the_active_one_cannot_be_forgotten(
    tmp_path: Path,
) -> None:
    async with a_pool(tmp_path / "one", "ann") as one, a_worker(tmp_path / "home", one) as node:
        assert await node.pools.sign_in(one, "ann", PASSWORD) is None
        await node.pools.sign_out(one)
        (kept,) = await node.pools.kept()
        assert (kept.address, kept.user, kept.signed_in) == (one, "ann", False)
        assert PASSWORD.encode() not in b"".join(
            file.read_bytes() for file in node.parts.places.state.iterdir() if file.is_file()
        )
        problem = await node.pools.forget(one)
        assert problem is not None
        assert await node.pools.forget("other:1") is None


async def test_a_pool_that_is_set_by_the_environment_is_not_switched_away_from(tmp_path: Path) -> None:
    async with a_worker(tmp_path / "home", master_address="environment") as node:
        problem = await node.pools.switch("127.0.0.1:2", Leaving.FINISH)
        assert problem is not None
        assert "environment" in problem.about


async def test_sending_without_a_login_says_so_and_nothing_is_left_behind(tmp_path: Path) -> None:
    async with a_worker(tmp_path / "home") as node:
        node.sending.send(a_task(tmp_path / "task"))
        node.sending.send(tmp_path / "nothing here")
        await until(node, lambda: all(each.step.has_ended for each in node.sending.all()))
        codes = {each.name: each.problem.code for each in node.sending.all() if each.problem}
        assert codes == {"task": FaultCode.NOT_LOGGED_IN, "nothing here": FaultCode.BAD_PATH}


@pytest.mark.slow
async def test_what_was_sent_is_followed_on_after_a_restart(tmp_path: Path) -> None:
    async with a_pool(tmp_path / "one", "ann") as one:
        async with a_worker(tmp_path / "home", one) as node:
            assert await node.pools.sign_in(one, "ann", PASSWORD) is None
            await node.ask(PauseAsked(at_s=time.time()))  # nobody takes the task yet
            node.sending.send(a_task(tmp_path / "task"))
            await until(node, lambda: only(node).step is SendStep.WAITING)
        async with a_worker(tmp_path / "home", one) as node:
            assert only(node).step is SendStep.WAITING
            await node.ask(ResumeAsked(at_s=time.time()))
            await until(node, lambda: only(node).step.has_ended)
            assert (only(node).step, only(node).problem) == (SendStep.COMPLETED, None)
            assert (Path(only(node).result) / "out.txt").read_text() == "42"
