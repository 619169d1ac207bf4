"""The archives that the pool holds: one folder, private files named by task key.

`ArchiveStore` is what the pool expects of them, `DiskArchives` fits it; the calls of `Archives` block.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import zipfile
import zlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.pool_records import PoolTaskState
from hivemind_worker.model.task import TaskKey
from hivemind_worker.nursery import NamedThread
from hivemind_worker.pool.wire import clean_words

KEEP_FREE_BYTES = 64 * 1024 * 1024
LOG_NAME = "execution_log.txt"
LOG_BYTES_READ = 64 * 1024
MEMBERS_READ = 20_000
DIRECTORY_BYTES_READ = 4 * 1024 * 1024
# Bounded blanks on one line: the text is a stranger's, and must not make the search slow.
STATUS_LINE = re.compile(
    r"^[ \t]{0,8}status[ \t]{0,8}[:=][ \t]{0,8}(COMPLETED|FAILED|STOPPED)\b", re.IGNORECASE | re.MULTILINE
)
REASON_LINE = re.compile(
    r"^[ \t]{0,8}reason[ \t]{0,8}[:=][ \t]{0,8}(\S.{0,999})", re.IGNORECASE | re.MULTILINE
)
CODE_AT_END = re.compile(r" \((\w{1,40})\)$")
CODES = frozenset(code.value for code in FaultCode)
REASON_LETTERS = 200


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker's execution_log.txt says of a run. `reason`: one clean line, "" where it tells none."""

    state: PoolTaskState
    reason: str = ""


NOTHING_TOLD = Report(PoolTaskState.COMPLETED)


class Archives:
    """Task and result archives under `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self) -> None:
        """Make the folder and clear what a crash left half-written.

        Raises:
            OSError: the folder cannot be made or read.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix":
            self.folder.chmod(0o700)
        for left_over in self.folder.glob("*.zip.part"):
            left_over.unlink(missing_ok=True)

    def task(self, key: TaskKey) -> Path:
        """Where the uploaded archive lies."""
        return self.folder / f"{key}.task.zip"

    def result(self, key: TaskKey) -> Path:
        """Where the result archive lies."""
        return self.folder / f"{key}.result.zip"

    def has_room(self, size: int) -> bool:
        """Whether so many bytes fit on the disk with something to spare."""
        return has_room(self.folder, size)

    def write(self, target: Path, content: memoryview) -> None:
        """Put a whole archive in place, synced; on an error nothing is left and the old one stays.

        Raises:
            OSError: a full disk, most often.
        """
        part = target.with_name(f"{secrets.token_hex(8)}.zip.part")
        try:
            with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            part.replace(target)
            _sync_folder(self.folder)
        finally:
            part.unlink(missing_ok=True)

    def remove_task(self, key: TaskKey) -> None:
        """Remove the uploaded archive: an ended task is never offered again."""
        self.task(key).unlink(missing_ok=True)


class ArchiveStore(Protocol):
    """Keeps archives. Every call raises OSError when it cannot; nothing was promised then."""

    async def prepare(self) -> None: ...

    async def has_room(self, size: int) -> bool: ...

    async def keep_task(self, key: TaskKey, content: memoryview) -> None: ...

    async def keep_result(self, key: TaskKey, content: memoryview, digest: str) -> Report:
        """Keep a result; returns what it says of the run."""
        ...

    def task(self, key: TaskKey) -> AbstractAsyncContextManager[Path]:
        """The task's archive as a file, while the context lasts; FileNotFoundError when it is gone."""
        ...

    def result(self, key: TaskKey, digest: str) -> AbstractAsyncContextManager[Path]:
        """The result with that digest, in the same way."""
        ...

    async def remove_task(self, key: TaskKey) -> None: ...


class DiskArchives:
    """Archives in a folder of this computer. Fits `ArchiveStore`."""

    def __init__(self, archives: Archives, files: NamedThread) -> None:
        self._archives, self._files = archives, files

    async def prepare(self) -> None:
        """Make the folder and clear what a crash left half-written."""
        await self._files.call(self._archives.prepare)

    async def has_room(self, size: int) -> bool:
        """Whether so many bytes fit on the disk with something to spare."""
        return await self._files.call(self._archives.has_room, size)

    async def keep_task(self, key: TaskKey, content: memoryview) -> None:
        """Put a task's archive in place."""
        await self._files.call(self._archives.write, self._archives.task(key), content)

    async def keep_result(self, key: TaskKey, content: memoryview, _digest: str) -> Report:
        """Put the one result in place."""
        target = self._archives.result(key)
        await self._files.call(self._archives.write, target, content)
        return await self._files.call(report_of_file, target)

    @asynccontextmanager
    async def task(self, key: TaskKey) -> AsyncIterator[Path]:
        """Where the uploaded archive lies."""
        yield self._archives.task(key)

    @asynccontextmanager
    async def result(self, key: TaskKey, _digest: str) -> AsyncIterator[Path]:
        """Where the result lies."""
        yield self._archives.result(key)

    async def remove_task(self, key: TaskKey) -> None:
        """Remove the uploaded archive: an ended task is never offered again."""
        await self._files.call(self._archives.remove_task, key)


def has_room(folder: Path, size: int) -> bool:
    """Whether so many bytes fit on the folder's disk with something to spare."""
    return shutil.disk_usage(folder).free >= size + KEEP_FREE_BYTES


def sha256(content: memoryview) -> str:
    """The digest by which a second upload of a result is recognised."""
    return hashlib.sha256(content).hexdigest()


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # elsewhere a folder cannot be opened
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def report_of(result: BinaryIO) -> Report:
    """What the worker's execution_log.txt says of the run: its first lines `status: WORD` and `reason: …`.

    The protocol has no call for a failure (any result means COMPLETED), but a worker writes the
    truth into the archive. Anything odd - no such file, no such line, no zip at all - is COMPLETED,
    as at other pools. Only this one small file is opened, and only so much of it.
    """
    with contextlib.suppress(
        OSError, zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, RuntimeError
    ):
        if _is_small_directory(result):
            with zipfile.ZipFile(result) as archive:
                text = _opening(archive).decode("utf-8", "replace")
                if found := STATUS_LINE.search(text):
                    return Report(PoolTaskState(found[1].upper()), _reason(text))
    return NOTHING_TOLD


def report_of_file(result: Path) -> Report:
    """The same of a file; COMPLETED also when it cannot be read."""
    with contextlib.suppress(OSError), result.open("rb") as file:
        return report_of(file)
    return NOTHING_TOLD


def _reason(text: str) -> str:
    """In words: the code that our own workers write behind it is for programs."""
    found = REASON_LINE.search(text)
    words = clean_words(found[1]) if found else ""
    code = CODE_AT_END.search(words)
    if code and code[1] in CODES:
        words = words[: code.start()]
    return words if len(words) <= REASON_LETTERS else words[: REASON_LETTERS - 1] + "…"


def _opening(archive: zipfile.ZipFile) -> bytes:
    entry = archive.getinfo(LOG_NAME)
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return b""  # other methods may ask for gigabytes to open a few bytes
    with archive.open(entry) as log:
        return log.read(LOG_BYTES_READ)


def _is_small_directory(file: BinaryIO) -> bool:
    """Whether the zip's directory is of sensible size: reading it all makes an object a member."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 65_557))  # the end record and the longest comment
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    # A zip64 locator before the end record would override its figures.
    if at < 0 or len(tail) < at + 22 or tail[max(0, at - 20) : at].startswith(b"PK\x06\x07"):
        return False
    members = int.from_bytes(tail[at + 10 : at + 12], "little")
    directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    return members <= MEMBERS_READ and directory <= DIRECTORY_BYTES_READ
