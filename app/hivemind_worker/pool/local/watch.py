"""Looks at running tasks each second: nodes that fell silent, and minutes to be paid."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from hivemind_worker.model.pool_records import Moved, PoolTask, PoolTaskState
from hivemind_worker.pool.local.book import PoolBook
from hivemind_worker.pool.local.dispatch import Dispatch
from hivemind_worker.pool.local.limits import SILENCE_LIMIT_S
from hivemind_worker.pool.local.pay import cost_per_minute, minutes_due
from hivemind_worker.pool.local.roster import Roster
from hivemind_worker.pool.local.stops import Stops
from hivemind_worker.pool.local.task_log import TaskLog

log = logging.getLogger(__name__)
LOOK_S = 1.0


class Watch:
    """The pool's second hand."""

    def __init__(
        self,
        *,
        book: PoolBook,
        roster: Roster,
        dispatch: Dispatch,
        stops: Stops,
        task_log: TaskLog,
        clock: Callable[[], float],
        charges: bool,
    ) -> None:
        self._book, self._roster, self._dispatch, self._stops = book, roster, dispatch, stops
        self._log, self._clock, self._charges = task_log, clock, charges

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except OSError as error:
                level = self._book.outage.level(logging.WARNING, error)
                log.log(level, "running tasks were not looked at, the pool's disk failed: %s", error)

    async def look(self) -> None:
        """One look at every running task."""
        for task in await self._book.tasks_in(PoolTaskState.RUNNING):
            node = self._roster.node(task.node_id)
            asks = node is not None and node.asks  # then its task goes to another node (`pool.nats.desk`)
            if not asks and self._roster.is_silent(task.node_id):
                await self._lose(task)
            elif self._charges:
                await self._charge(task)

    async def _lose(self, task: PoolTask) -> None:
        """FAILED in the record; a result that comes later still completes the task."""
        text = f"{task.node_id} was not heard from for {SILENCE_LIMIT_S:.0f} s."
        if await self._book.end(task.key, PoolTaskState.FAILED, text, self._clock()):
            await self._log.system(task.key, text)
            self._dispatch.wake()

    async def _charge(self, task: PoolTask) -> None:
        node = self._roster.node(task.node_id)
        for _ in range(minutes_due(task, self._clock()) if node else 0):
            moved = await self._book.charge(task.key, node.account if node else "", cost_per_minute(task))
            if moved is Moved.SHORT:
                await self._out_of_funds(task)
            if moved is not Moved.DONE:
                return

    async def _out_of_funds(self, task: PoolTask) -> None:
        """STOPPED, and the worker is told, which the original forgets."""
        text = "Stopped: the requester's balance does not pay for another minute."
        if await self._book.end(task.key, PoolTaskState.STOPPED, text, self._clock()):
            await self._log.system(task.key, text)
            self._stops.tell(task)
