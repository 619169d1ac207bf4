"""The life of a worker: everything up in order, everything down in order within 10 s."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Collection

from hivemind_worker.engine.janitor import clear_spool
from hivemind_worker.machine.single_instance import SingleInstance
from hivemind_worker.model.events import Restarted, ShutdownAsked
from hivemind_worker.model.fleet import Standing, Wish
from hivemind_worker.model.pools import Balance
from hivemind_worker.model.settings import Settings
from hivemind_worker.model.snapshot import LinkState, PoolView
from hivemind_worker.model.task import Problem, Task
from hivemind_worker.nursery import Nursery
from hivemind_worker.places import Places
from hivemind_worker.pool.address import parse_address
from hivemind_worker.pool.message_memory import keep_message_memory
from hivemind_worker.pool.session import Credentials
from hivemind_worker.presentation.fleet import standing_of
from hivemind_worker.presentation.recovery import recovery_words
from hivemind_worker.store.journal import SqliteJournal
from hivemind_worker.store.last_sign import last_figures_s, newest_s
from hivemind_worker.store.salvage import open_or_salvage, renewer
from hivemind_worker.store.worker_log import WorkerLog
from hivemind_worker.worker_node.doors import disk_problem
from hivemind_worker.worker_node.fleet import command_of
from hivemind_worker.worker_node.front import Front
from hivemind_worker.worker_node.parts import Hooks, Parts
from hivemind_worker.worker_node.rules import SourcesMaker

log = logging.getLogger(__name__)

FLUSH_LOOK_S = 0.02
SIGNED_IN = (LinkState.REGISTERED, LinkState.WAITING)
"""Results can be sent: also by a worker that is paused and says nothing of itself."""
RESTARTED_S = 3.0
STOP_TASKS_S, FLUSH_S, CLOSE_S, NURSERY_S, JOURNAL_S = 4.0, 2.5, 1.0, 0.5, 0.5
"""Shares of the 10 s in which a worker must have ended: tasks, uploads, doors (twice), the rest."""


def _stamp() -> str:
    return time.strftime("%Y%m%d-%H%M%S")


class WorkerNode(Front):
    """One worker: fits `engine.face.NodeFace`. Start it once, stop it once, from the loop's thread."""

    def __init__(
        self, *, settings: Settings, set_by_hand: Collection[str], places: Places, worker_log: WorkerLog,
        instance: SingleInstance | None = None, make_sources: SourcesMaker | None = None,
    ) -> None:  # fmt: skip
        """`instance`: the lock of the home, where the caller holds it already."""
        super().__init__(Parts(settings, set_by_hand, places, worker_log), make_sources)
        if instance is not None:
            self.parts.instance = instance
        self._quit = asyncio.Event()
        self._alive_s = 0.0

    async def start(self) -> Problem | None:
        """Bring everything up, or say why not; after a problem call `stop` all the same."""
        keep_message_memory()
        try:
            self.parts.places.make()
            problem = self.parts.instance.take()
        except OSError as error:
            return disk_problem(error)
        if problem is not None:
            return problem
        pool = parse_address(self.settings.master_address)
        if isinstance(pool, Problem):
            return pool
        return await self._open_journal() or await self._open_doors()

    async def _open_journal(self) -> Problem | None:
        parts, path = self.parts, self.parts.places.journal
        try:
            connection, wrong = await parts.journal_thread.call(open_or_salvage, path, _stamp())
            renew = renewer(path, _stamp, self._journal_renewed)
            parts.journal = SqliteJournal(connection, parts.journal_thread, renew)
            await parts.files.call(clear_spool, parts.folders)
            open_tasks, node = await parts.journal.open_tasks(), await parts.journal.node()
            self._alive_s = await self._last_sign_s(open_tasks)
        except OSError as error:
            return disk_problem(error)
        self.recovery = recovery_words(open_tasks, wrong)
        if self.recovery:
            log.warning("%s", self.recovery)
        problem = await self.rules.open()
        if problem is not None:
            return problem
        await self.facts.first_look()
        parts.build_engine(self.node_id, open_tasks, node, self.facts.around.blocker, self._hooks())
        return None

    async def _last_sign_s(self, open_tasks: tuple[Task, ...]) -> float:
        """Of the earlier life that left these; nothing of this life is written yet."""
        if not open_tasks:
            return 0.0
        folders = self.parts.folders
        written = [place(task.key) for task in open_tasks for place in (folders.log, folders.bookmark)]
        return max(await last_figures_s(self.parts.history), await self.parts.files.call(newest_s, written))

    async def _examine_journal(self) -> None:
        """Beside the work: its time grows with history, and the start must not wait for it."""
        try:
            await self.parts.journal.examine(self.parts.files)
        except OSError as error:
            log.warning("%s", error.strerror or error)

    def _journal_renewed(self, wrong: str) -> None:
        """Called in the journal's thread: damage was met while working."""
        self.recovery = recovery_words((), wrong)
        log.error("%s", self.recovery)

    def _hooks(self) -> Hooks:
        return Hooks(
            credentials=self._credentials,
            announcement=self.facts.announcement,
            pool_changed=self._pool_changed,
            changed=self.changed,
            standing=self._standing,
            obey=self._obey,
            quit_asked=self._quit.set,
        )

    def _standing(self) -> Standing:
        return standing_of(self.snapshot())

    async def _obey(self, wish: Wish) -> None:
        await self.ask(command_of(wish, time.time()))

    async def _credentials(self) -> Credentials | None:
        return await self.pools.credentials()

    def _pool_changed(self, view: PoolView) -> None:
        came_back = view.link in SIGNED_IN and self.pool_view.link not in SIGNED_IN
        self.pool_view = view
        self._note_balance(view)
        self.changed()
        if came_back:
            self.parts.outbox.wake()

    def _note_balance(self, view: PoolView) -> None:
        book = self.parts.balances
        if self._quit.is_set():  # its thread may be closed already
            return
        if view.balance is not None and view.user and book.is_news(view.address, view.user, view.balance):
            balance = Balance(at_s=view.last_heard_s or time.time(), amount=view.balance)
            self.parts.nursery.start("balance", book.note(view.address, view.user, balance))

    async def _open_doors(self) -> Problem | None:
        """Everything is ready inside: let the pool and the owner in."""
        nursery, engine = self.parts.nursery, self.parts.engine
        nursery.start("engine", engine.run(self.parts.performer.perform))
        nursery.start("first facts", engine.tell(self.rules.first_facts()))
        # Decided before anything that comes later; a full disk keeps only the writing of it waiting.
        restarted = nursery.start(
            "restarted", engine.tell(Restarted(at_s=time.time(), alive_s=self._alive_s))
        )
        await asyncio.wait({restarted}, timeout=RESTARTED_S)
        nursery.start("sandbox", self.facts.keep_sandbox_ready())
        await self.vpn.join()
        problem = await self.doors.open(self)
        if problem is not None:
            return problem
        nursery.start("pool", self.parts.link.run())
        nursery.start("journal", self._examine_journal())
        nursery.start("versions", self.releases.run())
        self.facts.start()
        self.vpn.start()
        self.rules.start()
        self.work.start()
        await self.sending.start()
        log.info(
            "worker %s is up: %s, dashboard and API at %s",
            self.node_id, self.doors.task_address or "no port for tasks", self.api_url,
        )  # fmt: skip
        return None

    async def wait_for_quit(self) -> None:
        """Return when the worker should end: `finish --quit`, or `quit` was called."""
        await self._quit.wait()

    def quit(self) -> None:
        """Ask for an orderly end; safe to call from a signal handler of the loop."""
        self._quit.set()

    async def stop(self) -> None:
        """End in order within 10 s: tasks stopped and packed, results sent or kept, doors closed."""
        parts = self.parts
        self._quit.set()
        self.facts.notes_figures = False
        if parts.has_engine:
            await self._stop_tasks()
            await self._close_doors()
        await parts.nursery.close(NURSERY_S)
        if parts.has_journal:
            with contextlib.suppress(TimeoutError):  # what it holds is durable already
                await asyncio.wait_for(parts.journal.close(), JOURNAL_S)
        await self.rules.close()
        await self.vpn.close()
        for thread in (parts.probe, parts.files, parts.journal_thread):
            thread.close(wait=False)
        parts.instance.give_up()

    async def _stop_tasks(self) -> None:
        """What cannot be sent in time stays owed in the journal and is sent at the next start."""
        engine = self.parts.engine
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TASKS_S):
                await engine.tell(ShutdownAsked(at_s=time.time()))
                await engine.packed()
        if self.pool_view.link is LinkState.REGISTERED:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._flush(), FLUSH_S)

    async def _flush(self) -> None:
        """Until nothing is owed; an upload begins only when the end of its task's log has been sent."""
        while self.parts.engine.state.tasks:
            await self.parts.outbox.settle(FLUSH_S)
            await asyncio.sleep(FLUSH_LOOK_S)

    async def _close_doors(self) -> None:
        """All at once, as one that is held up must not keep the others open; then what they used."""
        parts = self.parts
        doors = [*self.doors.closing(), parts.runtime.close(), self.pools.close()]
        for work in (
            doors,
            [
                parts.users.close(),
                parts.history.close(),
                parts.balances.close(),
                parts.records.close(),
                self.work.close(),
                self.curves.close(),
                parts.traffic.close(),
            ],
        ):
            closing = Nursery("closing")
            await asyncio.wait({closing.start("part", part) for part in work}, timeout=CLOSE_S)
            await closing.close(0)
