"""Carries out the engine's orders and answers with events. It never raises and never decides.

Orders about one task are carried out one after another; pause, resume and stop at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar, assert_never

from hivemind_worker.core.transitions import after
from hivemind_worker.engine.bookmark import Bookmark
from hivemind_worker.engine.folders import Folders
from hivemind_worker.engine.outbox import Outbox
from hivemind_worker.engine.output import TaskOutput
from hivemind_worker.engine.ports import PoolLink, ReceiptBook, Runtime, Workspaces
from hivemind_worker.engine.report import execution_log, last_line, stopped_note
from hivemind_worker.model.effects import (
    Adopt,
    AnyEffect,
    ForgetSpool,
    LimitRun,
    PackResult,
    PauseRun,
    Quit,
    Reclaim,
    RemoveWorkspace,
    ResumeRun,
    StartRun,
    StopRun,
    Unpack,
    UploadResult,
)  # fmt: skip
from hivemind_worker.model.events import (
    AnyEvent,
    ResultPacked,
    RunEnded,
    RunLost,
    RunPrepared,
    RunStarted,
    Unpacked,
)  # fmt: skip
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.resources import CPU_SCORE_PER_CORE
from hivemind_worker.model.task import Outcome, Phase, Problem, StopReason, Task, TaskKey, TaskState
from hivemind_worker.model.work import Packed, RunOrder
from hivemind_worker.nursery import NamedThread, Nursery

log = logging.getLogger(__name__)

Work = Callable[[], Awaitable[None]]
Result = TypeVar("Result")

GIB = 1024**3
MIN_CORES, MIN_MEMORY_GB = 0.1, 0.5
DISK_RETRY_S = 5.0
PACKING_AT_ONCE = 2  # a restart with a thousand tasks must not keep an offer waiting behind them
REMOVED_TOGETHER = 20  # others want the thread as well
STOP_GRACE_S, SHUTDOWN_GRACE_S = 10.0, 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """What the owner allows one task, beside what it asked for."""

    time_limit_s: float
    disk_bytes: int
    log_bytes: int
    max_cores: float


class Performer:
    """One for the worker; `perform` is called by the engine's loop only."""

    def __init__(
        self, *, folders: Folders, workspaces: Workspaces, runtime: Runtime, link: PoolLink, outbox: Outbox,
        files: NamedThread, nursery: Nursery, limits: RunLimits, node_id: str, version: str,
        clock: Callable[[], float], tell: Callable[[AnyEvent], Awaitable[object]],
        task: Callable[[TaskKey], Task | None], quit_asked: Callable[[], None],
        receipts: ReceiptBook | None = None,
    ) -> None:  # fmt: skip
        self._folders = folders
        self._workspaces = workspaces
        self._runtime = runtime
        self._link = link
        self._outbox = outbox
        self._files = files
        self._nursery = nursery
        self._limits = limits
        self._node_id = node_id
        self._version = version
        self._clock = clock
        self._tell = tell
        self._task = task
        self._quit_asked = quit_asked
        self._receipts = receipts
        self._packing = asyncio.Semaphore(PACKING_AT_ONCE)
        self._chains: dict[str, asyncio.Lock] = {}
        self._controls: dict[str, asyncio.Lock] = {}
        self._frozen_s: dict[str, float] = {}
        self._adopting: dict[str, asyncio.Event] = {}
        self._streams: dict[str, asyncio.Task[None]] = {}
        self._leaving: list[TaskKey] = []
        self._removing = asyncio.Lock()

    def perform(self, effect: AnyEffect) -> None:
        """Start carrying out the order; returns at once."""
        if isinstance(effect, Adopt):
            self._adopting[effect.key] = asyncio.Event()
        match effect:
            case Quit():
                self._quit_asked()
            case ForgetSpool():
                self._start(partial(self._forget_spool, effect), "forget", None)
            case UploadResult():
                self._start(partial(self._upload, effect), f"send {effect.key}", None)
            case PauseRun() | ResumeRun() | LimitRun() | StopRun():
                lock = self._controls.setdefault(effect.key, asyncio.Lock())
                self._start(partial(self._control, effect), f"control {effect.key}", lock)
            case Unpack() | StartRun() | Adopt() | PackResult() | Reclaim() | RemoveWorkspace():
                lock = self._chains.setdefault(effect.key, asyncio.Lock())
                self._start(partial(self._chained, effect), f"{type(effect).__name__} {effect.key}", lock)
            case _:
                assert_never(effect)

    async def controlled(self, keys: Iterable[TaskKey]) -> None:
        """Wait until every pause, resume and stop ordered so far for these tasks has been carried out."""
        await asyncio.sleep(0)  # what was ordered just now takes its lock first
        for lock in [self._controls[key] for key in keys if key in self._controls]:
            async with lock:
                pass

    def frozen_s(self, keys: Iterable[TaskKey]) -> float | None:
        """The steady time at which the last of these tasks stood still; None while none of them does."""
        return max((self._frozen_s[key] for key in keys if key in self._frozen_s), default=None)

    def _start(self, work: Work, name: str, lock: asyncio.Lock | None) -> None:
        self._nursery.start(name, self._guarded(work, name, lock))

    async def _guarded(self, work: Work, name: str, lock: asyncio.Lock | None) -> None:
        """The performer's door: an unexpected error is a bug of ours, never the end of the loop."""
        async with lock or asyncio.Lock():
            try:
                await work()
            except Exception:
                log.exception("bug in %s", name)

    async def _chained(
        self, effect: Unpack | StartRun | Adopt | PackResult | Reclaim | RemoveWorkspace
    ) -> None:
        match effect:
            case RemoveWorkspace():
                await self._remove(effect.key)
                return
            case Unpack():
                await self._unpack(effect)
                return
        task = self._task(effect.key)
        if task is None or task.attempt != effect.attempt:
            self._let_wishes_in(effect.key)
            return
        match effect:
            case StartRun():
                await self._run(task)
            case Adopt():
                await self._adopt(task)
            case PackResult():
                await self._pack(task)
            case Reclaim():
                await self._runtime.reclaim(task.key, task.attempt, task.where)
            case _:
                assert_never(effect)

    async def _control(self, effect: PauseRun | ResumeRun | LimitRun | StopRun) -> None:
        if (adopting := self._adopting.get(effect.key)) is not None:
            await adopting.wait()  # the runtime must know the run before it hears a wish about it
        match effect:
            case PauseRun():
                await self._runtime.pause(effect.key, effect.attempt)
                self._frozen_s[effect.key] = time.monotonic()
            case ResumeRun():
                self._frozen_s.pop(effect.key, None)
                await self._runtime.resume(effect.key, effect.attempt)
            case LimitRun():
                await self._runtime.limit(effect.key, effect.attempt, effect.cores)
            case StopRun():
                await self._runtime.stop(effect.key, effect.attempt, self._grace_s(effect.key))
            case _:
                assert_never(effect)

    def _grace_s(self, key: TaskKey) -> float:
        task = self._task(key)
        hurried = task is not None and task.stop_reason is StopReason.SHUTDOWN
        return SHUTDOWN_GRACE_S if hurried else STOP_GRACE_S

    # --- steps ------------------------------------------------------------------------------

    async def _forget_spool(self, effect: ForgetSpool) -> None:
        await self._files.call(_unlink, self._folders.spooled(effect.spool))

    async def _unpack(self, effect: Unpack) -> None:
        if (task := self._task(effect.key)) is not None and task.attempt == effect.attempt:
            self._runtime.warm(self._order(task))
        problem = await self._files.call(
            self._fill, self._folders.spooled(effect.spool), self._folders.workspace(effect.key)
        )
        if problem is not None:
            await self._runtime.stop(effect.key, effect.attempt)
        await self._tell(
            Unpacked(at_s=self._clock(), key=effect.key, attempt=effect.attempt, problem=problem)
        )

    def _fill(self, archive: Path, folder: Path) -> Problem | None:
        """Runs in the files thread. What an earlier attempt left is removed first."""
        try:
            self._workspaces.remove(folder.parent)
            folder.parent.mkdir(mode=0o700, parents=True)
            self._note_inputs(archive, folder.parent)
            return self._workspaces.unpack(archive, folder)
        except OSError as error:
            return Problem(code=FaultCode.DISK_FULL, about=str(error.strerror))
        finally:
            _unlink(archive)

    async def _run(self, task: Task) -> None:
        output = self._output(task, Bookmark(self._folders.bookmark(task.key)))
        outcome = await self._to_its_end(self._outcome(task, output), output)
        await self._ended(task, outcome, output)

    async def _adopt(self, task: Task) -> None:
        """Go on with what an earlier life started; nothing of its output is missed or comes twice."""
        bookmark = Bookmark(self._folders.bookmark(task.key))
        try:
            await self._files.call(bookmark.take_up, self._folders.log(task.key))
            output = self._output(task, bookmark)
        finally:
            self._let_wishes_in(task.key)  # they go on once the runtime, which the next line calls, waits
        outcome = await self._to_its_end(self._adopted(task, bookmark, output), output)
        if outcome is not None:
            await self._ended(task, outcome, output)
            return
        output.abandon()
        await self._tell(RunLost(at_s=self._clock(), key=task.key, attempt=task.attempt))

    def _let_wishes_in(self, key: TaskKey) -> None:
        if (adopting := self._adopting.pop(key, None)) is not None:
            adopting.set()

    def _output(self, task: Task, bookmark: Bookmark) -> TaskOutput:
        return TaskOutput(
            task_id=task.task_id,
            path=self._folders.log(task.key),
            limit_bytes=self._limits.log_bytes,
            files=self._files,
            link=self._link,
            start=lambda name, work: self._nursery.start(f"{name} {task.key}", work),
            bookmark=bookmark,
        )

    async def _to_its_end(self, run: Awaitable[Result], output: TaskOutput) -> Result:
        try:
            outcome = await run
            await output.close_file()
            return outcome
        except asyncio.CancelledError:
            output.abandon()
            raise

    async def _ended(self, task: Task, outcome: Outcome, output: TaskOutput) -> None:
        event = RunEnded(at_s=self._clock(), key=task.key, attempt=task.attempt, outcome=outcome)
        line = self._last_line(task, event)
        # While the archive is packed the pool gets the end of the log; the upload waits for it.
        self._streams[task.key] = self._nursery.start(f"log end {task.key}", output.close_stream(line))
        await self._tell(event)
        self._runtime.forget(task.key, task.attempt)

    async def _adopted(self, task: Task, bookmark: Bookmark, output: TaskOutput) -> Outcome | None:
        try:
            return await self._runtime.adopt(self._order(task), task.where, bookmark.kept.mark, output.write)
        except Exception as error:
            return _bug_of_the_runtime(error)

    async def _upload(self, effect: UploadResult) -> None:
        if (stream := self._streams.pop(effect.key, None)) is not None:
            await asyncio.wait({stream})
        if (task := self._task(effect.key)) is not None:
            self._outbox.send(task)

    async def _outcome(self, task: Task, output: TaskOutput) -> Outcome:
        async def started(where: str, *, image: str = "", runtime: str = "") -> None:
            event = RunStarted(
                at_s=self._clock(),
                key=task.key,
                attempt=task.attempt,
                runtime=runtime or self._runtime.name,
                where=where,
                image=image,
            )
            await self._tell(event)

        async def preparing(phase: Phase, text: str) -> None:
            event = RunPrepared(
                at_s=self._clock(), key=task.key, attempt=task.attempt, phase=phase, text=text
            )
            await self._tell(event)

        try:
            return await self._runtime.run(self._order(task), output.write, started, preparing)
        except Exception as error:
            return _bug_of_the_runtime(error)

    def _order(self, task: Task) -> RunOrder:
        cores = min(task.demand.cpu / CPU_SCORE_PER_CORE, self._limits.max_cores)
        return RunOrder(
            key=task.key,
            attempt=task.attempt,
            task_id=task.task_id,
            workspace=self._folders.workspace(task.key),
            entry=task.entry,
            cpu_cores=max(cores, MIN_CORES),
            memory_bytes=int(max(task.demand.memory_gb, MIN_MEMORY_GB) * GIB),
            disk_bytes=self._limits.disk_bytes,
            time_limit_s=self._limits.time_limit_s,
            gpu=task.demand.gpu,
        )

    def _last_line(self, task: Task, event: RunEnded) -> str:
        now = self._task(task.key) or task
        step = after(now, event, paused=False)
        return last_line(step.task.state if step else TaskState.FAILED, event.outcome.exit_code)

    async def _pack(self, task: Task) -> None:
        while True:
            async with self._packing:
                packed = await self._files.call(self._pack_now, task)
            if packed is not None:
                break
            await asyncio.sleep(DISK_RETRY_S)  # the task is over and its files are safe: wait for room
        await self._tell(
            ResultPacked(
                at_s=self._clock(), key=task.key, attempt=task.attempt,
                result_bytes=packed.result_bytes, problem=packed.problem,
            )
        )  # fmt: skip
        await self._files.call(self._write_receipt, task)

    def _note_inputs(self, archive: Path, task_folder: Path) -> None:
        if self._receipts is not None:
            self._receipts.note_inputs(archive, task_folder)

    def _write_receipt(self, task: Task) -> None:
        """Runs in the files thread. A receipt that cannot be written costs the task nothing."""
        if self._receipts is None:
            return
        order = self._order(task)
        limits = {
            "cores": order.cpu_cores, "memory_bytes": order.memory_bytes, "disk_bytes": order.disk_bytes,
            "time_s": order.time_limit_s,
        }  # fmt: skip
        made_by = f"{self._node_id}, HiveMind Worker {self._version}"
        folder, result = self._folders.task(task.key), self._folders.result(task.key)
        try:
            self._receipts.write(task, limits, folder, result, made_by)
        except OSError as error:
            log.warning("no receipt of task %s: %s", task.key, error, extra={"task": task.key})

    def _pack_now(self, task: Task) -> Packed | None:
        """Runs in the files thread; None when the disk would not take even the logs."""
        own: list[tuple[str, Path | bytes]] = [
            ("execution_log.txt", execution_log(task, self._node_id, self._version))
        ]
        log_path = self._folders.log(task.key)
        if log_path.exists() and log_path.stat().st_size:
            own.append(("task_logs.txt", log_path))
        if task.state is TaskState.STOPPED:
            own.append(("task_stopped.txt", stopped_note(task)))
        try:
            packed = self._workspaces.pack(
                self._folders.workspace(task.key), self._folders.result(task.key), own
            )
        except OSError as error:
            packed = Packed(
                result_bytes=0, problem=Problem(code=FaultCode.DISK_FULL, about=str(error.strerror))
            )
        if packed.result_bytes:
            return packed
        said = "the result of task %s could not be packed yet: %s"
        log.error(said, task.key, packed.problem, extra={"task": task.key})
        return None

    async def _remove(self, key: TaskKey) -> None:
        """Those that come while others are removed go together: one visit to the thread for all."""
        self._leaving.append(key)
        async with self._removing:
            leaving, self._leaving = self._leaving[:REMOVED_TOGETHER], self._leaving[REMOVED_TOGETHER:]
            if leaving:
                await self._files.call(self._remove_all, leaving)
        self._chains.pop(key, None)
        self._controls.pop(key, None)
        self._frozen_s.pop(key, None)

    def _remove_all(self, keys: list[TaskKey]) -> None:
        """Runs in the files thread."""
        for key in keys:
            self._workspaces.remove(self._folders.workspace(key))


def _bug_of_the_runtime(error: Exception) -> Outcome:
    log.exception("bug in the runtime")
    problem = Problem(code=FaultCode.SANDBOX_FAILED, about=type(error).__name__)
    return Outcome(exit_code=None, problem=problem)


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
