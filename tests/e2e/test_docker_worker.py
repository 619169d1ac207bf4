"""A worker process with tasks in Docker, and the embedded pool: what an author gets, and what a kill does."""

from __future__ import annotations

import asyncio
import io
import re
import time
import zipfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from hivemind_worker.pool.pb import nodepool_pb2 as pb
from tests.contract.docker_engine import IMAGE, TestEngine, shared_engine
from tests.contract.local_pool import PASSWORD, Pool, until
from tests.e2e.process import WorkerProcess, keep_login, worker
from tests.engine.harness import zip_of

pytestmark = pytest.mark.slow

WAITING = """
import os, time
for n in range(150):
    while n == 60 and not os.path.exists("/workspace/go"):
        time.sleep(0.05)
    print("number", n, flush=True)
    time.sleep(0.03)
"""
LET_GO = ("python3", "-c", "open('/workspace/go', 'w').close()")
NUMBERED = "import time\nfor n in range(150):\n    print('number', n, flush=True)\n    time.sleep(0.03)\n"
AUTHORS = """
import os, sys
from helpers import word
os.makedirs("output", exist_ok=True)
open("output/answer.txt", "w").write(word)
open("/workspace/also.txt", "w").write(os.environ["TASK_ID"])
print(os.getcwd(), sys.argv, os.path.exists("/app/task/helpers.py"))
print("to error output", file=sys.stderr)
sys.exit(int(os.environ.get("NEVER", "0")))
"""


class Town:
    """Pool, requester and engine; workers come and go."""

    def __init__(self, pool: Pool, engine: TestEngine, home: Path, token: str) -> None:
        self.pool, self.engine, self.home, self.token = pool, engine, home, token

    def worker(self) -> AbstractAsyncContextManager[WorkerProcess]:
        keep_login(self.home, self.pool.address, "anna", PASSWORD)
        return worker(
            self.home, self.pool.address, HIVEMIND_RUNTIME="docker", DOCKER_HOST=self.engine.url,
            HIVEMIND_TASK_IMAGE=IMAGE, HIVEMIND_PULL_IMAGES="false",
        )  # fmt: skip

    async def send(self, task_id: str, files: dict[str, bytes | str]) -> None:
        answer = await self.pool.upload(self.token, task_id, zip_of(files), cpu_score=50, memory_gb=1)
        assert answer.success, answer.message

    async def result(self, task_id: str) -> zipfile.ZipFile:
        await self.pool.until(self.token, task_id, "COMPLETED", "FAILED", "STOPPED", limit_s=60)
        answer = await self.pool.requests.GetTaskResult(
            pb.GetTaskResultRequest(task_id=task_id, token=self.token)
        )
        assert answer.success, answer.message
        return zipfile.ZipFile(io.BytesIO(answer.result_zip))

    async def printed(self, task_id: str, text: str) -> None:
        async def there() -> bool:
            return text in await self.pool.log(self.token, task_id)

        await until(there, 60)

    async def containers(self) -> list[str]:
        names = await asyncio.to_thread(self.engine.containers)
        return [name for name in names if name.startswith("task-")]

    async def none_left(self) -> None:
        async def gone() -> bool:
            return not await self.containers()

        await until(gone, 30)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    engine = shared_engine()
    pool = Pool(tmp_path / "pool")
    pool.clock, pool.monotonic = time.time, time.monotonic  # type: ignore[assignment]
    await pool.start()
    try:
        await pool.account("anna")
        yield Town(pool, engine, tmp_path / "home", await pool.account("rita"))
    finally:
        await pool.stop()


async def test_an_author_gets_the_documented_surroundings_output_and_files_back(town: Town) -> None:
    async with town.worker() as running:
        await town.send("a/b c", {"main.py": AUTHORS, "helpers.py": "word = 'found'", "data/in.txt": "x"})
        archive = await town.result("a/b c")
        assert archive.read("output/answer.txt") == b"found"
        assert archive.read("also.txt") == b"a/b c"
        lines = archive.read("task_logs.txt").decode().splitlines()
        assert sorted(lines) == ["/app/task ['/app/task/main.py'] True", "to error output"]
        report = archive.read("execution_log.txt").decode()
        assert "Status: COMPLETED" in report
        assert "Sandbox: docker" in report
        assert {"main.py", "helpers.py", "data/in.txt"} <= set(archive.namelist())
        await town.send("fails", {"run.py": "print('so far')\nraise SystemExit(9)"})
        failed = (await town.result("fails")).read("execution_log.txt").decode()
        assert "Status: FAILED" in failed
        assert "Exit code: 9" in failed
        status = await running.status()
        assert status["docker_available"] is True
        assert await running.end() == 0
    await town.none_left()


async def test_after_a_kill_the_same_container_ends_the_task_and_the_pool_has_each_number_once(
    town: Town,
) -> None:
    async with town.worker() as running:
        await town.send("counted", {"main.py": WAITING})  # it does not end while no worker runs
        await town.printed("counted", "number 40\n")
        before = await asyncio.to_thread(town.engine.docker, "ps", "-q", "--no-trunc")
        await running.kill()
    async with town.worker() as again:
        await again.said("goes on in container")
        after = await asyncio.to_thread(town.engine.docker, "ps", "-q", "--no-trunc")
        assert before == after != ""
        await asyncio.to_thread(town.engine.docker, "exec", after, *LET_GO)
        archive = await town.result("counted")
        assert "Status: COMPLETED" in archive.read("execution_log.txt").decode()
        numbers = [
            int(n) for n in re.findall(r"^number (\d+)$", archive.read("task_logs.txt").decode(), re.M)
        ]
        assert numbers == list(range(150))
        told = [
            int(n) for n in re.findall(r"^number (\d+)$", await town.pool.log(town.token, "counted"), re.M)
        ]
        assert told == list(range(150))
        await town.none_left()
        assert await again.end() == 0


async def test_a_worker_that_is_told_to_end_leaves_no_container_and_owes_the_archive(town: Town) -> None:
    async with town.worker() as running:
        await town.send("long", {"main.py": NUMBERED.replace("150", "5000")})
        await town.printed("long", "number 10\n")
        began = time.monotonic()
        assert await running.end() == 0
        assert time.monotonic() - began < 12
    await town.none_left()
    archive = await town.result("long")
    assert "Status: STOPPED" in archive.read("execution_log.txt").decode()
