"""The single writer: takes events in order, decides, commits to the journal, and only then acts.

It must not do anything slow itself: effects go to the performer, which answers with events.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from hivemind_worker.core.decide import Decision, decide
from hivemind_worker.core.state import State
from hivemind_worker.engine.ports import Journal
from hivemind_worker.model.effects import AnyEffect, ForgetSpool, Refused, Reply
from hivemind_worker.model.events import AnyEvent, TaskOffered
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.history import JournalEntry
from hivemind_worker.model.task import Delivery, Problem, Task, TaskKey

log = logging.getLogger(__name__)

QUEUE_LENGTH = 1000
RETRY_S = 1.0
"""Pause between tries to write a journal that cannot be written (a full disk)."""


@dataclass(slots=True)
class _Waiting:
    event: AnyEvent
    answer: asyncio.Future[Reply]


class Engine:
    """Owns the state. `tell` may be called from anywhere on the loop."""

    def __init__(
        self,
        *,
        journal: Journal,
        state: State,
        changed: Callable[[], None],
        result_is_kept: Callable[[TaskKey], bool],
    ) -> None:
        self.state = state
        self._journal = journal
        self._perform: Callable[[AnyEffect], None] = _nobody
        self._changed = changed
        self._result_is_kept = result_is_kept
        self._moved = asyncio.Event()
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(QUEUE_LENGTH)

    async def tell(self, event: AnyEvent) -> Reply:
        """Have the event decided on; what follows from it is durable when this returns."""
        waiting = _Waiting(event, asyncio.get_running_loop().create_future())
        await self._queue.put(waiting)
        return await waiting.answer

    def task(self, key: TaskKey) -> Task | None:
        """The open task of this key."""
        return self.state.tasks.get(key)

    async def packed(self) -> None:
        """Wait until every task has ended and its archive is packed."""
        while any(task.delivery is Delivery.NONE for task in self.state.tasks.values()):
            self._moved.clear()
            await self._moved.wait()

    async def run(self, perform: Callable[[AnyEffect], None]) -> None:
        """Decide on events until cancelled; `perform` starts what follows from them."""
        self._perform = perform
        while True:
            batch = [await self._queue.get()]
            # One commit serves all that came meanwhile: under load the disk decides the pace.
            while not self._queue.empty():
                batch.append(self._queue.get_nowait())
            for group in _groups(batch):
                await self._decide(group)

    async def _decide(self, group: list[_Waiting]) -> None:
        while True:
            state, decisions = self.state, []
            for waiting in group:
                decisions.append(decide(state, await self._informed(waiting.event)))
                state = decisions[-1].state
            entry = _entry(decisions)
            try:
                if entry != JournalEntry():
                    await self._journal.commit(entry)
                break
            except OSError as error:
                log.error("%s", error)
                if isinstance(group[0].event, TaskOffered):
                    self._refuse_unwritten(group[0], group[0].event)
                    return
                await asyncio.sleep(RETRY_S)  # nothing else can be decided before this is written
        self.state = state
        for waiting, decision in zip(group, decisions, strict=True):
            for effect in decision.effects:
                self._perform(effect)
            if not waiting.answer.done() and decision.reply is not None:
                waiting.answer.set_result(decision.reply)
        self._moved.set()
        self._changed()

    async def _informed(self, event: AnyEvent) -> AnyEvent:
        """An offer with what the journal knows of its id, read at the moment of deciding."""
        if not isinstance(event, TaskOffered):
            return event
        key = event.offer.key
        known = self.state.tasks.get(key) or await self._journal.find(key)
        return replace(event, known=known, result_kept=known is not None and self._result_is_kept(key))

    def _refuse_unwritten(self, waiting: _Waiting, event: TaskOffered) -> None:
        self._perform(ForgetSpool(spool=event.spool))
        problem = Problem(code=FaultCode.DISK_FULL, about="the journal cannot be written")
        if not waiting.answer.done():
            waiting.answer.set_result(Refused(problem=problem))


def _nobody(effect: AnyEffect) -> None:
    raise RuntimeError(f"{effect} before the engine runs")


def _groups(batch: list[_Waiting]) -> list[list[_Waiting]]:
    """Events that one commit may hold; an offer stands alone, as it is judged by what is committed."""
    groups: list[list[_Waiting]] = []
    for waiting in batch:
        alone = isinstance(waiting.event, TaskOffered)
        if alone or not groups or isinstance(groups[-1][0].event, TaskOffered):
            groups.append([waiting])
        else:
            groups[-1].append(waiting)
    return groups


def _entry(decisions: list[Decision]) -> JournalEntry:
    """All that the decisions change, as one transaction; the last row of a task counts."""
    tasks = {task.key: task for decision in decisions for task in decision.changed}
    nodes = [decision.node for decision in decisions if decision.node is not None]
    return JournalEntry(
        tasks=tuple(tasks.values()),
        node=nodes[-1] if nodes else None,
        lines=tuple(line for decision in decisions for line in decision.lines),
    )
