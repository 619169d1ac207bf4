"""Compiled interpreters, kept between starts: found, trusted only when unchanged, made when missing.

A compiled module is machine code that runs as it is found, so the folder is private, a file
counts only with the digest that its compiler reported, and anything else is compiled again.
Its name holds the engine's version and settings, the module's digest and the processor.
Counterpart: `compiler`, the child that does the work.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import NamedThread
from hivemind_worker.nursery.children import Child, own_program
from hivemind_worker.nursery.keepers import Keeper
from hivemind_worker.places import own_folder
from hivemind_worker.runtimes.wasm.compiler import CompileOrder
from hivemind_worker.runtimes.wasm.digests import DigestBook, write_private
from hivemind_worker.runtimes.wasm.packs import Pack

COMPILE_WORD = "--compile-sandbox"
COMPILE_LIMIT_S = 900.0
LOCK_POLL_S = 0.2
PROGRESS_GAP_S = 0.5

# Changes whenever `engines.make_engine` does: a module fits only the settings it was compiled with.
SETTINGS = "stack 8 MiB, async stack 16 MiB, no epochs, no fuel"

Progress = Callable[[float, str], None]
"""Told about twice a second how far it is, from 0 to 1 (an estimate), and what is being done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What is kept beside a compiled module."""

    sha256: str
    seconds: float


class ModuleCache:
    """The `modules` folder. Its files are touched in `files` only, so they block nobody."""

    def __init__(self, folder: Path, book: DigestBook, files: NamedThread) -> None:
        self._folder = folder
        self._book = book
        self._files = files

    def place(self, pack: Pack) -> Path:
        """The file of a pack's compiled module, which may not exist."""
        facts = "\n".join((_engine_version(), SETTINGS, pack.module_sha256, _processor()))
        return self._folder / f"{pack.name}-{hashlib.sha256(facts.encode()).hexdigest()[:32]}.cwasm"

    def find(self, pack: Pack) -> Path | None:
        """The compiled module when it is there and as its compiler left it. Blocks."""
        place = self.place(pack)
        record = _read_record(place)
        try:
            sound = record is not None and self._book.sha256(place) == record.sha256
        except OSError:
            return None
        return place if sound else None

    def _find_alone(self, pack: Pack) -> Path | None:
        """As `find`, by the holder of the lock: what a killed compiler left is nobody's now."""
        for left in self._folder.glob(f"{self.place(pack).name}.*.part"):
            left.unlink(missing_ok=True)
        return self.find(pack)

    def drop(self, pack: Pack) -> None:
        """Forget a compiled module that the engine would not load. Blocks."""
        with contextlib.suppress(OSError):
            _record_of(self.place(pack)).unlink(missing_ok=True)

    async def ready(self, pack: Pack, progress: Progress, keeper: Keeper | None) -> Path | Problem:
        """The compiled module, compiled first where needed. One compiles, others wait for it."""
        found = await self._files.call(self.find, pack)
        if found is not None:
            return found
        try:
            await self._files.call(own_folder, self._folder)
            with _lock_file(self.place(pack).with_suffix(".lock")) as lock:
                if not await _locked(lock):
                    return _failed("another process has been compiling it for too long")
                found = await self._files.call(self._find_alone, pack)
                return found or await self._compile(pack, progress, keeper)
        except OSError as error:
            return Problem(code=FaultCode.NO_PERMISSION, about=f"{error.filename}: {error.strerror}")

    async def _compile(self, pack: Pack, progress: Progress, keeper: Keeper | None) -> Path | Problem:
        place = self.place(pack)
        known = _read_record(place)
        began = time.monotonic()
        watch = _Watch(progress, known.seconds if known else pack.compile_s, pack.title)
        report = await _run_compiler(pack, place, watch, keeper)
        if isinstance(report, Problem):
            return report
        record = {"sha256": report, "seconds": round(time.monotonic() - began, 1)}
        await self._files.call(self._keep, pack, place, record)
        progress(1.0, f"{pack.title} is ready")
        return place

    def _keep(self, pack: Pack, place: Path, record: dict[str, object]) -> None:
        write_private(_record_of(place), json.dumps(record))
        self._book.sha256(place)
        for old in self._folder.glob(f"{pack.name}-*.cwasm"):
            if old != place:  # of an earlier engine or another processor, and large
                old.unlink(missing_ok=True)
                _record_of(old).unlink(missing_ok=True)


class _Watch:
    """Turns elapsed time into a bar that never stands at its end before the work does."""

    def __init__(self, progress: Progress, expected_s: float, title: str) -> None:
        self._progress = progress
        self._expected_s = max(expected_s, 0.5)
        self._title = title
        self._began = time.monotonic()

    def tell(self) -> None:
        share = (time.monotonic() - self._began) / self._expected_s
        # Straight up to nine tenths, then ever slower.
        self._progress(share if share < 0.9 else 1 - 0.09 / share, f"preparing {self._title} (once)")


async def _run_compiler(pack: Pack, place: Path, watch: _Watch, keeper: Keeper | None) -> str | Problem:
    """The digest of the new file, or what went wrong."""
    order = CompileOrder(
        parent=os.getpid(),
        watched_by_kernel=keeper is None,
        source=str(pack.module),
        sha256=pack.module_sha256,
        target=str(place),
        bounds={"nice": 5, "open_files": 256, "file_bytes": 2 << 30},
    )
    program = own_program(COMPILE_WORD)
    async with await Child.spawn("compiler", program.argv, env=dict(program.env), keeper=keeper) as child:
        child.write(json.dumps(order).encode() + b"\n")
        answer = await _answer(child, watch)
        notes = (await child.notes()).decode("utf-8", "replace").strip()
    if answer.get("ended") == "done":
        return str(answer["sha256"])
    if answer.get("ended") == "wrong_digest":
        return Problem(code=FaultCode.BAD_PACK, about=f"{pack.module.name} has another digest")
    return _failed(str(answer.get("text") or notes[-300:] or "the compiler ended without a word"))


async def _answer(child: Child, watch: _Watch) -> dict[str, object]:
    heard, ended = b"", False
    ends_at = time.monotonic() + COMPILE_LIMIT_S
    while not ended and time.monotonic() < ends_at:
        watch.tell()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PROGRESS_GAP_S):
                piece = await child.read()
                heard, ended = heard + piece, not piece
    child.kill()
    with contextlib.suppress(ValueError):
        found = json.loads(heard)
        if isinstance(found, dict):
            return found
    return {}


def _failed(reason: str) -> Problem:
    return Problem(code=FaultCode.SANDBOX_FAILED, about=f"its interpreter could not be prepared: {reason}")


def _record_of(place: Path) -> Path:
    return place.with_suffix(".json")


def _read_record(place: Path) -> _Record | None:
    try:
        found = json.loads(_record_of(place).read_text("utf-8"))
        return _Record(sha256=str(found["sha256"]), seconds=float(found["seconds"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


@functools.cache
def _engine_version() -> str:
    try:
        return importlib.metadata.version("wasmtime")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"  # a frozen build: the engine itself refuses modules of another version


@functools.cache
def _processor() -> str:
    """What the machine code depends on; the engine checks again, this only saves it the trouble."""
    wanted = ("model name", "flags", "Features", "CPU part")
    lines: list[str] = []
    with contextlib.suppress(OSError):
        first = Path("/proc/cpuinfo").read_text("utf-8", "replace").split("\n\n")[0]
        lines = [line for line in first.splitlines() if line.startswith(wanted)]
    return "\n".join((platform.machine(), *(lines or [platform.processor()])))


@contextlib.contextmanager
def _lock_file(path: Path) -> Iterator[IO[bytes]]:
    with path.open("ab") as file:
        yield file  # closing it gives the lock back


async def _locked(file: IO[bytes]) -> bool:
    ends_at = time.monotonic() + COMPILE_LIMIT_S
    while not _try_lock(file):
        if time.monotonic() > ends_at:
            return False
        await asyncio.sleep(LOCK_POLL_S)
    return True


def _try_lock(file: IO[bytes]) -> bool:
    try:
        if os.name == "posix":
            import fcntl  # noqa: PLC0415 - one family of systems alone has it

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt  # noqa: PLC0415

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError:
        return False
    return True
