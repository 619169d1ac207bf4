"""Keeps the rules fed with facts and tells the engine; fits `engine.face.RulesFace`.

Facts come from a thread of their own, each second; the first input after a rest comes by itself and is told
at once, without another look. How long it then took until all tasks were frozen is kept each time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from hivemind_worker.engine import preview
from hivemind_worker.machine.probes.facts import FactProbe, Sources, steady_s, usual
from hivemind_worker.machine.probes.load import OwnWork
from hivemind_worker.model.events import FactsSeen, RulesChanged
from hivemind_worker.model.facts import RuleFacts
from hivemind_worker.model.judgement import Judgement, RuleCode
from hivemind_worker.model.preview import Moment, Preview
from hivemind_worker.model.rules import Rules, change_rules
from hivemind_worker.model.task import Problem, TaskKey, TaskState
from hivemind_worker.model.yields import Yielding, YieldTimes, yield_times
from hivemind_worker.nursery import NamedThread, comes_within
from hivemind_worker.store.rules_file import load_rules, save_rules
from hivemind_worker.worker_node.parts import Parts

log = logging.getLogger(__name__)

EVERY_S = 1.0
RESTING_S = 5.0
"""Between looks while no rule depends on seconds."""
MOMENT_S = 300.0
REPLAY_S = 7 * 86400.0
FIRST_LOOK_S = 5.0

SourcesMaker = Callable[[Parts, Callable[[float], None]], Sources]


class RuleWatch:
    """One for a worker. `open` it before the engine decides on anything, `start` it after."""

    def __init__(self, parts: Parts, make_sources: SourcesMaker | None = None) -> None:
        self._parts = parts
        self._make_sources = make_sources or usual_sources
        self._thread = NamedThread("rule-facts")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._probe: FactProbe | None = None
        self._facts = RuleFacts(steady_s=0.0)
        self._touched = asyncio.Event()
        self._touched_s = 0.0
        self._changed = asyncio.Event()
        self._telling = asyncio.Lock()
        self._changing = asyncio.Lock()
        self._moment_at_s = 0.0

    async def open(self) -> Problem | None:
        """Read the rules file and take a first look."""
        self._loop = asyncio.get_running_loop()
        rules = await self._parts.files.call(load_rules, self._parts.places.rules_file)
        if isinstance(rules, Problem):
            return rules
        self._parts.rules = rules
        await self._parts.traffic.open()
        self._facts = await self._thread.call(self._open_probe, rules)
        return None

    def _open_probe(self, rules: Rules) -> RuleFacts:
        self._probe = FactProbe(self._make_sources(self._parts, self._from_thread))
        return self._probe.look(rules)

    def first_facts(self) -> FactsSeen:
        """The first event of a life: what was held back before a restart is not let go meanwhile."""
        return FactsSeen(at_s=time.time(), facts=self._facts)

    def start(self) -> None:
        """Look until the worker's nursery closes."""
        self._parts.nursery.start("rules", self._keep_looking())
        self._parts.nursery.start("touches", self._keep_yielding())

    async def close(self) -> None:
        """End what the sources have open."""
        if self._probe is not None:
            await self._thread.call(self._probe.close)
        self._thread.close(wait=False)

    # --- looking ------------------------------------------------------------------------------

    async def _keep_looking(self) -> None:
        looked_s = time.monotonic()
        while True:
            gap_s = EVERY_S if self._needs_seconds() else RESTING_S
            # From look to look: what one takes must not come on top for who waits for the computer. Sooner
            # when the rules change: another one may depend on seconds.
            await comes_within(self._changed, max(gap_s / 2, looked_s + gap_s - time.monotonic()))
            self._changed.clear()
            looked_s = time.monotonic()
            assert self._probe is not None
            self._parts.own = own_work(self._parts)
            facts = await self._thread.call(self._probe.look, self.current)
            await self._tell(facts, time.monotonic() - (facts.idle_s or 0.0))
            await self._parts.traffic.keep()
            await self._remember(facts)

    def _needs_seconds(self) -> bool:
        rules = self.current
        return rules.idle_on or rules.load_on or rules.full_screen_on or rules.programs_on

    def _from_thread(self, at_s: float) -> None:
        """Somebody touched the computer (called in another thread)."""
        if self._loop is not None and not self._loop.is_closed():
            self._touched_s = at_s
            self._loop.call_soon_threadsafe(self._touched.set)

    async def _keep_yielding(self) -> None:
        while True:
            await self._touched.wait()
            self._touched.clear()
            if self.current.idle_on:
                await self._tell(replace(self._facts, idle_s=0.0, steady_s=steady_s()), self._touched_s)

    async def _tell(self, facts: RuleFacts, input_s: float | None) -> None:
        """Have the rules judged; when that froze tasks because of an input, note how long it took.

        `input_s`: steady time of the last input; None where the rules are what has changed.
        """
        engine = self._parts.engine
        async with self._telling:
            if facts.steady_s < self._facts.steady_s:  # a touch was told while this look was taken
                return
            self._facts = facts
            running = [t.key for t in engine.state.tasks.values() if t.state is TaskState.RUNNING]
            was_used = in_use(engine.state.judgement)
            await engine.tell(FactsSeen(at_s=time.time(), facts=facts))
            if input_s is not None and running and in_use(engine.state.judgement) and not was_used:
                await self._note_yielding(running, input_s)

    async def _note_yielding(self, keys: Iterable[TaskKey], input_s: float) -> None:
        frozen = [key for key in keys if self._is_frozen(key)]
        await self._parts.performer.controlled(frozen)
        if (frozen_s := self._parts.performer.frozen_s(frozen)) is None:
            return
        took_ms = (frozen_s - input_s) * 1000
        log.info("the computer is in use: %d tasks frozen %.0f ms after the input", len(frozen), took_ms)
        yielding = Yielding(at_s=time.time(), tasks=len(frozen), took_ms=took_ms)
        self._parts.nursery.start("yielding", self._parts.records.add_yielding(yielding))

    def _is_frozen(self, key: TaskKey) -> bool:
        task = self._parts.engine.task(key)
        return task is not None and task.state is TaskState.PAUSED

    async def _remember(self, facts: RuleFacts) -> None:
        now_s = time.time()
        if abs(now_s - self._moment_at_s) >= MOMENT_S:
            self._moment_at_s = now_s
            await self._parts.records.add_moment(Moment(at_s=now_s, facts=facts))

    # --- the face -----------------------------------------------------------------------------

    @property
    def current(self) -> Rules:
        return self._parts.engine.state.rules if self._parts.has_engine else self._parts.rules

    async def change(self, untrusted_values: Mapping[str, object]) -> tuple[Problem, ...]:
        async with self._changing:
            rules, problems = change_rules(self.current, untrusted_values)
            if problems:
                return problems
            problem = await self._parts.files.call(save_rules, self._parts.places.rules_file, rules)
            if problem is not None:
                return (problem,)
            await self._parts.engine.tell(RulesChanged(at_s=time.time(), rules=rules))
        assert self._probe is not None
        facts = await self._thread.call(self._probe.look, rules)
        await self._tell(facts, None)
        self._changed.set()
        return ()

    async def next_day(self, rules: Rules) -> Preview:
        history = await self._parts.records.moments(time.time() - REPLAY_S)
        now = Moment(at_s=time.time(), facts=self._facts)
        conditions = self._parts.engine.state.node.conditions
        return await self._thread.call(preview.next_day, rules, history, now, conditions)

    async def replay(self, rules: Rules) -> Preview:
        history = await self._parts.records.moments(time.time() - REPLAY_S)
        return await self._thread.call(preview.replay, rules, history)

    async def yield_times(self) -> YieldTimes:
        return yield_times(await self._parts.records.yieldings())


def in_use(judgement: Judgement) -> bool:
    """Whether tasks are held because somebody uses the computer."""
    return any(rule.code is RuleCode.IN_USE and rule.counts for rule in judgement.rules)


def usual_sources(parts: Parts, touched: Callable[[float], None]) -> Sources:
    """This computer's own."""
    return usual(
        parts.places.data, lambda: parts.own, touched,
        gpu_heat=lambda: parts.gpu_celsius, month_bytes=parts.traffic.month_bytes,
    )  # fmt: skip


def own_work(parts: Parts) -> OwnWork:
    """The tasks' processes here; of those in another machine (Docker Desktop's) what they use."""
    if not parts.has_engine:
        return OwnWork()
    runtime, pids, unseen_cores = parts.runtime, list[int](), 0.0
    for task in parts.engine.state.tasks.values():
        if task.state not in (TaskState.RUNNING, TaskState.PAUSED):
            continue
        if (pid := runtime.process(task.key, task.attempt)) is not None:
            pids.append(pid)
        elif figures := runtime.figures(task.key, task.attempt):
            unseen_cores += figures.cores
    return OwnWork(pids=tuple(pids), unseen_cores=unseen_cores)
