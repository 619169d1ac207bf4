"""A whole engine on a temporary home: real journal, real workspaces; the sandbox and the pool are fakes."""

from __future__ import annotations

import asyncio
import hashlib
import io
import time
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from hivemind_worker.engine.folders import Folders
from hivemind_worker.engine.intake import Intake
from hivemind_worker.engine.loop import Engine
from hivemind_worker.engine.outbox import Outbox
from hivemind_worker.engine.performer import Performer, RunLimits
from hivemind_worker.engine.picture import start_state
from hivemind_worker.model.effects import Reply
from hivemind_worker.model.events import Restarted
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.snapshot import RuntimeView
from hivemind_worker.model.task import Offer, Outcome, TaskId, TaskKey, key_of
from hivemind_worker.model.work import RunOrder
from hivemind_worker.nursery import NamedThread, Nursery
from hivemind_worker.places import find_places
from hivemind_worker.runtimes.workspace import Workspace
from hivemind_worker.store.journal import SqliteJournal
from hivemind_worker.store.salvage import open_or_salvage
from tests.fakes.link import FakeLink

TOTAL = Resources(cpu=400, memory_gb=8)
OK = Outcome(exit_code=0, problem=None)
Program = Callable[[RunOrder, Callable[[bytes], Awaitable[None]]], Awaitable[Outcome]]


async def hello(order: RunOrder, output: Callable[[bytes], Awaitable[None]]) -> Outcome:
    """The program of most tests: a line and a file."""
    await output(b"hello\n")
    (order.workspace / "out.txt").write_text("done")
    return OK


class ScriptedRuntime:
    """Runs a coroutine in place of a program; stop cancels it."""

    name = "fake"

    def __init__(self, program: Program = hello) -> None:
        self.program = program
        self.missing: tuple[str, ...] = ()
        self.runs: list[RunOrder] = []
        self.calls: list[tuple[str, TaskKey]] = []
        self.limits: dict[TaskKey, float] = {}
        self._running: dict[TaskKey, asyncio.Task[Outcome]] = {}

    async def view(self) -> RuntimeView:
        return RuntimeView(name=self.name, ready=True)

    def missing_packages(self, requirements: Sequence[str]) -> tuple[str, ...]:
        return self.missing

    def warm(self, order: RunOrder) -> None:
        pass

    async def run(
        self,
        order: RunOrder,
        output: Callable[[bytes], Awaitable[None]],
        started: Callable[[str], Awaitable[None]],
        preparing: object = None,
    ) -> Outcome:
        self.runs.append(order)
        work = asyncio.ensure_future(self.program(order, output))
        self._running[order.key] = work
        await started("1")
        await asyncio.wait({work})
        return Outcome(exit_code=None, problem=None) if work.cancelled() else work.result()

    async def pause(self, key: TaskKey, attempt: int) -> None:
        self.calls.append(("pause", key))

    async def resume(self, key: TaskKey, attempt: int) -> None:
        self.calls.append(("resume", key))

    async def limit(self, key: TaskKey, attempt: int, cores: float) -> None:
        self.calls.append(("limit", key))
        self.limits[key] = cores

    async def stop(self, key: TaskKey, attempt: int, grace_s: float = 10.0) -> None:
        self.calls.append(("stop", key))
        if key in self._running:
            self._running[key].cancel()

    def figures(self, key: TaskKey, attempt: int) -> None:
        """Nothing to measure."""

    def used_cpu_s(self, key: TaskKey, attempt: int) -> float | None:
        """Nothing to measure."""
        return None

    def memory_bytes(self, key: TaskKey, attempt: int) -> int | None:
        """Nothing to measure."""
        return None

    def forget(self, key: TaskKey, attempt: int) -> None:
        self.calls.append(("forget", key))

    async def reclaim(self, key: TaskKey, attempt: int, where: str) -> None:
        self.calls.append(("reclaim", key))

    async def adopt(
        self, order: RunOrder, where: str, mark: bytes, output: Callable[[bytes], Awaitable[None]]
    ) -> Outcome | None:
        self.calls.append(("adopt", order.key))
        return None

    async def close(self) -> None:
        for work in self._running.values():
            work.cancel()


class Rig:
    """The parts of one life of a worker."""

    def __init__(self, home: Path, runtime: ScriptedRuntime, link: FakeLink) -> None:
        self.places = find_places(str(home))
        self.places.make()
        self.folders = Folders(self.places)
        self.runtime, self.link = runtime, link
        self.nursery = Nursery("rig")
        self.files, self.journal_thread = NamedThread("files", 2), NamedThread("journal")
        self.workspaces = Workspace()
        self.quits = 0

    async def start(self, *, max_tasks: int = 3) -> None:
        connection, self.salvaged = await self.journal_thread.call(open_or_salvage, self.places.journal, "x")
        self.journal = SqliteJournal(connection, self.journal_thread)
        state = start_state(
            await self.journal.open_tasks(), await self.journal.node(), TOTAL, max_tasks, None
        )
        self.engine = Engine(
            journal=self.journal,
            state=state,
            changed=lambda: None,
            result_is_kept=lambda key: self.folders.result(key).exists(),
        )
        self.outbox = Outbox(
            link=self.link, folders=self.folders, nursery=self.nursery, clock=time.time, tell=self.engine.tell
        )
        self.performer = Performer(
            folders=self.folders,
            workspaces=self.workspaces,
            runtime=self.runtime,
            link=self.link,
            outbox=self.outbox,
            files=self.files,
            nursery=self.nursery,
            limits=RunLimits(time_limit_s=60, disk_bytes=1 << 30, log_bytes=1 << 20, max_cores=4),
            node_id="rig",
            version="0",
            clock=time.time,
            tell=self.engine.tell,
            task=self.engine.task,
            quit_asked=self._count_quit,
        )
        self.intake = Intake(
            workspaces=self.workspaces,
            runtime=self.runtime,
            files=self.files,
            outbox=self.outbox,
            clock=time.time,
            tell=self.engine.tell,
        )
        self.nursery.start("engine", self.engine.run(self.performer.perform))
        await self.engine.tell(Restarted(at_s=time.time()))

    def _count_quit(self) -> None:
        self.quits += 1

    async def crash(self) -> None:
        """End this life without any order, as kill -9 would; only the files stay."""
        await self.nursery.close()
        await self.runtime.close()
        await self.journal.close()
        self.files.close()
        self.journal_thread.close()

    async def offer(self, task_id: str, archive: bytes, demand: Resources | None = None) -> Reply:
        """Offer a task as the door does."""
        spooled = self.places.spool / f"{time.monotonic_ns()}.zip"
        spooled.write_bytes(archive)
        reply = await self.intake.offer(
            Offer(
                task_id=TaskId(task_id),
                body_sha256=hashlib.sha256(archive).hexdigest(),
                archive_bytes=len(archive),
                demand=demand or Resources(cpu=100, memory_gb=1),
            ),
            spooled,
        )
        self.intake.answered(key_of(TaskId(task_id)))
        return reply

    async def until(self, condition: Callable[[], bool], limit_s: float = 10.0) -> None:
        """Wait for the engine to have brought something about."""
        async with asyncio.timeout(limit_s):
            while not condition():
                await asyncio.sleep(0.005)

    async def delivered(self, task_id: str) -> zipfile.ZipFile:
        """The archive that the pool got for this task, once it is acknowledged."""
        await self.until(
            lambda: task_id in self.link.archives and key_of(TaskId(task_id)) not in self.engine.state.tasks
        )
        return zipfile.ZipFile(io.BytesIO(self.link.archives[task_id]))


@asynccontextmanager
async def rig(
    home: Path, runtime: ScriptedRuntime | None = None, link: FakeLink | None = None, *, max_tasks: int = 3
) -> AsyncIterator[Rig]:
    """A started rig; ended by a crash, which is the only way to end that needs no care."""
    made = Rig(home, runtime or ScriptedRuntime(), link or FakeLink())
    await made.start(max_tasks=max_tasks)
    try:
        yield made
    finally:
        await made.crash()


def zip_of(files: dict[str, bytes | str] | None = None) -> bytes:
    """A task archive: the same bytes whenever it is made."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, body in (files or {"main.py": "print('hello')"}).items():
            member = zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))
            member.external_attr = 0o600 << 16
            archive.writestr(member, body)
    return content.getvalue()
