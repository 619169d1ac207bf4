"""Offers waiting tasks to nodes, at once: on an upload, a registration, a node that gets free.

The book is the truth; here are only the offers on their way and the waits after
refusals. An offer is written down before the call, so a result that comes sooner than
the answer to ExecuteTask finds its task (the original pool loses that race).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from hivemind_worker.model.pool_records import Demand, PoolNode, PoolTask, PoolTaskState
from hivemind_worker.model.task import TaskKey
from hivemind_worker.nursery import Nursery
from hivemind_worker.pool.local.archives import ArchiveStore
from hivemind_worker.pool.local.book import PoolBook
from hivemind_worker.pool.local.callout import Callout, Said, WorkerAnswer
from hivemind_worker.pool.local.patience import Patience
from hivemind_worker.pool.local.placing import Load, by_preference, load_of
from hivemind_worker.pool.local.roster import Roster
from hivemind_worker.pool.local.stops import Stops
from hivemind_worker.pool.local.task_log import TaskLog

log = logging.getLogger(__name__)
BYTES_ON_THEIR_WAY = 128 * 1024 * 1024  # archives in memory for offers, together (one alone may be larger)
SAME_NODE_TRIES = 3
FIRST_LOOKED_AT = 20
IDLE_LOOK_S = 10.0
AFTER_TROUBLE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """One offer on its way."""

    task: PoolTask
    node: PoolNode


class Dispatch:
    """The one place from which tasks are offered."""

    def __init__(
        self,
        *,
        book: PoolBook,
        roster: Roster,
        archives: ArchiveStore,
        callout: Callout,
        stops: Stops,
        task_log: TaskLog,
        nursery: Nursery,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._book, self._roster, self._archives, self._callout = book, roster, archives, callout
        self._stops, self._log, self._nursery, self._clock = stops, task_log, nursery, clock
        self._patience = Patience(monotonic)
        self._wake = asyncio.Event()
        self._flights: dict[TaskKey, Flight] = {}
        self._unclear: dict[TaskKey, str] = {}
        self._last_words: dict[TaskKey, str] = {}
        self._running: Counter[str] = Counter()

    async def load(self) -> None:
        """After a restart: nodes that may hold a waiting task are asked first."""
        self._unclear.update(await self._book.offered())

    def wake(self) -> None:
        """Look for work to hand out now."""
        self._wake.set()

    def freed(self, node_id: str) -> None:
        """A node has room again, or is new."""
        self._patience.freed(node_id)
        self.wake()

    def ended(self, key: TaskKey) -> None:
        """The task is not offered any more."""
        self._patience.forget(key)
        self._unclear.pop(key, None)
        self._last_words.pop(key, None)

    async def run(self) -> None:
        """Hand out tasks until cancelled."""
        while True:
            self._wake.clear()
            limit = await self._round_or_trouble()
            try:
                async with asyncio.timeout(limit):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _round_or_trouble(self) -> float:
        try:
            await self._round()
        except OSError as error:
            level = self._book.outage.level(logging.WARNING, error)
            log.log(level, "tasks wait, the pool's disk failed: %s", error)
            return AFTER_TROUBLE_S
        return min(IDLE_LOOK_S, self._patience.next_s() or IDLE_LOOK_S)

    async def _round(self) -> None:
        """Who has waited longest comes first; only tasks that somebody may take are looked at."""
        nodes = self._roster.awake()
        if not nodes:
            return
        load, wanted = await self._load(), set(await self._book.demands())
        seen: set[TaskKey] = set()
        while page := await self._next(nodes, load, wanted, seen):
            seen.update(task.key for task in page)
            for task in page:
                if not self._fits_on_the_way(task):
                    wanted.discard(task.demand)  # of thousands as large none would
                elif (node := self._choice(task, nodes, load)) is not None:
                    load.add(node.node_id, task)
                    self._start(task, node)

    async def _load(self) -> Load:
        running = await self._book.tasks_in(PoolTaskState.RUNNING)
        self._running = Counter(task.node_id for task in running)
        load = load_of(running)
        for flight in self._flights.values():
            load.add(flight.node.node_id, flight.task)
        return load

    async def _next(
        self, nodes: list[PoolNode], load: Load, wanted: set[Demand], seen: set[TaskKey]
    ) -> tuple[PoolTask, ...]:
        """More of the tasks that some node has room for: each time as many again as were looked at."""
        free = self._free(nodes)
        wanted = {demand for demand in wanted if any(load.has_room(node, demand) for node in free)}
        # Of the offers on their way as of now: those that have ended are in the book by now.
        return await self._book.waiting(wanted, FIRST_LOOKED_AT + len(seen), seen | self._flights.keys())

    def _free(self, nodes: list[PoolNode]) -> list[PoolNode]:
        """Those that may be made another offer now."""
        asked = Counter(flight.node.node_id for flight in self._flights.values())
        return [
            node
            for node in nodes
            if asked[node.node_id] < self._patience.window(node.node_id)
            and self._patience.is_over_for(node.node_id)
        ]

    def _fits_on_the_way(self, task: PoolTask) -> bool:
        under_way = sum(flight.task.archive_bytes for flight in self._flights.values())
        return not self._flights or under_way + task.archive_bytes <= BYTES_ON_THEIR_WAY

    def _choice(self, task: PoolTask, nodes: list[PoolNode], load: Load) -> PoolNode | None:
        free = {node.node_id for node in self._free(nodes)}
        usable = [
            node
            for node in self._sure_first(task, by_preference(nodes, load))
            if node.node_id in free
            and self._patience.is_over(task.key, node.node_id)
            and load.has_room(node, task.demand)
        ]
        return usable[0] if usable else None

    def _sure_first(self, task: PoolTask, nodes: list[PoolNode]) -> list[PoolNode]:
        """Only the node whose answer was lost, a few times, before the task may run twice."""
        node_id = self._unclear.get(task.key)
        same = [node for node in nodes if node.node_id == node_id]
        return same if same and self._patience.tries(task.key, same[0].node_id) <= SAME_NODE_TRIES else nodes

    def _start(self, task: PoolTask, node: PoolNode) -> None:
        self._flights[task.key] = flight = Flight(task=task, node=node)
        self._nursery.start(f"offer {task.key[:8]}", self._offer(flight))

    async def _offer(self, flight: Flight) -> None:
        task, node = flight.task, flight.node
        self._patience.tried(task.key, node.node_id)
        try:
            if await self._book.offer(task.key, node.node_id):
                async with self._archives.task(task.key) as archive:
                    answer = await self._callout.execute(node, task, archive)
                await self._settle(flight, answer)
        except FileNotFoundError:
            await self._lost_archive(task)
        except OSError as error:
            log.log(self._book.outage.level(logging.WARNING, error), "an offer was given up: %s", error)
        finally:
            del self._flights[task.key]
            self.wake()

    async def _settle(self, flight: Flight, answer: WorkerAnswer) -> None:
        task, node = flight.task, flight.node
        match answer.said:
            case Said.YES:
                await self._taken(task, node)
            case Said.UNCLEAR:
                self._unclear[task.key] = node.node_id
            case Said.NO | Said.NOTHING:
                self._unclear.pop(task.key, None)
                await self._book.withdraw(task.key, node.node_id)
        if answer.said is not Said.YES:
            self._patience.refused(node.node_id, is_idle=not self._running[node.node_id])
            await self._note(
                task, f"{node.node_id} did not take the task: {answer.text or 'no reason given'}"
            )

    async def _note(self, task: PoolTask, text: str) -> None:
        """A refusal is told once, not each time that it comes again."""
        if self._last_words.get(task.key) != text:
            self._last_words[task.key] = text
            await self._log.system(task.key, text)

    async def _taken(self, task: PoolTask, node: PoolNode) -> None:
        self._patience.accepted(task.key, node.node_id)
        self.ended(task.key)
        now = await self._book.begin(task.key, node.node_id, self._clock())
        if now.state is PoolTaskState.RUNNING and now.node_id != node.node_id:
            self._stops.tell(replace(now, node_id=node.node_id))  # another process was quicker
        elif now.state is PoolTaskState.RUNNING:
            await self._log.system(task.key, f"Running on {node.node_id}.")
        elif now.state is PoolTaskState.STOPPED and not now.has_result:
            self._stops.tell(now)  # it was stopped while the offer was on its way

    async def _lost_archive(self, task: PoolTask) -> None:
        text = "The task's archive is gone from the pool's disk."
        if await self._book.end(task.key, PoolTaskState.FAILED, text, self._clock()):
            await self._log.system(task.key, text)
        self.ended(task.key)
