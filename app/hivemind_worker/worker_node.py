"""Composition root: builds every part of a worker from its settings, starts and stops them in order.

`python -m hivemind_worker.worker_node` runs it headless. Here, and only here, adapters meet
the ports that they fit; nothing is decided here.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import platform
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from hivemind_worker import __version__
from hivemind_worker.engine.crash_points import crash_step, watched_journal, watched_link
from hivemind_worker.engine.face import Command
from hivemind_worker.engine.folders import Folders
from hivemind_worker.engine.intake import Intake
from hivemind_worker.engine.janitor import Janitor, clear_spool
from hivemind_worker.engine.loop import Engine
from hivemind_worker.engine.outbox import Outbox
from hivemind_worker.engine.performer import Performer, RunLimits
from hivemind_worker.engine.picture import announcement, picture, start_state
from hivemind_worker.engine.surroundings import Surroundings
from hivemind_worker.machine.capacity import lent
from hivemind_worker.machine.interfaces import ipv4_addresses
from hivemind_worker.machine.sampler import Sampler, available_memory_bytes
from hivemind_worker.machine.single_instance import SingleInstance
from hivemind_worker.model.effects import Reply
from hivemind_worker.model.events import ClockTicked, FactsChanged, Restarted, ShutdownAsked
from hivemind_worker.model.faults import FaultCode, sentence
from hivemind_worker.model.history import StoryLine
from hivemind_worker.model.machine import LogEntry, Sample
from hivemind_worker.model.metrics import Place, Point, Step, TaskPage, point_values
from hivemind_worker.model.resources import CPU_SCORE_PER_CORE
from hivemind_worker.model.settings import Settings, with_live_changes
from hivemind_worker.model.snapshot import LinkState, Mode, NodeState, PoolView, Snapshot
from hivemind_worker.model.task import Problem, Task, TaskId, TaskKey, TaskState, key_of
from hivemind_worker.model.work import Announcement
from hivemind_worker.nursery import NamedThread, Nursery
from hivemind_worker.places import Places
from hivemind_worker.pool.address import choose_own_address, parse_address, resolve
from hivemind_worker.pool.client import PoolClient
from hivemind_worker.pool.server import TaskDoor
from hivemind_worker.pool.session import Credentials
from hivemind_worker.presentation.recovery import recovery_words
from hivemind_worker.runtimes.choice import ChosenRuntime
from hivemind_worker.runtimes.wasm.runtime import WasmRuntime
from hivemind_worker.runtimes.workspace import Workspace
from hivemind_worker.store.history import MetricHistory
from hivemind_worker.store.journal import SqliteJournal
from hivemind_worker.store.salvage import open_or_salvage, renewer
from hivemind_worker.store.secrets import login_store
from hivemind_worker.store.settings_file import change as change_settings_file
from hivemind_worker.store.settings_file import load as load_settings_file
from hivemind_worker.store.users import SqliteUsers
from hivemind_worker.store.worker_log import WorkerLog
from hivemind_worker.web.endpoint import remove_endpoint, write_endpoint
from hivemind_worker.web.local_api import LocalApi
from hivemind_worker.web.remote import Listening, keep_open, parse_listening
from hivemind_worker.web.token import load_or_make_token

log = logging.getLogger(__name__)

GIB, MIB = 1024**3, 1024**2
MIN_KEY_DIGITS = 8
FACTS_EVERY_S = 5.0
FRESH_S = 0.9  # a sample this young is shown again: processor use needs a while to be measured
TIDY_EVERY_S = 3600.0
FLUSH_LOOK_S = 0.02
RESTARTED_S = 3.0
STOP_TASKS_S, FLUSH_S, CLOSE_S, NURSERY_S, JOURNAL_S = 4.0, 2.5, 1.0, 0.5, 0.5
"""Shares of the 10 s in which a worker must have ended: tasks, uploads, doors (twice), the rest."""


def _stamp() -> str:
    return time.strftime("%Y%m%d-%H%M%S")


def _disk_problem(error: OSError) -> Problem:
    """Why the home cannot be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    about = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return Problem(code=FaultCode.DISK_FULL if full else FaultCode.NO_PERMISSION, about=about)


class WorkerNode:
    """One worker: fits `engine.face.NodeFace`. Start it once, stop it once, from the loop's thread."""

    def __init__(
        self, *, settings: Settings, set_by_hand: Collection[str], places: Places, worker_log: WorkerLog
    ) -> None:
        self.settings = settings
        self._by_hand = frozenset(set_by_hand)
        self._sources = dict(set_by_hand) if isinstance(set_by_hand, Mapping) else {}
        self._places = places
        self._log = worker_log
        self._folders = Folders(places)
        self._instance = SingleInstance(places.lock_file)
        self._nursery = Nursery("worker")
        self._journal_thread = NamedThread("journal")
        self._files = NamedThread("files", threads=2)
        self._probe = NamedThread("probe")
        self._sampler = Sampler(places.data)
        self._workspaces = Workspace(quota_bytes=int(settings.task_disk_gb * GIB))
        self._wasm = WasmRuntime(places.sandbox, available_memory=available_memory_bytes)
        self._runtime = ChosenRuntime(settings.runtime, wasm=self._wasm, docker=None)
        self._around = Surroundings(
            runtime=self._runtime,
            take_sample=self._take_sample,
            disk_needed_gb=settings.keep_free_gb + settings.task_disk_gb,
        )
        self._logins = login_store(places)
        self._users = SqliteUsers(places.state)
        self._history = MetricHistory(places.data)
        self._sampled_s = 0.0
        self._sampling, self._changing = asyncio.Lock(), asyncio.Lock()
        self._watchers: list[Callable[[], None]] = []
        self._pool_view = PoolView(
            address=settings.master_address, link=LinkState.NOT_LOGGED_IN, since_s=time.time()
        )
        self._announced_host, self._port = "", settings.node_port
        self._recovery = ""
        self._endpoint_is_told = False
        self._quit = asyncio.Event()

    # --- life -------------------------------------------------------------------------------

    async def start(self) -> Problem | None:
        """Bring everything up, or say why not; after a problem call `stop` all the same."""
        try:
            self._places.make()
            problem = self._instance.take()
        except OSError as error:
            return _disk_problem(error)
        if problem is not None:
            return problem
        pool = parse_address(self.settings.master_address)
        if isinstance(pool, Problem):
            return pool
        return await self._open_journal() or await self._open_doors()

    async def _open_journal(self) -> Problem | None:
        path = self._places.journal
        try:
            connection, wrong = await self._journal_thread.call(open_or_salvage, path, _stamp())
            renew = renewer(path, _stamp, self._journal_renewed)
            self._journal = SqliteJournal(connection, self._journal_thread, renew)
            await self._files.call(clear_spool, self._folders)
            open_tasks, node = await self._journal.open_tasks(), await self._journal.node()
        except OSError as error:
            return _disk_problem(error)
        self._recovery = recovery_words(open_tasks, wrong)
        if self._recovery:
            log.warning("%s", self._recovery)
        await self._around.look()
        self._build_engine(open_tasks, node)
        return None

    def _journal_renewed(self, wrong: str) -> None:
        """Called in the journal's thread: damage was met while working."""
        self._recovery = recovery_words((), wrong)
        log.error("%s", self._recovery)

    def _build_engine(self, open_tasks: tuple[Task, ...], node: NodeState) -> None:
        settings = self.settings
        total = lent(settings, self._by_hand)
        state = start_state(open_tasks, node, total, settings.max_concurrent_tasks, self._around.blocker)
        self._link = PoolClient(
            settings.master_address, self._credentials, self._announcement, self._pool_changed,
            files=self._files, interfaces=ipv4_addresses,
            machine_name=self.node_id if settings.pool_name == "machine" else "",
        )  # fmt: skip
        self._engine = Engine(
            journal=watched_journal(self._journal, crash_step()), state=state,
            changed=self._changed, result_is_kept=lambda key: self._folders.result(key).exists(),
        )  # fmt: skip
        self._outbox = Outbox(
            link=watched_link(self._link, crash_step()),
            folders=self._folders,
            nursery=self._nursery,
            clock=time.time,
            tell=self._engine.tell,
        )
        self._performer = Performer(
            folders=self._folders, workspaces=self._workspaces, runtime=self._runtime, link=self._link,
            outbox=self._outbox, files=self._files, nursery=self._nursery, limits=self._limits(),
            node_id=self.node_id, version=__version__, clock=time.time, tell=self._engine.tell,
            task=self._engine.task, quit_asked=self._quit.set,
        )  # fmt: skip
        self._intake = Intake(
            workspaces=self._workspaces, runtime=self._runtime, files=self._files, outbox=self._outbox,
            clock=time.time, tell=self._engine.tell,
        )  # fmt: skip
        self._door: TaskDoor | None = None
        self._api: LocalApi | None = None

    def _limits(self) -> RunLimits:
        settings = self.settings
        return RunLimits(
            time_limit_s=settings.task_time_limit_h * 3600,
            disk_bytes=int(settings.task_disk_gb * GIB),
            log_bytes=int(settings.task_log_mb * MIB),
            max_cores=lent(settings, self._by_hand).cpu / CPU_SCORE_PER_CORE,
        )

    async def _open_doors(self) -> Problem | None:
        """Everything is ready inside: let the pool and the owner in."""
        self._nursery.start("engine", self._engine.run(self._performer.perform))
        # Decided before anything that comes later; a full disk keeps only the writing of it waiting.
        restarted = self._nursery.start("restarted", self._engine.tell(Restarted(at_s=time.time())))
        await asyncio.wait({restarted}, timeout=RESTARTED_S)
        self._nursery.start("sandbox", self._prepare_sandbox())
        problem = await self._open_door() or await self._open_api()
        if problem is not None:
            return problem
        self._nursery.start("pool", self._link.run())
        self._nursery.start("facts", self._keep_looking())
        self._nursery.start("tidy", self._keep_tidy())
        log.info(
            "worker %s is up: %s, dashboard and API at %s", self.node_id, self._door_address, self.api_url
        )
        return None

    async def _credentials(self) -> Credentials | None:
        """The kept login, when it is one for the pool in use."""
        login = await self._probe.call(self._logins.find)
        if login is None or login.pool != self.settings.master_address:
            return None
        return Credentials(user=login.user, password=login.password, plain=login.plain)

    async def _open_door(self) -> Problem | None:
        pool_ips = await self._pool_ips()
        own = choose_own_address(ipv4_addresses(), pool_ips, self.settings.bind_address)
        if isinstance(own, Problem):
            return own
        if own.warning:
            log.warning("%s", own.warning)
        self._door = TaskDoor(
            self._intake, peers=self._peers(pool_ips), spool=self._places.spool, files=self._files
        )
        port = await self._door.open(own.bind, self.settings.node_port)
        if isinstance(port, Problem):
            return port
        self._announced_host, self._port = own.announce, port
        return None

    def _peers(self, pool_ips: tuple[str, ...]) -> tuple[str, ...]:
        """Addresses that may send tasks: those set by hand, else the pool's own."""
        by_hand = tuple(part.strip() for part in self.settings.pool_peers.split(",") if part.strip())
        return by_hand or pool_ips

    async def _pool_ips(self) -> tuple[str, ...]:
        pool = parse_address(self.settings.master_address)
        return () if isinstance(pool, Problem) else await resolve(pool.host, self._probe)

    async def _open_api(self) -> Problem | None:
        token = await self._files.call(load_or_make_token, self._places.token_file)
        problem = await self._users.open()
        if problem is not None:  # the worker works without its dashboard's accounts
            log.warning("%s", sentence(problem.code, problem.about))
        self._api = LocalApi(self, token, users=self._users)
        searching = "web_port" not in self._by_hand
        port = await self._api.start(port=self.settings.web_port, search=searching)
        if isinstance(port, Problem):
            return port
        self._tell_endpoint()
        return self._open_remote(self._api)

    def _open_remote(self, api: LocalApi) -> Problem | None:
        """Let other computers in when the owner has said so; one that is not there yet is waited for."""
        listening = self._listening(self.settings.web_listen, self.settings.web_names)
        if isinstance(listening, Problem) or listening is None:
            return listening
        where = f"https://{listening.names[0]}:{listening.port}"

        def opened(fingerprint: str) -> None:
            log.info(
                "the dashboard is open to other computers at %s, certificate SHA-256 %s", where, fingerprint
            )

        self._nursery.start("remote", keep_open(api, listening, self._places.state, self._files, opened))
        return None

    def _listening(self, web_listen: str, web_names: str) -> Listening | Problem | None:
        own = [address for found in ipv4_addresses().values() for address in found]
        return parse_listening(web_listen, web_names, own, platform.node())

    def _tell_endpoint(self) -> None:
        """Tell the commands where the API is; on a full disk that waits for room, as everything does."""
        try:
            write_endpoint(
                self._places.endpoint_file, url=self.api_url, pid=os.getpid(), started_at_s=time.time()
            )
            self._endpoint_is_told = True
        except OSError as error:
            problem = _disk_problem(error)
            log.error("%s", sentence(problem.code, problem.about))

    async def wait_for_quit(self) -> None:
        """Return when the worker should end: `finish --quit`, or `quit` was called."""
        await self._quit.wait()

    def quit(self) -> None:
        """Ask for an orderly end; safe to call from a signal handler of the loop."""
        self._quit.set()

    async def stop(self) -> None:
        """End in order within 10 s: tasks stopped and packed, results sent or kept, doors closed."""
        self._quit.set()
        if hasattr(self, "_engine"):
            await self._stop_tasks()
            await self._close_doors()
        await self._nursery.close(NURSERY_S)
        if hasattr(self, "_journal"):
            with contextlib.suppress(TimeoutError):  # what it holds is durable already
                await asyncio.wait_for(self._journal.close(), JOURNAL_S)
        for thread in (self._probe, self._files, self._journal_thread):
            thread.close(wait=False)
        self._instance.give_up()

    async def _stop_tasks(self) -> None:
        """What cannot be sent in time stays owed in the journal and is sent at the next start."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TASKS_S):
                await self._engine.tell(ShutdownAsked(at_s=time.time()))
                await self._engine.packed()
        if self._pool_view.link is LinkState.REGISTERED:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._flush(), FLUSH_S)

    async def _flush(self) -> None:
        """Until nothing is owed; an upload begins only when the end of its task's log has been sent."""
        while self._engine.state.tasks:
            await self._outbox.settle(FLUSH_S)
            await asyncio.sleep(FLUSH_LOOK_S)

    async def _close_doors(self) -> None:
        """All at once, as one that is held up must not keep the others open; then what they used."""
        remove_endpoint(self._places.endpoint_file, pid=os.getpid())
        doors = [door.close() for door in (self._api, self._door) if door is not None]
        for work in ([*doors, self._runtime.close()], [self._users.close(), self._history.close()]):
            closing = Nursery("closing")
            await asyncio.wait({closing.start("part", part) for part in work}, timeout=CLOSE_S)
            await closing.close(0)

    # --- facts ------------------------------------------------------------------------------

    async def _take_sample(self) -> Sample:
        sample = await self._probe.call(self._sampler.take)
        self._sampled_s = time.monotonic()
        self._note(sample)
        return sample

    def _note(self, sample: Sample) -> None:
        """Keep the figures for the history; the state is there once the engine is."""
        if not hasattr(self, "_engine"):
            return
        shown = self._engine.shown
        paused = shown.node.mode is Mode.PAUSED
        over = self._history.add(time.time(), point_values(sample, len(shown.unended()), paused))
        if over is not None and not self._quit.is_set():
            self._nursery.start("metrics", self._history.write(over))

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(FACTS_EVERY_S)
            if not self._endpoint_is_told:
                self._tell_endpoint()
            await self._look_again()
            await self._engine.tell(ClockTicked(at_s=time.time()))

    async def _look_again(self) -> None:
        await self._around.look()
        total = lent(self.settings, self._by_hand)
        await self._engine.tell(FactsChanged(at_s=time.time(), total=total, blocker=self._around.blocker))

    async def _keep_tidy(self) -> None:
        janitor = Janitor(
            folders=self._folders, workspaces=self._workspaces, files=self._files, find=self._journal.find,
            is_open=lambda key: key in self._engine.state.tasks, clock=time.time,
            keep_s=self.settings.result_keep_days * 86400,
            quota_bytes=int(self.settings.result_quota_gb * GIB),
        )  # fmt: skip
        while True:
            await janitor.tidy()
            await asyncio.sleep(TIDY_EVERY_S)

    async def _prepare_sandbox(self) -> None:
        problem = await self._wasm.prepare(_tell_progress())
        await self._look_again()
        if problem is None:
            log.info("sandbox ready: %s", self._around.sandbox.detail)
        else:
            log.error("%s", sentence(problem.code, problem.about))

    def _announcement(self) -> Announcement | None:
        return announcement(
            self._engine.shown, sample=self._around.sample, hostname=self._announced_host, port=self._port,
            region=self.settings.region, docker=self._around.sandbox.name == "docker",
        )  # fmt: skip

    def _pool_changed(self, view: PoolView) -> None:
        came_back = view.link is LinkState.REGISTERED and self._pool_view.link is not LinkState.REGISTERED
        self._pool_view = view
        self._changed()
        if came_back:
            self._outbox.wake()

    # --- what front ends see ----------------------------------------------------------------

    @property
    def node_id(self) -> str:
        """Name of this worker in its own displays."""
        port = f"-{self.settings.node_port}" if self.settings.node_port else ""
        return self.settings.node_id or f"worker-{platform.node() or 'host'}{port}"

    @property
    def api_url(self) -> str:
        return self._api.url if self._api is not None else ""

    @property
    def _door_address(self) -> str:
        return self._door.address if self._door is not None else ""

    def snapshot(self) -> Snapshot:
        return picture(
            self._engine.shown, at_s=time.time(), node_id=self.node_id, version=__version__,
            trust_threshold=self.settings.trust_threshold, pool=self._pool_view, runtime=self._around.sandbox,
            grpc_address=self._door_address, recovery=self._recovery,
        )  # fmt: skip

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        self._watchers.append(changed)
        return lambda: self._watchers.remove(changed)

    def _changed(self) -> None:
        for changed in self._watchers:
            changed()

    async def ask(self, command: Command) -> Reply:
        reply = await self._engine.tell(command)
        self._link.wake()
        return reply

    def reconnect(self) -> None:
        self._link.wake()

    async def sample(self) -> Sample:
        async with self._sampling:  # many may ask at once: one look serves them all
            if time.monotonic() - self._sampled_s > FRESH_S:
                self._around.sample = await self._take_sample()
        return self._around.sample

    async def history(self, step: Step, from_s: float, most: int) -> tuple[Point, ...]:
        return await self._history.read(step, from_s, most)

    async def kept_settings(self) -> Mapping[str, object] | Problem:
        return await self._files.call(load_settings_file, self._places.settings_file)

    def setting_sources(self) -> Mapping[str, str]:
        return self._sources

    async def change_settings(self, untrusted_values: Mapping[str, object]) -> tuple[Problem, ...]:
        address = untrusted_values.get("master_address")
        parsed = parse_address(address) if isinstance(address, str) else None
        listening = self._listening(
            str(untrusted_values.get("web_listen", self.settings.web_listen) or ""),
            str(untrusted_values.get("web_names", self.settings.web_names) or ""),
        )
        for problem in (parsed, listening):
            if isinstance(problem, Problem):
                return (problem,)
        async with self._changing:  # two at once would each keep what the other has taken back
            problems = await self._files.call(
                change_settings_file, self._places.settings_file, untrusted_values
            )
        if not problems:
            self.settings = with_live_changes(self.settings, untrusted_values, self._sources)
            self._changed()
        return problems

    async def ended_tasks(self, limit: int) -> tuple[Task, ...]:
        return await self._journal.ended(limit)

    async def ended_page(
        self, limit: int, before: Place | None = None, state: TaskState | None = None
    ) -> TaskPage:
        return await self._journal.ended_page(limit, before, state)

    async def find_task(self, task_id: TaskId) -> Task | None:
        key = key_of(task_id)
        found = self._engine.task(key) or await self._journal.find(key)
        if found is None and len(task_id) >= MIN_KEY_DIGITS:
            found = await self._journal.find_by_prefix(task_id)
        return found

    async def story(self, key: TaskKey) -> tuple[StoryLine, ...]:
        return await self._journal.story(key)

    def output_log(self, key: TaskKey) -> Path:
        return self._folders.log(key)

    def result_archive(self, key: TaskKey) -> Path:
        return self._folders.result(key)

    def log_entries(self, after: int = 0) -> tuple[LogEntry, ...]:
        return self._log.ring.entries(after)


def _tell_progress() -> Callable[[float, str], None]:
    """Logs each tenth of a slow preparation: it takes seconds, with the larger pack a minute."""
    told: set[tuple[str, int]] = set()

    def tell(share: float, text: str) -> None:
        step = (text, int(share * 10))
        if step not in told and share < 1:
            told.add(step)
            log.info("sandbox: %s, %d %%", text, step[1] * 10)

    return tell


if __name__ == "__main__":
    import runpy
    import sys

    sys.argv[1:1] = ["run"]
    runpy.run_module("hivemind_worker", run_name="__main__")
