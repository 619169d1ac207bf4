"""One run of one task in one child: feeds it, listens, holds it to its limits, says how it ended.

Does not choose the interpreter and does not start the child (see `runtime`, `spares`).
Counterpart: `child`, which runs the guest.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Outcome, Problem, Usage
from hivemind_worker.model.work import RunFigures, RunOrder
from hivemind_worker.nursery import NamedThread, Nursery
from hivemind_worker.nursery.children import Child
from hivemind_worker.runtimes.quota import measure
from hivemind_worker.runtimes.wasm.brake import Brake
from hivemind_worker.runtimes.wasm.child import Report
from hivemind_worker.runtimes.wasm.orders import guest_line
from hivemind_worker.runtimes.wasm.packs import Pack

if TYPE_CHECKING:
    from hivemind_worker.engine.ports import OutputSink, StartedSink

WATCH_GAP_S = 0.25
LOOK_GAP_S = 0.5
LONGEST_DISK_GAP_S = 1.0
GONE_LIMIT_S = 5.0
# The engine's own memory lies beside the guest's; a child far above both is not what it should be.
ENGINE_ROOM_BYTES = 512 << 20


class Guest:
    """One attempt of one task; the verbs may come at any time, also before and after `run`."""

    def __init__(self, order: RunOrder, files: NamedThread) -> None:
        self.order = order
        self.brake = Brake()
        self.brake.limit(order.cpu_cores)
        self.stopped = asyncio.Event()
        self._files = files
        self._child: Child | None = None
        self._verdict: Problem | None = None
        self._began = time.monotonic()
        self._paused_before_s = 0.0
        self._was_announced = False
        self._peak_bytes = self._disk_bytes = 0
        self._looked_s = self._looked_cpu_s = self._cores = 0.0
        # Beside the workspace: never part of the result, and gone with the task's folder at the latest.
        self._temporary = order.workspace.with_name(f"{order.workspace.name}.tmp")

    @property
    def pid(self) -> int | None:
        """Its process, once there is one."""
        return None if self._child is None else self._child.pid

    def stop(self) -> None:
        """End it now, paused or not; `run` returns at once."""
        self.stopped.set()
        if self._child is not None:
            self._child.kill()

    async def run(self, child: Child, pack: Pack, output: OutputSink, started: StartedSink) -> Report | None:
        """Run the guest in `child` until nothing of it is left; None when the child said nothing.

        A cancelled caller gets CancelledError after the child is dead.

        Raises:
            OSError: the private folder cannot be made, or a sink failed.
        """
        self._child = child
        # What came before, e.g. waiting for the interpreter to be compiled, is not the task's time.
        self._began, self._paused_before_s = time.monotonic(), self.brake.paused_s
        nursery = Nursery(f"run-{self.order.key[:8]}")
        try:
            _make_empty(self._temporary)
            self.brake.take(child)
            if not self._was_announced:  # a second child after a module that would not load
                self._was_announced = True
                await started(child.where, image=pack.version)
            if self.stopped.is_set():
                child.kill()
            child.write(guest_line(self.order, pack, self._temporary))
            pump = nursery.start("output", self._pump(child, output))
            nursery.start("limits", self._keep_limits(child))
            nursery.start("share", self.brake.keep_share())
            notes = await child.notes()
            await asyncio.wait({pump})
            await child.wait(GONE_LIMIT_S)
            pump.result()
        finally:
            await nursery.close()
            await child.close()
        return _report(notes)

    async def _pump(self, child: Child, output: OutputSink) -> None:
        """Hand over all output; a sink that fails ends the child, which would wait for ever otherwise."""
        whole = False
        try:
            while piece := await child.read():
                await output(piece)
            whole = True
        finally:
            if not whole:
                child.kill()

    async def _keep_limits(self, child: Child) -> None:
        disk_at = time.monotonic()
        disk_gap_s = WATCH_GAP_S
        while self._verdict is None and not child.has_ended:
            left_s = self.order.time_limit_s - self._running_s()
            await asyncio.sleep(min(WATCH_GAP_S, max(left_s, 0.0)) or 0.001)
            if self.brake.is_paused:
                continue
            self._check_time_and_memory(child)
            if self._verdict is None and time.monotonic() - disk_at >= disk_gap_s:
                began = time.monotonic()
                await self._check_disk(child)
                disk_at = time.monotonic()
                # A walk over many files takes its time: spend a tenth of ours on it at most.
                disk_gap_s = min(LONGEST_DISK_GAP_S, max(WATCH_GAP_S, 10 * (disk_at - began)))

    def _running_s(self) -> float:
        return time.monotonic() - self._began - (self.brake.paused_s - self._paused_before_s)

    def _check_time_and_memory(self, child: Child) -> None:
        used = child.usage()
        self._peak_bytes = max(self._peak_bytes, used.memory_bytes)
        if self._running_s() >= self.order.time_limit_s:
            self._end(child, FaultCode.TIMED_OUT, f"{self.order.time_limit_s:g} s")
        elif used.memory_bytes > self.order.memory_bytes + ENGINE_ROOM_BYTES:
            self._end(child, FaultCode.OUT_OF_MEMORY, in_words(self.order.memory_bytes))

    async def _check_disk(self, child: Child) -> None:
        taken = await self._files.call(measure, self._folders, self.order.disk_bytes, (child.pid,))
        self._disk_bytes = taken.size_bytes
        if taken.exceeds(self.order.disk_bytes):
            self._end(child, FaultCode.OUT_OF_DISK, in_words(self.order.disk_bytes))

    def _end(self, child: Child, code: FaultCode, about: str) -> None:
        self._verdict = Problem(code=code, about=about)
        child.kill()

    def used_cpu_s(self) -> float | None:
        """Processor seconds of the child; None while there is none."""
        return None if self._child is None else self._child.usage().cpu_s

    def memory_bytes(self) -> int | None:
        """Resident memory of the child; None while there is none."""
        child = self._child
        return None if child is None or child.has_ended else child.usage().memory_bytes

    def figures(self) -> RunFigures | None:
        """What the child uses now, its processor since it was last looked at; None while there is none."""
        child = self._child
        if child is None or child.has_ended:
            return None
        used, now_s = child.usage(), time.monotonic()
        past_s = now_s - (self._looked_s or self._began)
        if past_s >= LOOK_GAP_S:  # several look at once: each sees the same
            self._cores = max(0.0, used.cpu_s - self._looked_cpu_s) / past_s
            self._looked_s, self._looked_cpu_s = now_s, used.cpu_s
        read, written = child.moved() or (None, None)
        return RunFigures(
            at_s=time.time(), cores=self._cores, memory_bytes=used.memory_bytes,
            memory_limit_bytes=self.order.memory_bytes, disk_bytes=self._disk_bytes,
            read_bytes=read, write_bytes=written,
        )  # fmt: skip

    @property
    def _folders(self) -> Sequence[Path]:
        return (self.order.workspace, self._temporary)

    async def outcome(self, report: Report | None) -> Outcome:
        """What became of it, with its last disk check; removes the private folder."""
        over = await self._files.call(self._tidy)
        used = self._child.usage() if self._child is not None else None
        usage = Usage(
            cpu_s=(report or {}).get("cpu_s", used.cpu_s if used else 0.0),
            wall_s=time.monotonic() - self._began,
            peak_memory_bytes=(report or {}).get("memory_bytes", self._peak_bytes),
        )
        if self.stopped.is_set():
            return Outcome(exit_code=None, problem=None, usage=usage)
        if self._verdict is None and over:
            # It may have written faster than it was looked at, and ended before the next look.
            self._verdict = Problem(code=FaultCode.OUT_OF_DISK, about=in_words(self.order.disk_bytes))
        if self._verdict is not None:
            return Outcome(exit_code=None, problem=self._verdict, usage=usage)
        return self._by_report(report, usage)

    def _by_report(self, report: Report | None, usage: Usage) -> Outcome:
        match (report or {}).get("ended"), report or {}:
            case "exit", {"code": 0}:
                return Outcome(exit_code=0, problem=None, usage=usage)
            case "exit" | "trap", {"code": int(code), **rest}:
                about = f"{code} ({rest['text']})" if "text" in rest else str(code)
                return Outcome(
                    exit_code=code, problem=Problem(code=FaultCode.EXIT_CODE, about=about), usage=usage
                )
            case "memory", _:
                limit = in_words(self.order.memory_bytes)
                problem = Problem(code=FaultCode.OUT_OF_MEMORY, about=limit)
                return Outcome(exit_code=None, problem=problem, usage=usage)
            case _, {"text": str(text)}:
                return failed(text, usage)
            case _:
                return failed("its process ended without a word", usage)

    def _tidy(self) -> bool:
        over = measure(self._folders, self.order.disk_bytes).exceeds(self.order.disk_bytes)
        with contextlib.suppress(RecursionError):  # nested too deep: it goes with the task's folder
            shutil.rmtree(self._temporary, ignore_errors=True)
        return over


def failed(reason: str, usage: Usage | None = None) -> Outcome:
    """The outcome of a run that the sandbox itself spoiled."""
    problem = Problem(code=FaultCode.SANDBOX_FAILED, about=reason)
    return Outcome(exit_code=None, problem=problem, usage=usage or Usage())


def in_words(size_bytes: int) -> str:
    """An amount for people: GiB from one up, else MiB."""
    if size_bytes >= 1 << 30:
        return f"{size_bytes / (1 << 30):.3g} GiB"
    return f"{size_bytes / (1 << 20):.3g} MiB"


def _make_empty(folder: Path) -> None:
    if folder.exists():  # of an attempt that a crash cut short
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def _report(notes: bytes) -> Report | None:
    """The last line that the child wrote; what stands before it is trouble of the engine's own."""
    lines = notes.strip().splitlines()
    if not lines:
        return None
    try:
        found = json.loads(lines[-1])
    except ValueError:
        text = notes.decode("utf-8", "replace").strip()
        return Report(ended="trouble", text=text[-500:])
    return found if isinstance(found, dict) and "ended" in found else None  # type: ignore[return-value]
