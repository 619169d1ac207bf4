"""Child processes: started with nothing inherited, listened to, measured, ended with their worker.

Owns every process that the worker starts. A child that must never outlive the worker, even
while it is suspended, is tied to it in one of three ways: on Linux it asks the kernel itself
(PR_SET_PDEATHSIG, in the child's own first lines), on Windows by a job object here, elsewhere
by `nursery.keepers`. Counterpart: the program that runs in the child.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import psutil

if TYPE_CHECKING:
    from hivemind_worker.nursery.keepers import Keeper

log = logging.getLogger(__name__)

CHUNK_BYTES = 64 << 10
NOTES_LIMIT_BYTES = 64 << 10
KILLED_LIMIT_S = 5.0

# What a child may know of this process: where the system keeps its libraries, and nothing else.
INHERITED_NAMES = ("SYSTEMROOT", "WINDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")

# A program that flushes every word would wake the loop tens of thousands of times a second, so
# after this many small reads at once there is only one per gap: the pipe collects the rest.
READS_AT_ONCE = 20.0
READ_GAP_S = 0.005
SMALL_READ_BYTES = 16 << 10

_BELOW_NORMAL = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildUsage:
    """What a child took until now: processor seconds of all its threads, resident bytes."""

    cpu_s: float = 0.0
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How to start this very program again with a first word of its own."""

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()


def own_program(word: str) -> Program:
    """This executable, or this interpreter in isolated mode, with `word` as the first argument."""
    if getattr(sys, "frozen", False):
        return Program(argv=(sys.executable, word))
    tail = ("-I", "-m", "hivemind_worker", word)
    base = getattr(sys, "_base_executable", sys.executable)
    if os.name == "nt" and base != sys.executable:
        # A virtual environment's python.exe starts a second process, and suspending the first
        # would leave the second running: start that one, told where its environment is.
        return Program(argv=(base, *tail), env=(("__PYVENV_LAUNCHER__", sys.executable),))
    return Program(argv=(sys.executable, *tail))


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a child: the few inherited names that are set, then `extra`."""
    inherited = {name: os.environ[name] for name in INHERITED_NAMES if name in os.environ}
    return {**inherited, **extra}


class _Ears(asyncio.SubprocessProtocol):
    """Collects what a child writes: its output until it is taken, its notes (stderr) up to a limit."""

    def __init__(self) -> None:
        self.output = bytearray()
        self.notes = bytearray()
        self.output_ended = False
        self.last_read_bytes = 0
        self.notes_ended = asyncio.Event()
        self.heard = asyncio.Event()
        self.gone = asyncio.Event()
        self.transport: asyncio.SubprocessTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            self.output += data
            self.last_read_bytes = len(data)
            self.read_on(False)
            self.heard.set()
        else:
            self.notes += data[: NOTES_LIMIT_BYTES - len(self.notes)]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 1:
            self.output_ended = True
            self.heard.set()
        elif fd == 2:
            self.notes_ended.set()

    def process_exited(self) -> None:
        self.gone.set()

    def read_on(self, wanted: bool) -> None:
        """Let the loop read the child's output, or leave it in the pipe, where it holds the child up."""
        pipe = self.transport.get_pipe_transport(1) if self.transport else None
        if pipe is None or pipe.is_closing():
            return
        reading = cast(asyncio.ReadTransport, pipe)
        with contextlib.suppress(RuntimeError):  # older loops mind being told twice
            if wanted:
                reading.resume_reading()
            else:
                reading.pause_reading()


class Child:
    """One child process with pipes. Use from the loop's thread only; end it with `close`."""

    def __init__(self, name: str, ears: _Ears, keeper: Keeper | None) -> None:
        assert ears.transport is not None
        self.name = name
        self._ears = ears
        self._transport = ears.transport
        self._keeper = keeper
        self.pid = self._transport.get_pid()
        self._suspended = False
        self._usage = ChildUsage()
        self._reads_left = READS_AT_ONCE
        self._read_at = 0.0
        self._process: psutil.Process | None = None
        self._created_s = 0.0
        with contextlib.suppress(psutil.Error):
            self._process = psutil.Process(self.pid)
            self._created_s = self._process.create_time()

    @classmethod
    async def spawn(
        cls,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        keeper: Keeper | None = None,
    ) -> Child:
        """Start a process with three pipes, a process group of its own and only `env` around it.

        Call from the thread that lives as long as the worker: on Linux the kernel ties a child
        to the thread that started it. A cancelled caller leaves no process behind.

        Raises:
            OSError: the program cannot be started.
        """
        loop = asyncio.get_running_loop()
        own: dict[str, Any] = (
            {"creationflags": _BELOW_NORMAL} if os.name == "nt" else {"process_group": 0, "umask": 0o077}
        )
        _, ears = await loop.subprocess_exec(
            _Ears,
            *argv,
            env=child_environment(env or {}),
            cwd=cwd,
            close_fds=True,
            **own,
        )
        child = cls(name, ears, keeper)
        child._tie()
        return child

    def _tie(self) -> None:
        if self._keeper is not None:
            self._keeper.watch(self.pid, self._created_s)
        elif os.name == "nt":
            _put_in_job(self.pid)

    @property
    def where(self) -> str:
        """Names this process for `end_stray`, also after the worker has started anew."""
        return f"{self.pid}:{self._created_s:.2f}"

    @property
    def has_ended(self) -> bool:
        return self._ears.gone.is_set()

    @property
    def exit_code(self) -> int | None:
        """The process's own exit code, negative for a signal; None while it runs."""
        return self._transport.get_returncode()

    def write(self, data: bytes) -> None:
        """Send `data` to the child's standard input; a child that has ended takes nothing."""
        pipe = self._transport.get_pipe_transport(0)
        if pipe is not None and not pipe.is_closing():
            cast(asyncio.WriteTransport, pipe).write(data)

    async def read(self) -> bytes:
        """The next piece of output, up to 64 KiB; empty at the end. Not asking holds the child up."""
        ears = self._ears
        while not ears.output and not ears.output_ended:
            ears.heard.clear()
            await self._pace()
            ears.read_on(True)
            await ears.heard.wait()
        piece = bytes(ears.output[:CHUNK_BYTES])
        del ears.output[:CHUNK_BYTES]
        return piece

    async def _pace(self) -> None:
        now = asyncio.get_running_loop().time()
        earned = (now - self._read_at) / READ_GAP_S
        spent = 1.0 if self._ears.last_read_bytes < SMALL_READ_BYTES else 0.0
        self._reads_left = min(READS_AT_ONCE, self._reads_left + earned) - spent
        self._read_at = now
        if self._reads_left < 0 and not self.has_ended:
            self._reads_left = 0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(READ_GAP_S):
                    await self._ears.gone.wait()

    async def notes(self) -> bytes:
        """All that the child wrote to its error pipe (64 KiB at most), once it has closed it."""
        await self._ears.notes_ended.wait()
        return bytes(self._ears.notes)

    def suspend(self) -> None:
        """Freeze every thread of the child; again is harmless."""
        if not self._suspended and self._signal("SIGSTOP"):
            self._suspended = True

    def resume(self) -> None:
        """Let it run on; again is harmless."""
        if self._suspended and self._signal("SIGCONT"):
            self._suspended = False

    def kill(self) -> None:
        """End the child at once, suspended or not."""
        self._signal("SIGKILL")

    def _signal(self, name: str) -> bool:
        # Not through the transport: it polls first, and may take the exit code from the loop.
        if self.has_ended:
            return False
        try:
            if os.name == "posix":
                os.kill(self.pid, getattr(signal, name))
            elif self._process is not None:
                {"SIGSTOP": self._process.suspend, "SIGCONT": self._process.resume}.get(
                    name, self._process.kill
                )()
        except (ProcessLookupError, psutil.Error):
            return False
        return True

    def usage(self) -> ChildUsage:
        """What it took until now; the last known figures once it has ended."""
        if self._process is None or self.has_ended:
            return self._usage
        try:
            times = self._process.cpu_times()
            resident = self._process.memory_info().rss
        except psutil.Error:
            return self._usage
        self._usage = ChildUsage(cpu_s=times.user + times.system, memory_bytes=resident)
        return self._usage

    def moved(self) -> tuple[int, int] | None:
        """Bytes that it has read from disks and written to them; None where the system does not tell."""
        try:
            io = self._process.io_counters() if self._process is not None and not self.has_ended else None
        except (psutil.Error, AttributeError, NotImplementedError):  # macOS has no such counters
            return None
        return None if io is None else (io.read_bytes, io.write_bytes)

    async def wait(self, limit_s: float) -> int | None:
        """Its exit code, or None when it has not ended within `limit_s`."""
        try:
            async with asyncio.timeout(limit_s):
                await self._ears.gone.wait()
        except TimeoutError:
            return None
        return self.exit_code

    async def close(self) -> None:
        """Kill it, wait until it is gone and free its pipes. A cancelled caller still gets that first."""
        self.kill()
        cancelled = False
        ends_at = time.monotonic() + KILLED_LIMIT_S
        while not self.has_ended and (left_s := ends_at - time.monotonic()) > 0:
            try:
                await self.wait(left_s)
            except asyncio.CancelledError:
                cancelled = True
        if self.has_ended:
            if self._keeper is not None:
                self._keeper.forget(self.pid)
        else:
            log.error("child %s (%s) does not end", self.name, self.where)
        self._transport.close()
        if cancelled:
            raise asyncio.CancelledError

    async def __aenter__(self) -> Child:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def is_same(pid: int, created_s: float) -> psutil.Process | None:
    """The running process with this id that started at that time (within a second), if there is one."""
    try:
        process = psutil.Process(pid)
        # The clock may have been set since, which moves the start time that the system reports.
        return process if abs(process.create_time() - created_s) < 1.0 else None
    except psutil.Error:
        return None


def end_stray(where: str, word: str) -> bool:
    """Kill the process that `where` (of `Child.where`) names; only if it is that one, started with `word`.

    Blocks until it is gone: call from a thread.
    """
    pid, _, created = where.partition(":")
    try:
        process = is_same(int(pid), float(created))
        if process is None or word not in process.cmdline():
            return False
        process.kill()
        # Not process.wait: it would take the exit code of a child of our own from the loop.
        ends_at = time.monotonic() + KILLED_LIMIT_S
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > ends_at:
                return False
            time.sleep(0.01)
    except psutil.NoSuchProcess:
        return True
    except (ValueError, psutil.Error):
        return False
    return True


_job: int | None = None


def _put_in_job(pid: int) -> None:  # pragma: no cover - Windows only, not run by the tests of other systems
    """Tie a process to this one: Windows ends all of a job when its last handle closes."""
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415 - one system alone needs it

        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.CreateJobObjectW.restype = kernel.OpenProcess.restype = ctypes.c_void_p
        global _job  # noqa: PLW0603 - one job a process, open until the process ends
        if _job is None:
            _job = kernel.CreateJobObjectW(None, None)
            # JOBOBJECT_EXTENDED_LIMIT_INFORMATION: LimitFlags lies at byte 16; 0x2000 is KILL_ON_JOB_CLOSE.
            limits = (ctypes.c_uint32 * (144 // 4))()
            limits[4] = 0x2000
            kernel.SetInformationJobObject(ctypes.c_void_p(_job), 9, ctypes.byref(limits), 144)
        handle = kernel.OpenProcess(0x0101, False, pid)  # PROCESS_SET_QUOTA | PROCESS_TERMINATE
        if not handle or not kernel.AssignProcessToJobObject(ctypes.c_void_p(_job), ctypes.c_void_p(handle)):
            log.warning("process %d is not tied to this one: error %d", pid, ctypes.get_last_error())
        kernel.CloseHandle(ctypes.c_void_p(handle))
