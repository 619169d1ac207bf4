"""The shorter form of the soak, for `make test-release`; the long one is `make soak`."""

from __future__ import annotations

from pathlib import Path

import pytest

from hivemind_worker.runtimes.docker.engine import CONNECT_THREADS
from tests.contract.docker_engine import shared_engine
from tests.soak.soak import AT_ONCE, Held, in_docker, soaking

TASKS = 300
IN_DOCKER = 60


@pytest.mark.release
async def test_hundreds_of_tasks_leave_no_file_thread_child_or_memory_behind(tmp_path: Path) -> None:
    async with soaking(tmp_path) as soak:
        before = await soak.held()
        for at_once in (1, AT_ONCE):
            await soak.run(TASKS, at_once)
            after = await soak.held()
            print(f"{TASKS} tasks, {at_once} at once: {after}, at the start {before}")
            assert after.against(before) == []


@pytest.mark.release
async def test_tasks_in_docker_leave_no_file_connection_child_or_memory_behind(tmp_path: Path) -> None:
    settings = in_docker(shared_engine())
    async with soaking(tmp_path, IN_DOCKER, **settings) as soak:
        before = await soak.held()
        for at_once in (1, AT_ONCE):
            await soak.run(IN_DOCKER, at_once)
            after = await soak.held()
            print(f"{IN_DOCKER} tasks in Docker, {at_once} at once: {after}, at the start {before}")
            # The threads that talk to the engine come one by one, whenever as many calls meet.
            assert after.against(before, threads=CONNECT_THREADS) == []


def test_a_worker_that_holds_more_is_found_out() -> None:
    before = Held(files=20, threads=9, children=1, temporary=0, memory_mib=80)
    assert Held(files=20, threads=8, children=1, temporary=0, memory_mib=83.9).against(before) == []
    more = Held(files=21, threads=10, children=2, temporary=1, memory_mib=84.1)
    assert [line.split(":")[0] for line in more.against(before)] == [
        "files", "threads", "children", "temporary", "memory_mib",
    ]  # fmt: skip
