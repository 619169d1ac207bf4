"""Archives of tasks and results on a NATS server, in pieces that any process can read one by one.

Fits `pool.local.archives.ArchiveStore`. On this process's disk an archive lies only while it is being used.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import io
import os
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from hivemind_worker.model.task import TaskKey
from hivemind_worker.nursery import NamedThread
from hivemind_worker.pool.local.archives import Report, has_room, report_of, report_of_file
from hivemind_worker.pool.nats.engine import Engine
from hivemind_worker.pool.nats.layout import ARCHIVES, PIECE_BYTES, piece_subject
from hivemind_worker.pool.wire import MAX_ARCHIVE_BYTES

TASK, RESULT = "task", "result"
COUNT = "Hivemind-Pieces"
AT_ONCE = 8
SMALL_BYTES = 32 * 1024
UPLOADS_SHARE = 0.9
"""Of what the servers may keep; more is not taken of new tasks."""
ROOM_S = 2.0
LEFT_S = 24 * 60 * 60
"""A file as old as this was left by a process that was killed."""


class Names(Protocol):
    """Under which name the archive of a task lies: in its record, which decides between uploads of one id."""

    def new(self, key: TaskKey) -> str: ...

    async def of(self, key: TaskKey) -> tuple[str, int]:
        """The name, and how large the archive is; LookupError when there is no such task."""
        ...


class NatsArchives:
    """The pool's archives. `folder` is this process's own, for what is being used."""

    def __init__(self, engine: Engine, names: Names, folder: Path, files: NamedThread) -> None:
        self._engine, self._names, self._folder, self._files = engine, names, folder, files
        self._room: tuple[int, int | None] = (0, None)
        self._room_at, self._uploaded = -ROOM_S, 0
        self._is_roomy = False  # lately here on this disk, for an archive of any size

    async def prepare(self) -> None:
        """Make the folder; raises OSError."""
        await self._files.call(self._prepare)

    def _prepare(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for each in self._folder.glob("*.zip"):
            with contextlib.suppress(FileNotFoundError):
                if each.stat().st_mtime < time.time() - LEFT_S:
                    each.unlink()

    async def has_room(self, size: int) -> bool:
        """Whether so many bytes fit on this process's disk.

        Raises:
            OSError: ENOSPC, when the server's last tenth would be touched: that is for results, records and
                logs of what runs, which would else be refused for the sake of what only waits.
        """
        used, limit = await self._room_lately()
        if limit is not None and used + size > UPLOADS_SHARE * limit:
            raise OSError(errno.ENOSPC, "the pool's NATS server is full but for what runs")
        self._uploaded += size
        return self._is_roomy or await self._files.call(has_room, self._folder, size)

    async def _room_lately(self) -> tuple[int, int | None]:
        """What the server keeps and may keep, asked now and then, with what was uploaded since."""
        if time.monotonic() - self._room_at >= ROOM_S:
            self._room_at, self._uploaded = time.monotonic(), 0
            self._room = await self._engine.room()
            self._is_roomy = await self._files.call(has_room, self._folder, MAX_ARCHIVE_BYTES)
        return self._room[0] + self._uploaded, self._room[1]

    async def keep_task(self, key: TaskKey, content: memoryview) -> None:
        """Put a task's archive in place; it counts once the task's record names it."""
        name = self._names.new(key)
        await self._send(key, TASK, name, content)

    async def keep_result(self, key: TaskKey, content: memoryview, digest: str) -> Report:
        """Put a result in place; which one counts is decided by the digest in the task's record."""
        await self._send(key, RESULT, digest, content)
        return await self.report_of(key, digest)

    async def report_of(self, key: TaskKey, digest: str) -> Report:
        """What a kept result says of the run."""
        async with self.result(key, digest) as file:
            return await self._files.call(report_of_file, file)

    async def judge(self, key: TaskKey, digest: str, whole: bytes | None) -> tuple[Report, int] | None:
        """What a result that came in pieces says of the run, and its size; None unless it is whole.

        `whole`: the result itself, where it came in one piece.
        """
        if whole is not None and len(whole) <= SMALL_BYTES:
            return judge_bytes(whole, digest)  # takes less than to hand it to a thread
        if whole is not None:
            return await self._files.call(judge_bytes, whole, digest)
        try:
            async with self.result(key, digest) as file:
                return await self._files.call(_judged, file, digest)
        except FileNotFoundError:
            return None

    async def _send(self, key: TaskKey, kind: str, name: str, content: memoryview) -> None:
        count = count_of(len(content))
        try:
            for first in range(0, count, AT_ONCE):
                numbers = range(first, min(first + AT_ONCE, count))
                sent = (self._send_piece(key, kind, name, content, number) for number in numbers)
                told = await asyncio.gather(*sent, return_exceptions=True)  # none is on its way after this
                for trouble in filter(None, told):
                    raise trouble
        except OSError:
            with contextlib.suppress(OSError):  # a server that is full is not left fuller than it was
                await self._remove(key, kind, name, range(count))
            raise

    async def _send_piece(self, key: TaskKey, kind: str, name: str, content: memoryview, number: int) -> None:
        subject = piece_subject(key, kind, name, number)
        await self._keep(subject, count_of(len(content)), piece_of(content, number))

    async def _remove(self, key: TaskKey, kind: str, name: str, numbers: Iterable[int]) -> None:
        # Each piece by its own subject: for a pattern the server looks at every subject of the stream.
        for number in numbers:
            await self._engine.remove(ARCHIVES, piece_subject(key, kind, name, number))

    async def keep_result_piece(
        self, key: TaskKey, digest: str, number: int, count: int, data: bytes
    ) -> None:
        """Put one piece of a result in place."""
        await self._keep(piece_subject(key, RESULT, digest, number), count, data)

    async def remove_result_pieces(self, key: TaskKey, digest: str, numbers: Iterable[int]) -> None:
        """Remove these pieces of a result that its worker has given up."""
        await self._remove(key, RESULT, digest, numbers)

    async def _keep(self, subject: str, count: int, data: bytes) -> None:
        await self._engine.write(subject, data, headers={COUNT: str(count)})

    async def task_piece(self, key: TaskKey, number: int) -> tuple[bytes, int]:
        """One piece of a task's archive, and how many there are; FileNotFoundError when it is gone."""
        name, _ = await self._names.of(key)
        return await self._piece(key, TASK, name, number)

    async def _piece(self, key: TaskKey, kind: str, name: str, number: int) -> tuple[bytes, int]:
        found = await self._engine.read(ARCHIVES, piece_subject(key, kind, name, number))
        if found is None:
            raise FileNotFoundError(f"the archive of task {key} is not there")
        return found.data, int(found.headers[COUNT])

    @asynccontextmanager
    async def task(self, key: TaskKey) -> AsyncIterator[Path]:
        """The task's archive as a file, for a while; FileNotFoundError when it is gone."""
        name, _ = await self._names.of(key)
        async with self._fetched(key, TASK, name) as file:
            yield file

    def result(self, key: TaskKey, digest: str) -> contextlib.AbstractAsyncContextManager[Path]:
        """The result as a file, for a while; FileNotFoundError when it is gone."""
        return self._fetched(key, RESULT, digest)

    @asynccontextmanager
    async def _fetched(self, key: TaskKey, kind: str, name: str) -> AsyncIterator[Path]:
        path = self._folder / f"{secrets.token_hex(8)}.zip"
        try:
            out = await self._files.call(_private, path)
            try:
                await self._fetch(key, kind, name, out)
            finally:
                await self._files.call(out.close)
            yield path
        finally:
            await self._files.call(lambda: path.unlink(missing_ok=True))

    async def _fetch(self, key: TaskKey, kind: str, name: str, out: BinaryIO) -> None:
        data, count = await self._piece(key, kind, name, 0)
        await self._files.call(out.write, data)
        for first in range(1, count, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, count))
            found = await asyncio.gather(*(self._piece(key, kind, name, number) for number in numbers))
            await self._files.call(out.writelines, [data for data, _ in found])

    async def remove_task(self, key: TaskKey) -> None:
        """Remove the task's archive: an ended task is never handed out again."""
        name, size = await self._names.of(key)
        await self.remove_named(key, name, size)

    async def remove_named(self, key: TaskKey, name: str, size: int) -> None:
        """The same for who has the task's record at hand."""
        await self._remove(key, TASK, name, range(count_of(size)))


def _judged(file: Path, digest: str) -> tuple[Report, int] | None:
    with file.open("rb") as source:
        found = hashlib.file_digest(source, "sha256").hexdigest()
        return (report_of(source), file.stat().st_size) if found == digest else None


def judge_bytes(content: bytes, digest: str) -> tuple[Report, int] | None:
    """What a result says of the run, and its size; None unless it has this digest."""
    found = hashlib.sha256(content).hexdigest()
    return (report_of(io.BytesIO(content)), len(content)) if found == digest else None


def count_of(size: int) -> int:
    """How many pieces an archive of that size has."""
    return max(1, -(-size // PIECE_BYTES))


def piece_of(content: memoryview, number: int) -> bytes:
    """One of them."""
    return bytes(content[number * PIECE_BYTES : (number + 1) * PIECE_BYTES])


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
