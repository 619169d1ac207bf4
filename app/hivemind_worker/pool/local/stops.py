"""Tells workers that a task was stopped, until they have heard it or sent the result."""

from __future__ import annotations

import asyncio
import logging

from hivemind_worker.model.pool_records import PoolTask
from hivemind_worker.nursery import Nursery
from hivemind_worker.pool.local.book import PoolBook
from hivemind_worker.pool.local.callout import Callout, Said
from hivemind_worker.pool.local.roster import Roster

log = logging.getLogger(__name__)
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 10.0
TRIES = 60  # about ten minutes; a worker that comes back later sends its result anyway


class Stops:
    """Stop orders on their way, one a task at most."""

    def __init__(self, book: PoolBook, roster: Roster, callout: Callout, nursery: Nursery) -> None:
        self._book, self._roster, self._callout, self._nursery = book, roster, callout, nursery
        self._under_way: set[str] = set()

    async def load(self) -> None:
        """After a restart: tell those who have not heard it yet."""
        for task in await self._book.untold_stops():
            self.tell(task)

    def tell(self, task: PoolTask) -> None:
        """Begin to tell the task's node."""
        if task.key not in self._under_way:
            self._under_way.add(task.key)
            self._nursery.start(f"stop {task.key[:8]}", self._tell(task))

    async def _tell(self, task: PoolTask) -> None:
        try:
            delay = FIRST_WAIT_S
            for _ in range(TRIES):
                if await self._told(task):
                    return
                await asyncio.sleep(delay)
                delay = min(2 * delay, LONGEST_WAIT_S)
            said = "%s could not be told that task %s was stopped"
            log.warning(said, task.node_id, task.key, extra={"task": task.key})
        finally:
            self._under_way.discard(task.key)

    async def _told(self, task: PoolTask) -> bool:
        try:
            now = await self._book.task(task.key)
            node = self._roster.node(task.node_id)
            if now is None or now.has_result or node is None or node.asks:
                return True  # a node that asks is told where it asks
            answer = await self._callout.stop(node, task)
            # A refusal counts: the worker has heard it, and does not know the task.
            if answer.said in (Said.YES, Said.NO):
                await self._book.told(task.key)
                return True
        except OSError as error:
            log.log(self._book.outage.level(logging.WARNING, error), "a stop order waits: %s", error)
        return False
