"""Where a drill takes place: a home, a pool that logs every call, a relay between, life after life."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio

from tests.drills.findings import Sheet
from tests.drills.kinds import REFUSED, archive_of
from tests.drills.life import Life
from tests.drills.relay import Relay, relay_to
from tests.e2e.process import keep_login
from tests.fakes.pool import ScriptedPool

PATIENCE_S = 40.0


@dataclass
class Stand:
    """One home and its pool. `kinds` names what was accepted; `blur` counts faults of the line or the worker
    after which a result may honestly have been sent once more."""

    home: Path
    pool: ScriptedPool
    relay: Relay
    chance: random.Random
    sheet: Sheet
    changes: str = "hurry,impatient"
    where: str = ""
    lives: list[Life] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    line_faults: int = 0
    cpu_score: int = 60  # that its tasks ask for

    @property
    def life(self) -> Life:
        """The latest life."""
        return self.lives[-1]

    async def begin(self, **more: str) -> Life:
        """Start a worker in this home; the drill waits for as much of it as it needs."""
        usual = {"MASTER_ADDRESS": self.relay.address, "MAX_CONCURRENT_TASKS": "3"}
        life = await Life.begin(self.home, usual | more, self.changes)
        self.lives.append(life)
        return life

    async def up(self, **more: str) -> Life:
        """Start a worker and wait until it takes tasks and the pool knows it."""
        known = len(self.pool.of("RegisterWorkerNode"))
        life = await self.begin(**more)
        await life.ready()
        await self.pool.heard("RegisterWorkerNode", known + 1, PATIENCE_S)
        return life

    async def offer(self, task_id: str, kind: str) -> Any:
        """One offer as the pool makes it; None when the worker cannot be reached."""
        beats = self.pool.of("RegisterWorkerNode")
        if not beats:
            return None
        address = f"{beats[-1].fields['hostname']}:{beats[-1].fields['port']}"
        try:
            answer = await self.pool.offer(address, task_id, archive_of(kind), cpu_usage=self.cpu_score)
        except grpc.aio.AioRpcError:
            return None
        if answer.success:
            self.kinds[task_id] = kind
        return answer

    async def give(self, task_id: str, kind: str) -> None:
        """Offer until it is accepted; a hopeless one is, the third time."""
        async with asyncio.timeout(PATIENCE_S):
            while not ((answer := await self.offer(task_id, kind)) and answer.success):
                await asyncio.sleep(0.02 if kind == REFUSED else 0.1)

    async def stop(self, task_id: str) -> None:
        """The requester stops a task; nothing happens when the worker is away."""
        beats = self.pool.of("RegisterWorkerNode")
        with contextlib.suppress(grpc.aio.AioRpcError):
            await self.pool.stop(f"{beats[-1].fields['hostname']}:{beats[-1].fields['port']}", task_id)

    async def printed(self, task_id: str, text: str = "\n2\n", limit_s: float = PATIENCE_S) -> None:
        """Until the pool has this much of a task's output."""
        await self.pool.until(lambda: text in self.pool.outputs[task_id], limit_s)

    async def result(self, task_id: str, limit_s: float = PATIENCE_S) -> bytes:
        """The archive that the pool has of a task."""
        await self.pool.until(lambda: bool(self.pool.results[task_id]), limit_s)
        return self.pool.results[task_id][0]

    async def settled(self, limit_s: float = PATIENCE_S) -> None:
        """Until the worker has nothing open."""
        async with asyncio.timeout(limit_s):
            while (await self.life.ask("/api/v1/state"))["tasks"]:
                await asyncio.sleep(0.05)

    async def pool_goes(self) -> None:
        """The pool is away. Its port is free for others then: nothing may go through to it."""
        await self.pool.close()
        self.relay.refusing = True
        self.relay.cut()
        self.pool.port = 0

    async def pool_returns(self) -> None:
        """The pool listens again, behind the same address of the relay."""
        await self.pool.start()
        self.relay.target_port = self.pool.port
        self.relay.refusing = False

    def uploads(self, task_id: str) -> list[tuple[float, bytes]]:
        """When which archives of a task arrived."""
        calls = self.pool.of("TaskResultUpload")
        return [(c.at_s, c.fields["result_zip"]) for c in calls if c.fields["task_id"] == task_id]

    def life_at(self, at_s: float) -> int:
        """The number of the life that was then."""
        began = [number for number, life in enumerate(self.lives) if life.began_s <= at_s]
        return began[-1] if began else -1

    async def close(self) -> None:
        """End every process that was started here."""
        for life in self.lives:
            await life.kill()


@asynccontextmanager
async def stand(
    sheet: Sheet, seed: int, *, changes: str = "hurry,impatient", home: Path | None = None
) -> AsyncIterator[Stand]:
    """A stand with everything running but the worker; everything is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="hivemind-drill-"))
    async with ScriptedPool(prompt=True) as pool, relay_to(pool.port) as relay:
        made = Stand(home or folder, pool, relay, random.Random(seed), sheet, changes)
        keep_login(made.home, relay.address)
        try:
            yield made
        finally:
            await made.close()
            await asyncio.to_thread(shutil.rmtree, folder, True)
