"""What front ends see of the worker and ask of it: fits `engine.face.NodeFace`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

from hivemind_worker import __version__
from hivemind_worker.engine.face import Command
from hivemind_worker.engine.picture import picture
from hivemind_worker.machine.language import system_languages
from hivemind_worker.model.effects import Reply
from hivemind_worker.model.history import StoryLine
from hivemind_worker.model.machine import LogEntry, Sample
from hivemind_worker.model.metrics import Place, Point, Step, TaskPage, TaskWindow
from hivemind_worker.model.receipts import KeptReceipt
from hivemind_worker.model.settings import Settings, with_live_changes
from hivemind_worker.model.snapshot import LinkState, PoolView, Snapshot
from hivemind_worker.model.task import Problem, Task, TaskId, TaskKey, TaskState, key_of
from hivemind_worker.model.work import RunFigures, UsePoint
from hivemind_worker.model.worked import WorkHistory
from hivemind_worker.places import resources
from hivemind_worker.pool.address import parse_address
from hivemind_worker.presentation.catalogue import use_language
from hivemind_worker.releases.watch import ReleaseWatch, shipped_source
from hivemind_worker.store.receipts import Receipts, kept_receipt
from hivemind_worker.store.settings_file import change as change_settings_file
from hivemind_worker.store.settings_file import load as load_settings_file
from hivemind_worker.worker_node.care import Care
from hivemind_worker.worker_node.curves import Curves
from hivemind_worker.worker_node.doors import Doors, listening
from hivemind_worker.worker_node.facts import Facts
from hivemind_worker.worker_node.fleet import Fleet
from hivemind_worker.worker_node.parts import GIB, Parts, node_id_of
from hivemind_worker.worker_node.pools import Pools
from hivemind_worker.worker_node.rules import RuleWatch, SourcesMaker
from hivemind_worker.worker_node.sending import Sending
from hivemind_worker.worker_node.vpn import Vpn
from hivemind_worker.worker_node.worked import WorkWatch

MIN_KEY_DIGITS = 8


class Front:
    """The seen side of a worker. `recovery` says what the last start found."""

    def __init__(self, parts: Parts, make_sources: SourcesMaker | None = None) -> None:
        self.parts = parts
        self.rules = RuleWatch(parts, make_sources)
        self.doors = Doors(parts)
        self.facts = Facts(parts, self.doors)
        self.pools = Pools(parts, self.doors, self.changed)
        self.fleet = Fleet(parts)
        self.sending = Sending(parts, self.pools, self.changed)
        self.care = Care(parts, self)
        self.work = WorkWatch(parts)
        self.curves = Curves(parts)
        self.releases = ReleaseWatch(
            source=shipped_source(resources() / "release-list.json"),
            memory=parts.places.state / "versions.json", own=__version__,
            wanted=lambda: self.settings.look_for_versions, busy=lambda: bool(parts.engine.state.tasks),
            changed=self.changed,
        )  # fmt: skip
        self.vpn = Vpn(parts, self.doors, self)
        self.facts.vpn_problem = self.vpn.problem
        self.recovery = ""
        address = parts.settings.master_address
        self.pool_view = PoolView(address=address, link=LinkState.NOT_LOGGED_IN, since_s=time.time())
        self._watchers: list[Callable[[], None]] = []
        self._changing = asyncio.Lock()

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.parts.settings

    @property
    def node_id(self) -> str:
        """Name of this worker in its own displays."""
        return node_id_of(self.settings)

    @property
    def api_url(self) -> str:
        """Where the dashboard and the API are; empty until they are open."""
        return self.doors.api_url

    def snapshot(self) -> Snapshot:
        shown = picture(
            self.parts.engine.shown, at_s=time.time(), node_id=self.node_id, version=__version__,
            trust_threshold=self.settings.trust_threshold, pool=self.pool_view,
            runtime=self.facts.around.sandbox, grpc_address=self.doors.task_address, recovery=self.recovery,
            offer=self.facts.capacity.offer,
        )  # fmt: skip
        return replace(
            shown, switching_to=self.pools.switching_to, vpn=self.vpn.view, newer=self.releases.newer
        )

    def open_tasks(self) -> tuple[Task, ...]:
        return tuple(self.parts.engine.shown.tasks.values())

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        self._watchers.append(changed)
        return lambda: self._watchers.remove(changed)

    def changed(self) -> None:
        """Tell all who watch that the picture may have changed."""
        self.curves.wake()
        for changed in self._watchers:
            changed()

    async def ask(self, command: Command) -> Reply:
        reply = await self.parts.engine.tell(command)
        self.parts.link.wake()
        return reply

    def reconnect(self) -> None:
        self.parts.link.wake()
        self.parts.nursery.start("look at the settings", self._follow_file())

    async def _follow_file(self) -> None:
        """`login` may have written another pool's address."""
        kept = await self.kept_settings()
        if not isinstance(kept, Problem) and isinstance(kept.get("master_address"), str):
            await self.pools.follow(str(kept["master_address"]))

    def fetch_image(self) -> None:
        if self.parts.docker is not None:
            self.parts.docker.images.fetch()

    def stop_fetch(self) -> None:
        if self.parts.docker is not None:
            self.parts.docker.images.cancel()

    async def sample(self) -> Sample:
        return await self.facts.sample()

    async def history(self, step: Step, from_s: float, most: int) -> tuple[Point, ...]:
        return await self.parts.history.read(step, from_s, most)

    async def work_history(self, first: date, last: date) -> WorkHistory:
        return await self.work.history(first, last)

    async def kept_settings(self) -> Mapping[str, object] | Problem:
        return await self.parts.files.call(load_settings_file, self.parts.places.settings_file)

    def setting_sources(self) -> Mapping[str, str]:
        return self.parts.sources

    async def change_settings(self, untrusted_values: Mapping[str, object]) -> tuple[Problem, ...]:
        address = untrusted_values.get("master_address")
        parsed = parse_address(address) if isinstance(address, str) else None
        found = listening(
            str(untrusted_values.get("web_listen", self.settings.web_listen) or ""),
            str(untrusted_values.get("web_names", self.settings.web_names) or ""),
        )
        for problem in (parsed, found):
            if isinstance(problem, Problem):
                return (problem,)
        file = self.parts.places.settings_file
        async with self._changing:  # two at once would each keep what the other has taken back
            problems = await self.parts.files.call(change_settings_file, file, untrusted_values)
        if not problems:
            self._take_live(untrusted_values)
            if "master_address" in untrusted_values:
                await self.pools.follow(self.settings.master_address)
        return problems

    def _take_live(self, values: Mapping[str, object]) -> None:
        """Those that need no restart act now."""
        before = self.settings
        self.parts.settings = with_live_changes(before, values, self.parts.sources)
        self.parts.note_set_by_hand(values)
        self.parts.nursery.start("look after a change", self.facts.look_again())
        if self.settings.language != before.language:
            use_language(resources() / "locale", self.settings.language, system_languages())
        self.changed()

    async def ended_tasks(self, limit: int) -> tuple[Task, ...]:
        return await self.parts.journal.ended(limit)

    async def ended_page(
        self, limit: int, before: Place | None = None, state: TaskState | None = None
    ) -> TaskPage:
        return await self.parts.journal.ended_page(limit, before, state)

    async def ended_window(
        self, offset: int, limit: int, text: str = "", oldest_first: bool = False,
        states: tuple[TaskState, ...] = (),
    ) -> TaskWindow:  # fmt: skip
        return await self.parts.journal.ended_window(offset, limit, text, oldest_first, states)

    async def find_task(self, task_id: TaskId) -> Task | None:
        key = key_of(task_id)
        found = self.parts.engine.task(key) or await self.parts.journal.find(key)
        if found is None and len(task_id) >= MIN_KEY_DIGITS:
            found = await self.parts.journal.find_by_prefix(task_id)
        return found

    def task_figures(self, task: Task) -> RunFigures | None:
        """With what it takes of the graphics cards, which the cards' driver tells and no sandbox."""
        found = self.parts.runtime.figures(task.key, task.attempt)
        if found is None or not task.demand.gpu:
            return found
        first = self.parts.runtime.process(task.key, task.attempt)
        percent, memory_gb = self.facts.around.sample.gpu_use(first)
        memory_bytes = None if memory_gb is None else round(memory_gb * GIB)
        return replace(found, gpu_percent=percent, gpu_memory_bytes=memory_bytes)

    async def task_use(self, task: Task) -> tuple[UsePoint, ...]:
        return await self.curves.of(task)

    async def story(self, key: TaskKey) -> tuple[StoryLine, ...]:
        return await self.parts.journal.story(key)

    def output_log(self, key: TaskKey) -> Path:
        return self.parts.folders.log(key)

    async def receipt(self, key: TaskKey) -> Mapping[str, object] | None:
        return await self.parts.files.call(kept_receipt, self.parts.places.receipts / f"{key}.json")

    async def latest_receipts(self, most: int) -> tuple[KeptReceipt, ...]:
        ended, places = await self.parts.journal.ended(most), self.parts.places
        return await self.parts.files.call(Receipts(places.receipts, places.node_key).kept, ended)

    def result_archive(self, key: TaskKey) -> Path:
        return self.parts.folders.result(key)

    def dashboard_link(self) -> str:
        return self.doors.dashboard_link()

    def log_entries(self, after: int = 0) -> tuple[LogEntry, ...]:
        return self.parts.log.ring.entries(after)
