"""What one worker is made of, in two steps: what needs only the settings, then all that needs the journal."""

from __future__ import annotations

import platform
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hivemind_worker import __version__
from hivemind_worker.engine.crash_points import crash_step, watched_journal, watched_link
from hivemind_worker.engine.folders import Folders
from hivemind_worker.engine.intake import Intake
from hivemind_worker.engine.loop import Engine
from hivemind_worker.engine.outbox import Outbox
from hivemind_worker.engine.performer import Performer, RunLimits
from hivemind_worker.engine.picture import start_state
from hivemind_worker.machine.capacity import lent
from hivemind_worker.machine.interfaces import ipv4_addresses
from hivemind_worker.machine.probes.load import OwnWork
from hivemind_worker.machine.sampler import Sampler, available_memory_bytes
from hivemind_worker.machine.single_instance import SingleInstance
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.fleet import Standing, Wish
from hivemind_worker.model.machine import Gpu
from hivemind_worker.model.pools import is_asked
from hivemind_worker.model.resources import CPU_SCORE_PER_CORE, Resources
from hivemind_worker.model.rules import Rules
from hivemind_worker.model.settings import OVERRULING, Settings, rows
from hivemind_worker.model.snapshot import NodeState, PoolView
from hivemind_worker.model.task import Problem, Task, TaskKey
from hivemind_worker.model.work import Announcement
from hivemind_worker.nursery import NamedThread, Nursery
from hivemind_worker.places import Places, resources
from hivemind_worker.pool.chosen_link import ChosenLink
from hivemind_worker.pool.client import PoolClient
from hivemind_worker.pool.session import Credentials
from hivemind_worker.runtimes.choice import ChosenRuntime
from hivemind_worker.runtimes.docker.rules import docker_rules
from hivemind_worker.runtimes.docker.runtime import DockerRuntime
from hivemind_worker.runtimes.wasm.runtime import WasmRuntime
from hivemind_worker.runtimes.workspace import Workspace
from hivemind_worker.store.balances import BalanceBook
from hivemind_worker.store.history import MetricHistory
from hivemind_worker.store.journal import SqliteJournal
from hivemind_worker.store.receipts import Receipts
from hivemind_worker.store.records import Records
from hivemind_worker.store.secrets import login_store
from hivemind_worker.store.traffic import TrafficBook
from hivemind_worker.store.users import SqliteUsers
from hivemind_worker.store.work_book import WorkBook
from hivemind_worker.store.worker_log import WorkerLog

if TYPE_CHECKING:
    from hivemind_worker.pool.nats.pull_client import PullClient, Way

GIB, MIB = 1024**3, 1024**2


@dataclass(frozen=True, kw_only=True, slots=True)
class Hooks:
    """What the parts ask or tell the rest of the worker."""

    credentials: Callable[[], Awaitable[Credentials | None]]
    announcement: Callable[[], Announcement | None]
    pool_changed: Callable[[PoolView], None]
    changed: Callable[[], None]
    standing: Callable[[], Standing | None]
    obey: Callable[[Wish], Awaitable[None]]
    quit_asked: Callable[[], None]


def node_id_of(settings: Settings) -> str:
    """Name of this worker in its own displays."""
    port = f"-{settings.node_port}" if settings.node_port else ""
    return settings.node_id or f"worker-{platform.node() or 'host'}{port}"


class Parts:
    """Made with the worker; `build_engine` adds the rest. `settings` follows changes while it runs."""

    journal: SqliteJournal
    link: ChosenLink
    engine: Engine
    outbox: Outbox
    performer: Performer
    intake: Intake

    def __init__(
        self, settings: Settings, set_by_hand: Collection[str], places: Places, worker_log: WorkerLog
    ) -> None:
        self.settings = settings
        self.pool_address = settings.master_address  # of the active pool: another one may be switched to
        self.by_hand = frozenset(set_by_hand)
        self.sources = dict(set_by_hand) if isinstance(set_by_hand, Mapping) else {}
        self.places = places
        self.log = worker_log
        self.folders = Folders(places)
        self.instance = SingleInstance(places.lock_file)
        self.nursery = Nursery("worker")
        self.journal_thread = NamedThread("journal")
        self.files = NamedThread("files", threads=2)
        self.probe = NamedThread("probe")
        self.sampler = Sampler(places.data, roots=lambda: self.own.pids)
        self.traffic = TrafficBook(places.data)
        self.workspaces = Workspace(quota_bytes=int(settings.task_disk_gb * GIB))
        self.wasm = WasmRuntime(places.sandbox, available_memory=available_memory_bytes)
        self.docker = self._docker_runtime() if settings.docker_enabled else None
        self.runtime = ChosenRuntime(settings.runtime, wasm=self.wasm, docker=self.docker)
        self.logins = login_store(places)
        self.users = SqliteUsers(places.state)
        self.history = MetricHistory(places.data)
        self.sandbox_changed: Callable[[], None] = lambda: None
        self.balances = BalanceBook(places.data)
        self.work = WorkBook(places.data)
        self.records = Records(places.data)
        self.rules = Rules()  # those that the engine starts with
        self.gpu_celsius: float | None = None
        self.own = OwnWork()
        self.cards: tuple[Gpu, ...] = ()  # those that tasks can be given

    def _docker_runtime(self) -> DockerRuntime | None:
        """The Docker sandbox, unless the owner wants the built-in one alone."""
        if self.settings.runtime == "wasm":
            return None
        return DockerRuntime(
            self.places.data / "docker", docker_rules(self.settings), seccomp=resources() / "seccomp.json",
            node_id=node_id_of(self.settings), is_open=self._is_open, changed=self._sandbox_changed,
            moved=self.traffic.moved,
        )  # fmt: skip

    def _sandbox_changed(self) -> None:
        self.sandbox_changed()

    def _is_open(self, key: TaskKey, attempt: int) -> bool:
        """Whether a container of this pair may still be needed; yes until the journal has been read."""
        if not self.has_engine:
            return True
        task = self.engine.task(key)
        return task is not None and task.attempt == attempt and not task.state.has_ended

    @property
    def has_engine(self) -> bool:
        return hasattr(self, "engine")

    @property
    def has_journal(self) -> bool:
        return hasattr(self, "journal")

    def note_set_by_hand(self, changed: Mapping[str, object]) -> None:
        """The settings file has these values now, or (None) no longer."""
        live = {row.name for row in rows() if not row.metadata["restart"]} & changed.keys()
        for name in live - {key for key, source in self.sources.items() if source in OVERRULING}:
            if changed[name] is None:
                self.sources.pop(name, None)
            else:
                self.sources[name] = "file"
        self.by_hand = frozenset(self.by_hand - live) | (live & self.sources.keys())

    def lent(self) -> Resources:
        """What the owner lends, by the settings in force."""
        return lent(self.settings, self.by_hand, self.cards)

    def build_engine(
        self,
        node_id: str,
        open_tasks: tuple[Task, ...],
        node: NodeState,
        blocker: Problem | None,
        hooks: Hooks,
    ) -> None:
        """The journal is open: add all that works with it."""
        settings = self.settings
        state = start_state(open_tasks, node, self.lent(), settings.max_concurrent_tasks, blocker, self.rules)
        self.link = self._link(node_id, hooks)
        self.engine = Engine(
            journal=watched_journal(self.journal, crash_step()), state=state,
            changed=hooks.changed, result_is_kept=lambda key: self.folders.result(key).exists(),
        )  # fmt: skip
        self.outbox = Outbox(
            link=watched_link(self.link, crash_step()),
            folders=self.folders,
            nursery=self.nursery,
            clock=time.time,
            tell=self.engine.tell,
        )
        self.performer = Performer(
            folders=self.folders, workspaces=self.workspaces, runtime=self.runtime, link=self.link,
            outbox=self.outbox, files=self.files, nursery=self.nursery, limits=self._limits(),
            node_id=node_id, version=__version__, clock=time.time, tell=self.engine.tell,
            task=self.engine.task, quit_asked=hooks.quit_asked,
            receipts=Receipts(self.places.receipts, self.places.node_key),
        )  # fmt: skip
        self.intake = Intake(
            workspaces=self.workspaces, runtime=self.runtime, files=self.files, outbox=self.outbox,
            clock=time.time, tell=self.engine.tell, pool=lambda: self.pool_address,
        )  # fmt: skip

    def _link(self, node_id: str, hooks: Hooks) -> ChosenLink:
        """Both ways to a pool; the one that its address does not mean is silent."""
        settings = self.settings

        def told(asked: bool) -> Callable[[PoolView], None]:
            def tell(view: PoolView) -> None:
                if is_asked(self.pool_address) is asked:
                    hooks.pool_changed(view)

            return tell

        async def credentials() -> Credentials | None:
            return None if is_asked(self.pool_address) else await hooks.credentials()

        called = PoolClient(
            settings.master_address, credentials, hooks.announcement, told(False),
            files=self.files, interfaces=ipv4_addresses,
            machine_name=node_id if settings.pool_name == "machine" else "", moved=self.traffic.moved,
            network=settings.vpn_network,
        )  # fmt: skip
        return ChosenLink(settings.master_address, called, lambda: self._asking(hooks, told(True)))

    def _asking(self, hooks: Hooks, told: Callable[[PoolView], None]) -> PullClient:
        from hivemind_worker.pool.nats.pull_client import PullClient  # noqa: PLC0415 - for who needs it

        return PullClient(
            self.pool_address, self._way_to(hooks), hooks.announcement, told,
            handler=lambda: self.intake, held=lambda: tuple(self.engine.state.tasks),
            spool=self.places.spool, files=self.files, moved=self.traffic.moved,
            standing=hooks.standing, obey=hooks.obey,
            task_limit_s=self.settings.task_time_limit_h * 3600,
            objection=self.engine.objection,
        )  # fmt: skip

    def _way_to(self, hooks: Hooks) -> Callable[[str], Awaitable[Way | Problem]]:
        from hivemind_worker.pool.nats.pull_client import way_of_worker  # noqa: PLC0415

        async def way(address: str) -> Way | Problem:
            if not is_asked(self.pool_address):
                return Problem(code=FaultCode.NOT_LOGGED_IN)
            login = await hooks.credentials()
            user, password = (login.user, login.password) if login else ("", "")
            return await self.files.call(way_of_worker, address, self.places.pool_credential, user, password)

        return way

    def _limits(self) -> RunLimits:
        settings = self.settings
        return RunLimits(
            time_limit_s=settings.task_time_limit_h * 3600,
            disk_bytes=int(settings.task_disk_gb * GIB),
            log_bytes=int(settings.task_log_mb * MIB),
            max_cores=self.lent().cpu / CPU_SCORE_PER_CORE,
        )
