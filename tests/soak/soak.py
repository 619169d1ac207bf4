"""Many tasks through one worker, in a real sandbox; what it holds at the end is what it held at the start.

`python -m tests.soak [--tasks 2000] [--docker]` plays the long form, tests/soak/test_soak.py a shorter one.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import psutil

from hivemind_worker.runtimes.wasm.spares import SPARE_LIFE_S
from hivemind_worker.store.history import FILE_NAME
from hivemind_worker.web.endpoint import read_endpoint
from tests.contract.docker_engine import IMAGE, TestEngine
from tests.e2e.process import WorkerProcess, keep_login, until, worker
from tests.engine.harness import zip_of
from tests.fakes.pool import ScriptedPool
from tests.web import wire

ARCHIVE = zip_of({"main.py": "print('soaked')\nopen('made.txt', 'w').write('x' * 1000)\n"})
WARM_UP = 150
AT_ONCE = 3
LOOKS, LOOK_S = 5, 0.4
MEMORY_SHARE = 0.05
OFFER_LIMIT_S = 120.0
REST_LIMIT_S, FIGURES_LIMIT_S = 60.0, 150.0
SPARE_GONE_S = 10.0


@dataclass(frozen=True)
class Held:
    """What a worker at rest holds. `temporary`: files of tasks that are over, and in the system's folder."""

    files: int
    threads: int
    children: int
    temporary: int
    memory_mib: float

    def against(self, before: Held, threads: int = 0) -> list[str]:
        """What it holds more than before; memory may be 5 % more, and so many threads may have come."""
        found = []
        for row in fields(self):
            now, then = getattr(self, row.name), getattr(before, row.name)
            most = then * (1 + MEMORY_SHARE) if row.name == "memory_mib" else then
            most += threads if row.name == "threads" else 0
            if now > most:
                found.append(f"{row.name}: {now:g}, {then:g} at the start")
        return found


@dataclass
class Soak:
    """A worker, its pool, and how many tasks it has had."""

    pool: ScriptedPool
    made: WorkerProcess
    address: str
    temporary: Path
    done: int = 0

    async def run(self, count: int, at_once: int) -> None:
        """So many tasks, so many at once; each is offered until it is taken and waited for."""
        names = iter([f"soaked {n}" for n in range(self.done, self.done + count)])
        await asyncio.gather(*(self._one_after_another(names) for _ in range(at_once)))
        self.done += count

    async def _one_after_another(self, names: object) -> None:
        for name in names:  # type: ignore[attr-defined]
            async with asyncio.timeout(OFFER_LIMIT_S):
                while not (await self.pool.offer(self.address, name, ARCHIVE, cpu_usage=30)).success:
                    await asyncio.sleep(0.01)
                await self.pool.until(lambda name=name: bool(self.pool.results[name]), OFFER_LIMIT_S)
            self.pool.calls.clear()

    async def held(self) -> Held:
        """At rest: the median of a few looks, as a look may meet a connection of the moment."""
        await self._rest()
        looks = []
        for _ in range(LOOKS):
            await asyncio.sleep(LOOK_S)
            looks.append(self._look())
        middle = {row.name: statistics.median(getattr(x, row.name) for x in looks) for row in fields(Held)}
        return Held(**middle)

    async def _rest(self) -> None:
        """Until nothing is open, and the child that waits for a next task has been given up."""
        async with asyncio.timeout(REST_LIMIT_S):
            while (await self.made.status())["running_tasks"] or self._workspaces():
                await asyncio.sleep(0.2)
        process = psutil.Process(self.made.process.pid)
        with contextlib.suppress(TimeoutError):  # a child that stays is for the look to tell
            async with asyncio.timeout(SPARE_LIFE_S + SPARE_GONE_S):
                while process.children():
                    await asyncio.sleep(0.2)

    def _workspaces(self) -> int:
        places = self.made.places
        return len(list(places.tasks.glob("*/workspace"))) + len(list(places.spool.iterdir()))

    def _look(self) -> Held:
        process = psutil.Process(self.made.process.pid)
        return Held(
            files=process.num_fds(),
            threads=process.num_threads(),
            children=len(process.children(recursive=True)),
            temporary=self._workspaces() + len(list(self.temporary.iterdir())),
            memory_mib=process.memory_info().rss / (1 << 20),
        )


@asynccontextmanager
async def soaking(home: Path, warm_up: int = WARM_UP, **more: str) -> AsyncIterator[Soak]:
    """A worker that has got over what the first tasks make it load."""
    temporary = home / "temporary"
    temporary.mkdir(parents=True)
    settings = {"MAX_CONCURRENT_TASKS": str(AT_ONCE), "TMPDIR": str(temporary)} | more
    async with ScriptedPool(prompt=True, running_after_s=0) as pool:
        keep_login(home, pool.address)
        async with worker(home, pool.address, **settings) as made:
            await pool.heard("RegisterWorkerNode")
            soak = Soak(pool, made, await made.address(), temporary)
            await soak.run(warm_up, AT_ONCE)
            await until(_keeps_figures(made), FIGURES_LIMIT_S)
            await _fill_pools(made)
            yield soak


def in_docker(engine: TestEngine) -> dict[str, str]:
    """Settings of a worker that runs its tasks in the tests' own engine."""
    return {
        "HIVEMIND_RUNTIME": "docker", "DOCKER_HOST": engine.url, "HIVEMIND_TASK_IMAGE": IMAGE,
        "HIVEMIND_PULL_IMAGES": "false",
    }  # fmt: skip


async def _fill_pools(made: WorkerProcess) -> None:
    """A pool of two threads has its second from the first time that calls meet on, whenever that is."""
    endpoint = read_endpoint(made.places.endpoint_file)
    assert endpoint is not None
    token = made.places.token_file.read_text().strip()
    looks = [wire.ask(endpoint.port, "/api/v1/vpn/ports", token=token) for _ in range(8)]
    assert {answer.status for answer in await asyncio.gather(*looks)} == {200}


def _keeps_figures(made: WorkerProcess) -> Callable[[], Awaitable[bool]]:
    async def kept() -> bool:
        return (made.places.data / FILE_NAME).exists()

    return kept
