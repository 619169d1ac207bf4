"""The way in: what the pool offers is inspected, then put to the engine. Fits pool.server's handler."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path

from hivemind_worker.engine.outbox import Outbox
from hivemind_worker.engine.ports import Runtime, Workspaces
from hivemind_worker.model.effects import Refused, Reply
from hivemind_worker.model.events import AnyEvent, StopAsked, TaskOffered
from hivemind_worker.model.faults import FaultCode, sentence
from hivemind_worker.model.task import Offer, Problem, StopReason, TaskKey
from hivemind_worker.model.work import Inspection
from hivemind_worker.nursery import NamedThread

log = logging.getLogger(__name__)

REMEMBERED_REFUSALS = 500
MAX_MISSING_NAMED = 20


class Intake:
    """Answers the pool. The archive's file belongs to this object from the call on."""

    def __init__(
        self, *, workspaces: Workspaces, runtime: Runtime, files: NamedThread, outbox: Outbox,
        clock: Callable[[], float], tell: Callable[[AnyEvent], Awaitable[Reply]],
        pool: Callable[[], str] = lambda: "",
    ) -> None:  # fmt: skip
        self._workspaces = workspaces
        self._runtime = runtime
        self._files = files
        self._outbox = outbox
        self._clock = clock
        self._tell = tell
        self._pool = pool
        self._said: OrderedDict[tuple[TaskKey, FaultCode], None] = OrderedDict()

    async def offer(self, offer: Offer, spooled: Path) -> Reply:
        """Take or refuse a task; what was decided is durable when this returns."""
        found = await self._files.call(self._workspaces.inspect, spooled)
        entry, problem = ("", found) if isinstance(found, Problem) else (found.entry, self._lacking(found))
        reply = await self._tell(TaskOffered(
            at_s=self._clock(), offer=offer, spool=spooled.name, pool=self._pool(), entry=entry,
            problem=problem,
        ))  # fmt: skip
        if isinstance(reply, Refused):
            self._say_once(offer.key, reply.problem)
        return reply

    def _lacking(self, found: Inspection) -> Problem | None:
        missing = self._runtime.missing_packages(found.requirements)
        if not missing:
            return None
        return Problem(code=FaultCode.MISSING_PACKAGES, about=", ".join(missing[:MAX_MISSING_NAMED]))

    async def stop(self, key: TaskKey) -> Reply:
        """End a task because the pool says so."""
        return await self._tell(StopAsked(at_s=self._clock(), key=key, reason=StopReason.POOL))

    def answered(self, key: TaskKey) -> None:
        """The answer to an offer of this task has been sent."""
        self._outbox.answered(key)

    def _say_once(self, key: TaskKey, problem: Problem) -> None:
        """The pool repeats a refused offer every few seconds: one line a task and reason is enough."""
        if (key, problem.code) in self._said:
            return
        self._said[key, problem.code] = None
        if len(self._said) > REMEMBERED_REFUSALS:
            self._said.popitem(last=False)
        said = sentence(problem.code, problem.about)
        log.info("refused task %s: %s", key, said, extra={"task": key})
