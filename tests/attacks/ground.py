"""A whole worker as its owner runs it, a scripted pool, and what an attack must leave as it was."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.e2e.process import WorkerProcess, keep_login, worker
from tests.engine.harness import zip_of
from tests.fakes.pool import ScriptedPool
from tests.web import wire

MIB = 1 << 20
HELLO = zip_of({"main.py": "print('hello')\n"})


@dataclass
class Ground:
    """The worker under attack."""

    pool: ScriptedPool
    worker: WorkerProcess
    address: str
    _small: int = 0

    @property
    def pid(self) -> int:
        return self.worker.process.pid

    async def api(self, path: str = "/api/status") -> dict[str, Any]:
        """What the owner's own programs see."""
        from hivemind_worker.web.endpoint import read_endpoint

        places = self.worker.places
        endpoint = read_endpoint(places.endpoint_file)
        assert endpoint is not None
        answer = await wire.ask(endpoint.port, path, token=places.token_file.read_text().strip())
        assert answer.status == 200, answer.body
        return answer.values

    async def books_are_right(self, *, and_work: bool = True) -> None:
        """Everything lent is free again, nothing runs, nothing lies about; then a 1-unit task is taken."""
        status = await self.api()
        async with asyncio.timeout(20):
            while status["running_tasks"]:
                await asyncio.sleep(0.05)
                status = await self.api()
        assert status["available_resources"] == status["total_resources"]
        assert list(self.worker.places.spool.iterdir()) == []
        if and_work:
            self._small += 1
            await self.works(f"small {self._small}", cpu_usage=1)

    async def works(self, task_id: str, archive: bytes = HELLO, **demand: int) -> zipfile.ZipFile:
        """An honest task is taken and its result arrives."""
        answer = await self.pool.offer(self.address, task_id, archive, **demand)
        assert answer.success, answer.message
        return await self.result(task_id)

    async def result(self, task_id: str, count: int = 1, limit_s: float = 30.0) -> zipfile.ZipFile:
        await self.pool.until(lambda: len(self.pool.results[task_id]) >= count, limit_s)
        return zipfile.ZipFile(io.BytesIO(self.pool.results[task_id][-1]))

    def folders(self) -> set[str]:
        """Names of all that belongs to tasks."""
        places = self.worker.places
        return {path.name for folder in (places.tasks, places.spool) for path in folder.iterdir()}

    def said(self, text: str) -> list[str]:
        """Lines of the worker's log with this text."""
        return [line for line in self.worker.lines if text in line]

    def memory_mib(self) -> float:
        return float(psutil.Process(self.pid).memory_info().rss) / MIB

    def start_peak(self) -> None:
        """Measure the largest memory from here on."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def peak_mib(self) -> float:
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(text.partition("VmHWM:")[2].split()[0]) / 1024


@asynccontextmanager
async def ground(home: Path, **more: str) -> AsyncIterator[Ground]:
    """A worker that has registered with its pool."""
    async with ScriptedPool(prompt=True) as pool:
        keep_login(home, pool.address)
        async with worker(home, pool.address, **more) as made:
            await pool.heard("RegisterWorkerNode")
            yield Ground(pool, made, await made.address())
