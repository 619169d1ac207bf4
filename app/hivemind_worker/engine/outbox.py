"""Results on their way to the pool, in turn, each tried until the pool has answered.

What is owed stands in the journal; this holds only the tries of this life of the worker.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from hivemind_worker.engine.folders import Folders
from hivemind_worker.engine.ports import PoolLink
from hivemind_worker.model.events import ResultDelivered, ResultRefused
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem, Task
from hivemind_worker.model.work import Sent
from hivemind_worker.nursery import Nursery, comes_within

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
AT_ONCE = 2  # one on its way, the next made ready
GATHER_S = 0.05
"""Answers within this time of one another are written down together: one commit and one look at the rest
for all. A worker that is killed meanwhile sends these results once more, as after a lost answer (F8)."""
RACE_S = 2.0
"""A result that arrives before the pool has written RUNNING is lost on it (protocol.md, quirk 4)."""


class Outbox:
    """Delivers owed results. `answered_at` holds the loop's time of each answer to an offer."""

    def __init__(
        self, *, link: PoolLink, folders: Folders, nursery: Nursery, clock: Callable[[], float],
        tell: Callable[[ResultDelivered | ResultRefused], Awaitable[object]],
        chance: random.Random | None = None,
    ) -> None:  # fmt: skip
        self._link = link
        self._folders = folders
        self._nursery = nursery
        self._clock = clock
        self._tell = tell
        self._chance = chance or random.Random()  # noqa: S311 - jitter, not a secret
        self._trying = asyncio.Semaphore(AT_ONCE)
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._woken = asyncio.Event()
        self._gathers_until_s = 0.0
        self.answered_at: dict[str, float] = {}

    def send(self, task: Task) -> None:
        """Start delivering the result of this task; a second order for it changes nothing."""
        if task.key not in self._under_way:
            self._under_way[task.key] = self._nursery.start(f"upload {task.key}", self._deliver(task))

    def answered(self, key: str) -> None:
        """An offer of this task has been answered just now."""
        self.answered_at[key] = asyncio.get_running_loop().time()

    def wake(self) -> None:
        """Try again now: the pool is back."""
        self._woken.set()
        self._woken = asyncio.Event()

    async def abandon(self) -> None:
        """Give up every delivery under way: the pool is left."""
        under_way = tuple(self._under_way.values())
        for delivery in under_way:
            delivery.cancel()
        if under_way:
            await asyncio.wait(under_way)

    async def settle(self, limit_s: float) -> None:
        """Wait until nothing is owed any more, at most so long."""
        if self._under_way:
            await asyncio.wait(set(self._under_way.values()), timeout=limit_s)

    async def _deliver(self, task: Task) -> None:
        pause_s = FIRST_PAUSE_S
        try:
            while True:
                await self._wait_for_the_race(task.key)
                async with self._trying:
                    sent = await self._try(task)
                if not sent.retry:
                    await self._conclude(task, sent)
                    return
                await self._sleep(self._chance.uniform(0, pause_s))
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        finally:
            self._under_way.pop(task.key, None)
            self.answered_at.pop(task.key, None)

    async def _try(self, task: Task) -> Sent:
        return await self._link.send_result(task.task_id, self._folders.result(task.key))

    async def _conclude(self, task: Task, sent: Sent) -> None:
        await self._gather()
        if sent.delivered:
            await self._tell(ResultDelivered(at_s=self._clock(), key=task.key, attempt=task.attempt))
            return
        problem = sent.problem or Problem(code=FaultCode.POOL_REFUSED, about="without a reason")
        said = "the pool will not take the result of task %s: %s"
        log.warning(said, task.key, problem.about, extra={"task": task.key})
        await self._tell(
            ResultRefused(at_s=self._clock(), key=task.key, attempt=task.attempt, problem=problem)
        )

    async def _gather(self) -> None:
        """The first answer goes on at once, those close behind it together."""
        now_s = asyncio.get_running_loop().time()
        if now_s < self._gathers_until_s:
            await asyncio.sleep(self._gathers_until_s - now_s)
        else:
            self._gathers_until_s = now_s + GATHER_S

    async def _wait_for_the_race(self, key: str) -> None:
        if self._link.prompt_results or key not in self.answered_at:
            return
        wait_s = self.answered_at[key] + RACE_S - asyncio.get_running_loop().time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    async def _sleep(self, pause_s: float) -> None:
        await comes_within(self._woken, max(pause_s, 0.05))
