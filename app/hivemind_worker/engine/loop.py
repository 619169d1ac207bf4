"""The single writer: takes events in order, decides, commits to the journal, and only then acts.

It must not do anything slow itself: effects go to the performer, which answers with events. A freeze alone
goes ahead of its commit (docs/decisions/0021): whoever comes to the computer waits for no disk.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hivemind_worker.core.admission import demand_problem
from hivemind_worker.core.decide import decide
from hivemind_worker.core.draft import Decision
from hivemind_worker.core.state import State
from hivemind_worker.engine.ports import Journal
from hivemind_worker.model.effects import AnyEffect, ForgetSpool, PauseRun, Refused, Reply, ResumeRun
from hivemind_worker.model.events import (
    AnyEvent,
    FactsSeen,
    GpuPauseAsked,
    PauseAsked,
    TaskOffered,
    TaskPauseAsked,
)  # fmt: skip
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.history import JournalEntry
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.task import Delivery, Problem, Task, TaskKey, TaskState

log = logging.getLogger(__name__)

QUEUE_LENGTH = 1000
RETRY_S = 1.0
"""Pause between tries to write a journal that cannot be written (a full disk)."""


HURRIED = (FactsSeen, PauseAsked, GpuPauseAsked, TaskPauseAsked)
"""Events whose freezes go ahead."""


@dataclass(slots=True)
class _Waiting:
    event: AnyEvent
    answer: asyncio.Future[Reply]
    ahead: list[PauseRun] = field(default_factory=list)  # freezes that are under way already


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
        self.trouble: Problem | None = None
        self._moved = asyncio.Event()
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(QUEUE_LENGTH)
        self._ahead: dict[TaskKey, PauseRun] = {}

    @property
    def shown(self) -> State:
        """The state as front ends and the pool should see it: with what blocks the journal just now."""
        return replace(self.state, blocker=self.trouble) if self.trouble else self.state

    async def tell(self, event: AnyEvent) -> Reply:
        """Have the event decided on; what follows from it is durable when this returns."""
        if self.trouble is not None and isinstance(event, TaskOffered):
            return self._unwritten(event)  # not behind what waits for the journal: the pool waits
        waiting = _Waiting(event, asyncio.get_running_loop().create_future())
        self._freeze_ahead(waiting)
        await self._queue.put(waiting)
        return await waiting.answer

    def _freeze_ahead(self, waiting: _Waiting) -> None:
        """Freezes take nothing from a task: should it be decided otherwise, it goes on."""
        if not isinstance(waiting.event, HURRIED) or self._perform is _nobody:
            return
        for effect in decide(self.state, waiting.event).effects:
            if isinstance(effect, PauseRun) and effect.key not in self._ahead:
                waiting.ahead.append(effect)
                self._ahead[effect.key] = effect
                self._perform(effect)

    def _act(self, effect: AnyEffect) -> None:
        if isinstance(effect, PauseRun) and self._ahead.pop(effect.key, None) == effect:
            return  # it went ahead
        if isinstance(effect, ResumeRun):
            self._ahead.pop(effect.key, None)
        self._perform(effect)

    def _let_go_on(self, waiting: _Waiting) -> None:
        """What was frozen ahead of this event and need not be after all."""
        for effect in waiting.ahead:
            if self._ahead.get(effect.key) is not effect:
                continue
            del self._ahead[effect.key]
            task = self.state.tasks.get(effect.key)
            if task is not None and task.attempt == effect.attempt and task.state is TaskState.RUNNING:
                self._perform(ResumeRun(key=effect.key, attempt=effect.attempt))

    def objection(self, demand: Resources) -> Problem | None:
        """Why no task of this demand would be taken now."""
        return demand_problem(self.shown, demand)

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
        while (decided := await self._written(group)) is None:
            if isinstance(group[0].event, TaskOffered):
                _answer(group[0], self._unwritten(group[0].event))
                return
            await asyncio.sleep(RETRY_S)  # nothing else can be decided before this is written
        self.state, decisions = decided
        for waiting, decision in zip(group, decisions, strict=True):
            for effect in decision.effects:
                self._act(effect)
            self._let_go_on(waiting)
            if decision.reply is not None:
                _answer(waiting, decision.reply)
        self._moved.set()
        self._changed()

    async def _written(self, group: list[_Waiting]) -> tuple[State, list[Decision]] | None:
        """What follows from the events, once the journal holds it; None when it takes nothing now."""
        state, decisions = self.state, []
        try:
            for waiting in group:
                decisions.append(decide(state, await self._informed(waiting.event)))
                state = decisions[-1].state
            entry = _entry(decisions)
            if self.trouble is not None:
                entry = _whole(entry, state)
            if entry != JournalEntry():
                await self._journal.commit(entry)
        except OSError as error:
            log.error("%s", error.strerror or error)
            self.trouble = _trouble(error)
            return None
        self.trouble = None
        return state, decisions

    async def _informed(self, event: AnyEvent) -> AnyEvent:
        """An offer with what the journal knows of its id, read at the moment of deciding."""
        if not isinstance(event, TaskOffered):
            return event
        key = event.offer.key
        known = self.state.tasks.get(key) or await self._journal.find(key)
        return replace(event, known=known, result_kept=known is not None and self._result_is_kept(key))

    def _unwritten(self, event: TaskOffered) -> Refused:
        """The answer to an offer that cannot be written down."""
        self._perform(ForgetSpool(spool=event.spool))
        return Refused(problem=self.trouble or _trouble(OSError()))


def _trouble(error: OSError) -> Problem:
    """Why nothing can be written down."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Problem(code=FaultCode.DISK_FULL, about="the journal cannot be written")
    return Problem(code=FaultCode.JOURNAL_UNWRITABLE, about=error.strerror or str(error))


def _answer(waiting: _Waiting, reply: Reply) -> None:
    if not waiting.answer.done():
        waiting.answer.set_result(reply)


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


def _whole(entry: JournalEntry, state: State) -> JournalEntry:
    """The entry with every open row: after trouble the journal may be another one, without some of them."""
    rows = {task.key: task for task in (*state.tasks.values(), *entry.tasks)}
    return replace(entry, tasks=tuple(rows.values()), node=state.node)


def _entry(decisions: list[Decision]) -> JournalEntry:
    """All that the decisions change, as one transaction; the last row of a task counts."""
    tasks = {task.key: task for decision in decisions for task in decision.changed}
    nodes = [decision.node for decision in decisions if decision.node is not None]
    return JournalEntry(
        tasks=tuple(tasks.values()),
        node=nodes[-1] if nodes else None,
        lines=tuple(line for decision in decisions for line in decision.lines),
    )
