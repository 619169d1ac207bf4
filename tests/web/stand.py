"""A real worker with 3 running tasks, in a process of its own that does not end when it is asked to finish.

`python -m tests.web.stand` in a prepared home prints its address and token as JSON when the tasks run, and
ends with its standard input. The journal's 200 ended tasks are written by `prepare`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from hivemind_worker.commands.resolve import resolve
from hivemind_worker.model.history import JournalEntry, StoryLine
from hivemind_worker.model.task import Delivery, Problem, Task, TaskState
from hivemind_worker.places import find_places
from hivemind_worker.store.journal import connect, write
from hivemind_worker.store.secrets import Login, login_store
from hivemind_worker.store.worker_log import WorkerLog
from hivemind_worker.web.token import load_or_make_token
from hivemind_worker.worker_node import WorkerNode
from tests.e2e.process import environment
from tests.engine.harness import zip_of
from tests.fakes.node import NOW_S, make_task
from tests.fakes.pool import ScriptedPool

RUNNING, ENDED = 3, 200
TALK = "import time\nprint('hello', flush=True)\ntime.sleep(900)\n"
LIMIT_S = 120.0


def ended_task(number: int) -> Task:
    """One of a long history."""
    states = (TaskState.COMPLETED, TaskState.FAILED, TaskState.STOPPED)
    ended_at_s = NOW_S - 90_000_000 + number // 2
    return replace(
        make_task(f"ended {number}", states[number % 3], delivery=Delivery.DELIVERED),
        accepted_at_s=ended_at_s - 10, started_at_s=ended_at_s - 8, ended_at_s=ended_at_s,
    )  # fmt: skip


def prepare(home: Path) -> None:
    """A home whose worker has a history."""
    places = find_places(str(home))
    places.make()
    journal = connect(places.journal)
    tasks = [ended_task(number) for number in range(ENDED)]
    lines = [StoryLine(key=task.key, at_s=task.accepted_at_s, what="TaskAccepted", text="") for task in tasks]
    write(journal, JournalEntry(tasks=tuple(tasks), lines=tuple(lines)))
    journal.close()
    for task in tasks:
        (places.results / f"{task.key}.zip").write_bytes(zip_of())
        log = places.tasks / task.key / "output.log"
        log.parent.mkdir()
        log.write_bytes(b"what it said\n" * 100)


@dataclass
class Stand:
    """The process, and how to reach its worker."""

    url: str
    token: str
    process: subprocess.Popen[str]


@contextlib.contextmanager
def standing(home: Path, **more: str) -> Iterator[Stand]:
    """The worker of a prepared home, with its tasks running."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.web.stand"], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=environment(home, MAX_CONCURRENT_TASKS=str(RUNNING), MAX_MEMORY_GB="4", **more),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        told = json.loads(next(line for line in process.stdout if line.startswith("{")))
        yield Stand(told["url"], told["token"], process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


async def main() -> None:
    async with ScriptedPool(prompt=True) as pool:
        places = find_places(None)
        resolved = resolve({"master_address": pool.address})
        assert not isinstance(resolved, Problem), resolved
        places = resolved.places
        assert login_store(places).keep(Login(pool=pool.address, user="ann", password="right horse")) is None
        log = WorkerLog(places.logs, to_stdout=False)
        node = WorkerNode(
            settings=resolved.settings, set_by_hand=resolved.sources, places=places, worker_log=log
        )
        problem = await node.start()
        assert problem is None, problem
        await run_tasks(node, pool)
        print(json.dumps({"url": node.api_url, "token": load_or_make_token(places.token_file)}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await node.stop()
        log.close()


async def run_tasks(node: WorkerNode, pool: ScriptedPool) -> None:
    """Three tasks that run, and have said something."""
    async with asyncio.timeout(LIMIT_S):
        while not node.snapshot().runtime.ready:
            await asyncio.sleep(0.05)
        for number in range(RUNNING):
            address = node.snapshot().grpc_address
            answer = await pool.offer(
                address, f"running {number}", zip_of({"main.py": TALK}), cpu_usage=50, memory_gb=1
            )
            assert answer.success, answer.message
        while sum(task.state is TaskState.RUNNING for task in node.snapshot().tasks) < RUNNING:
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main())
