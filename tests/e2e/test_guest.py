"""A good guest: a whole worker in a real X11 session; somebody comes, tasks freeze, goes, tasks go on."""

from __future__ import annotations

import asyncio
import hashlib
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from hivemind_worker.checkup import Subject, _giving_way
from hivemind_worker.model.effects import Accepted
from hivemind_worker.model.events import RunModeAsked
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.settings import Settings
from hivemind_worker.model.task import Offer, TaskId, TaskState
from hivemind_worker.places import find_places
from hivemind_worker.presentation.health import verdicts
from hivemind_worker.presentation.rule_rows import yield_words
from hivemind_worker.store.worker_log import WorkerLog
from hivemind_worker.worker_node import WorkerNode
from tests.contract.stage import session_sandbox
from tests.engine.harness import zip_of
from tests.machine.desk import Person, missing_desk, x_server

BUSY = "print('begun', flush=True)\nn = 0\nwhile True:\n    n += 1\n"
LIMIT_S = 60.0


@asynccontextmanager
async def worker(home: Path, **changes: Any) -> AsyncIterator[WorkerNode]:
    """A worker without a pool; tasks come in through its intake. `changes` go into its settings."""
    places = find_places(str(home))
    places.make()
    log = WorkerLog(places.logs, to_stdout=False)
    usual: dict[str, Any] = {
        "master_address": "127.0.0.1:9", "node_port": 0, "web_port": 0, "max_concurrent_tasks": 4,
        "runtime": "wasm", "max_cpu_cores": 4, "max_memory_gb": 4,
    }  # fmt: skip
    settings = Settings(**usual | changes)
    hand = {"max_cpu_cores": "file", "max_memory_gb": "file", "web_port": "file", "node_port": "file"}
    node = WorkerNode(settings=settings, set_by_hand=hand, places=places, worker_log=log)
    try:
        assert await node.start() is None
        await until(lambda: node.snapshot().runtime.ready and node.snapshot().blocker is None)
        yield node
    finally:
        await node.stop()
        log.close()


async def until(holds: Callable[[], Any], limit_s: float = LIMIT_S) -> None:
    async with asyncio.timeout(limit_s):
        while not holds():
            await asyncio.sleep(0.01)


async def offer(node: WorkerNode, number: int, program: str = BUSY) -> None:
    """Give it a task as the pool would."""
    archive = zip_of({"main.py": program})
    spooled = node.parts.places.spool / f"{number}.zip"
    spooled.write_bytes(archive)
    made = Offer(
        task_id=TaskId(f"busy {number}"), body_sha256=hashlib.sha256(archive).hexdigest(),
        archive_bytes=len(archive), demand=Resources(cpu=25, memory_gb=0.5),
    )  # fmt: skip
    reply = await node.parts.intake.offer(made, spooled)
    node.parts.intake.answered(made.key)
    assert isinstance(reply, Accepted), reply


def states(node: WorkerNode) -> set[TaskState]:
    return {task.state for task in node.snapshot().tasks}


def processes(node: WorkerNode) -> list[psutil.Process]:
    return [psutil.Process(int(task.where.partition(":")[0])) for task in node.snapshot().tasks]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="X11 is a matter of Linux")
async def test_tasks_freeze_when_somebody_comes_and_go_on_when_the_computer_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing_desk():
        pytest.skip(missing_desk())
    monkeypatch.setenv("HIVEMIND_SANDBOX", str(session_sandbox()))
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("XDG_SESSION_TYPE", raising=False)
    with x_server() as display_name:
        monkeypatch.setenv("DISPLAY", display_name)
        person = Person(display_name)
        async with worker(tmp_path) as node:
            for number in range(4):
                await offer(node, number)
            await until(lambda: states(node) == {TaskState.RUNNING})
            assert await node.rules.change({"idle_on": True, "idle_start_after_min": 0.1}) == ()
            await until(lambda: states(node) == {TaskState.RUNNING} and person.rested_s() > 4)

            person.move()
            await until(lambda: states(node) == {TaskState.PAUSED})
            first = verdicts(node.snapshot())[0]
            assert (first.code, "X11" in first.text) == ("in_use", True)
            assert first.ends_at_s is not None
            assert await frozen(node)

            await node.ask(RunModeAsked(at_s=time.time(), ignores_rules=True))
            await until(lambda: states(node) == {TaskState.RUNNING})
            assert "rules_ignored" in [verdict.code for verdict in verdicts(node.snapshot())]
            await node.ask(RunModeAsked(at_s=time.time(), ignores_rules=False))
            await until(lambda: states(node) == {TaskState.PAUSED})

            await until(lambda: states(node) == {TaskState.RUNNING})
            assert not await frozen(node)
            times = await node.rules.yield_times()
            assert times.count >= 1
            assert times.last is not None
            assert times.last.tasks == 4
            assert sum(times.counts) == times.count
            places = node.parts.places
        person.close()
    about = await _giving_way(Subject(settings=Settings(), sources={}, places=places))  # nobody runs now
    assert about.text == yield_words(times)


async def frozen(node: WorkerNode) -> bool:
    """Whether none of the processes takes any processor time."""
    await node.parts.performer.controlled([task.key for task in node.snapshot().tasks])
    before = [process.cpu_times().user for process in processes(node)]
    await asyncio.sleep(0.4)
    return before == [process.cpu_times().user for process in processes(node)]
