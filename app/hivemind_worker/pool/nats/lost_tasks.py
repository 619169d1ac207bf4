"""Tasks that are taken back from workers: which are silent, have lost them, had left, or never end them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from hivemind_worker.model.pool_records import PoolNode, PoolTask, PoolTaskState
from hivemind_worker.model.task import TaskKey
from hivemind_worker.pool.local.task_log import TaskLog
from hivemind_worker.pool.nats.archives import NatsArchives
from hivemind_worker.pool.nats.book import NatsPoolBook
from hivemind_worker.pool.nats.engine import Engine
from hivemind_worker.pool.nats.layout import DAY_S, MOST_TRIES, OPEN_S, TaskRecord
from hivemind_worker.pool.nats.subjects import stop_subject

log = logging.getLogger(__name__)
OVERDUE_S = 3600.0
HELD_LOOK_S = 30.0
SILENT_S = 30.0
"""A worker that was not heard from for so long has lost its tasks."""
ANSWER_LOST_S = 20.0
"""A worker that was given a task says within this time that it has it."""


class LostTasks:
    """What one pool process does about them; `held_s`: for so long one worker may have a task at most."""

    def __init__(
        self, engine: Engine, book: NatsPoolBook, archives: NatsArchives, task_log: TaskLog, *,
        clock: Callable[[], float], monotonic: Callable[[], float], held_s: float,
    ) -> None:  # fmt: skip
        self._engine, self._book, self._archives, self._log = engine, book, archives, task_log
        self._clock, self._monotonic, self._held_s = clock, monotonic, held_s
        self._held_at, self._overdue_at = 0.0, monotonic() + OVERDUE_S
        self._heard: dict[str, float] = {}
        self._begun = monotonic()

    def hears_from_now(self) -> None:
        """What workers have said before was not heard here: nobody was silent."""
        self._begun = self._monotonic()

    def heard(self, node: PoolNode) -> None:
        """This worker is there."""
        self._heard[node.node_id] = self._monotonic()

    async def miss(self, key: TaskKey, name: str) -> None:
        """The worker is there and does not have what it was given: the answer was lost, or it began anew."""
        record = await self._book.record(key)
        if record is None or self._clock() - (record.task.started_at_s or 0.0) < ANSWER_LOST_S:
            return
        reason = f"{name} does not have the task any more"
        back = await self._book.take_back(key, name, reason, self._clock(), lost=True, refused=False)
        if back is not None:
            await self.tell_end(back, f"{reason} (try {back.lost} of {MOST_TRIES}).")

    async def take_up(self, name: str, key: TaskKey) -> None:
        """Who had asked has left, or waits no longer: the task waits for another."""
        reason = f"{name} had left before the task reached it"
        try:
            back = await self._book.take_back(key, name, reason, self._clock(), lost=False, refused=False)
            if back is not None:
                await self.tell_end(back, f"{reason}. Another worker gets it.")
        except OSError as error:  # the worker will say that it does not have it
            log.info("%s stays with %s for now: %s", key, name, error)

    async def tell_end(self, record: TaskRecord, text: str) -> None:
        """Write into the task's log what became of it; of one that has FAILED by now also why."""
        await self._log.system(record.task.key, text)
        if record.task.state is PoolTaskState.FAILED:
            await self._log.system(record.task.key, record.task.message)
            await self._archives.remove_task(record.task.key)

    async def look(self) -> None:
        """All that is to be looked at now and then.

        Raises:
            OSError, nats.errors.Error: the server is away.
        """
        await self.look_for_silent()
        await self._tell_stops()
        await self.look_for_held()
        await self.look_for_overdue()

    async def look_for_silent(self) -> None:
        """Take back what workers had that are not heard from."""
        for task in await self._book.tasks_in(PoolTaskState.RUNNING):
            node = self._book.node(task.node_id)
            if node is not None and node.asks and self._is_silent(task.node_id):
                await self._lose(task)

    async def _tell_stops(self) -> None:
        """Tell workers of stops that they have not heard."""
        for task in await self._book.untold_stops():
            node = self._book.node(task.node_id)
            if node is not None and node.asks and not self._is_silent(task.node_id):
                await self._engine.client.publish(stop_subject(task.node_id), task.key.encode())

    async def look_for_held(self) -> None:
        """Take back what a worker says it has and never ends."""
        if self._monotonic() < self._held_at:
            return
        self._held_at = self._monotonic() + min(HELD_LOOK_S, self._held_s)
        for record, limit_s in await self._book.held_too_long(self._held_s):
            key, name = record.task.key, record.task.node_id
            reason = f"{name} has had the task for more than {_span(limit_s)} without an end"
            back = await self._book.take_back(key, name, reason, self._clock(), lost=True, refused=True)
            if back is not None:
                waits = back.task.state is PoolTaskState.PENDING
                await self.tell_end(back, f"{reason}. {'Another worker gets the task.' if waits else ''}")

    async def look_for_overdue(self) -> None:
        """End what has waited or run so long without a change that it would vanish."""
        if self._monotonic() < self._overdue_at:
            return
        self._overdue_at = self._monotonic() + OVERDUE_S
        for record in await self._book.overdue():
            waited = record.task.state is PoolTaskState.PENDING
            text = f"{'No worker took it' if waited else 'It had no end'} within {OPEN_S / DAY_S:.0f} days."
            if await self._book.end(record.task.key, PoolTaskState.FAILED, text, self._clock()):
                await self._log.system(record.task.key, text)
                await self._archives.remove_task(record.task.key)

    def _is_silent(self, name: str) -> bool:
        since = max(self._heard.get(name, self._begun), self._begun)
        return self._monotonic() - since > SILENT_S

    async def _lose(self, task: PoolTask) -> None:
        reason = f"{task.node_id} was not heard from for {SILENT_S:.0f} s"
        record = await self._book.take_back(
            task.key, task.node_id, reason, self._clock(), lost=True, refused=False
        )  # fmt: skip
        if record is not None:
            waits = record.task.state is PoolTaskState.PENDING
            tries = f" (try {record.lost} of {MOST_TRIES})"
            await self.tell_end(
                record, f"{reason}{tries}. {'Another worker gets the task.' if waits else ''}"
            )


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.0f} hours" if seconds >= 7200 else f"{seconds / 60:.0f} minutes"
