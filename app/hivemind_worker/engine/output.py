"""A running task's output: all of it to its log file, what the pool can follow to the pool.

Log lines never pass the journal. The program is held back when the disk cannot follow; it
is never held back by a slow pool, which gets a mark instead of the lines it missed.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from hivemind_worker.engine.ports import PoolLink
from hivemind_worker.model.task import TaskId
from hivemind_worker.nursery import NamedThread

log = logging.getLogger(__name__)

WRITE_FROM_BYTES = 64 * 1024
WRITE_EVERY_S = 0.1

SEND_FROM_CHARS = 4 * 1024
SEND_MOST_CHARS = 8 * 1024
SEND_EVERY_S = 1.0
BACKLOG_CHARS = 64 * 1024
FLUSH_LIMIT_S = 5.0
RETRY_S = 2.0


class LogFile:
    """Appends to one file through the files thread, up to `limit_bytes`, then writes a mark once."""

    def __init__(self, path: Path, limit_bytes: int, files: NamedThread) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._files = files
        self._file: BinaryIO | None = None
        self._pending = bytearray()
        self._lock = asyncio.Lock()
        self._due_at = 0.0
        self.written_bytes = 0
        self.dropped_bytes = 0

    async def write(self, chunk: bytes) -> None:
        """Take a chunk; waits for the disk only when much is pending."""
        now = time.monotonic()
        if not self._pending:
            self._due_at = now + WRITE_EVERY_S
        self._pending += chunk
        if len(self._pending) >= WRITE_FROM_BYTES or now >= self._due_at:
            await self.flush()

    async def flush(self) -> None:
        """Write what is pending."""
        async with self._lock:
            if self._pending:
                pending, self._pending = self._pending, bytearray()
                await self._files.call(self._append, pending)

    def _append(self, chunk: bytearray) -> None:
        if self._file is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = self._path.open("ab", buffering=0)
            self.written_bytes = self._file.tell()
        room = max(0, self._limit_bytes - self.written_bytes)
        kept = memoryview(chunk)[:room]
        try:
            self._file.write(kept)
        except OSError as error:  # a full disk: the task may go on, its log is cut
            log.warning("a task's log could not be written: %s", error.strerror)
            kept = kept[:0]
        self.written_bytes += len(kept)
        if len(kept) < len(chunk):
            if self.dropped_bytes == 0:
                self._mark()
            self.dropped_bytes += len(chunk) - len(kept)

    def _mark(self) -> None:
        with contextlib.suppress(OSError):
            mark = f"\n[the log is cut here: its limit of {self._limit_bytes} bytes is reached]\n"
            assert self._file is not None
            self._file.write(mark.encode())

    async def close(self) -> None:
        """Write the rest and close the file."""
        async with self._lock:
            pending, self._pending = self._pending, bytearray()
            await self._files.call(self._finish, pending)

    def _finish(self, chunk: bytearray) -> None:
        if chunk:
            self._append(chunk)
        self.abandon()

    def abandon(self) -> None:
        """Close the file as it is: the worker ends before the task has."""
        if self._file is not None:
            self._file.close()
            self._file = None


class PoolStream:
    """Sends text to the pool in batches of about a second or 4 KiB, one call at a time (quirk 16)."""

    def __init__(self, task_id: TaskId, link: PoolLink) -> None:
        self._task_id = task_id
        self._link = link
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._backlog = ""
        self._skipped_lines = 0
        self._more = asyncio.Event()
        self._full = asyncio.Event()
        self._closing = False

    def feed(self, chunk: bytes) -> None:
        """Take output; the oldest lines give way when the pool cannot follow."""
        self._backlog += self._decoder.decode(chunk)
        if len(self._backlog) > BACKLOG_CHARS:
            self._skip()
        self._more.set()
        if len(self._backlog) >= SEND_FROM_CHARS:
            self._full.set()

    def _skip(self) -> None:
        """Drop from the front to the end of a line, so that what follows starts cleanly."""
        cut = len(self._backlog) - BACKLOG_CHARS // 2
        line_end = self._backlog.find("\n", cut)
        cut = line_end + 1 if line_end >= 0 else cut
        self._skipped_lines += self._backlog.count("\n", 0, cut) or 1
        self._backlog = self._backlog[cut:]

    async def run(self) -> None:
        """Send until closed and empty."""
        while True:
            await self._more.wait()
            if not self._closing:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._full.wait(), SEND_EVERY_S)
            self._more.clear()
            self._full.clear()
            await self._send_all()
            if self._closing and not self._backlog:
                return

    async def _send_all(self) -> None:
        while self._backlog:
            text = self._next()
            sent = await self._link.send_output(self._task_id, text)
            if sent.retry:
                self._backlog = text + self._backlog
                await asyncio.sleep(RETRY_S)
            if len(self._backlog) < SEND_FROM_CHARS and not self._closing:
                return  # the rest waits for company

    def _next(self) -> str:
        """Whole lines up to the size of one call, with a mark where lines are missing."""
        mark = (
            f"[{self._skipped_lines} lines left out here; all are in the result]\n"
            if self._skipped_lines
            else ""
        )
        self._skipped_lines = 0
        cut = SEND_MOST_CHARS
        if len(self._backlog) > cut and (line_end := self._backlog.rfind("\n", 0, cut)) >= 0:
            cut = line_end + 1
        text, self._backlog = mark + self._backlog[:cut], self._backlog[cut:]
        return text

    def close(self, last_line: str) -> None:
        """Send the rest and this line, then end."""
        tail = self._decoder.decode(b"", final=True)
        gap = "" if not (self._backlog + tail) or (self._backlog + tail).endswith("\n") else "\n"
        self._backlog += tail + gap + last_line + "\n"
        self._closing = True
        self._more.set()
        self._full.set()


class TaskOutput:
    """Where a run's output goes; `write` fits `ports.OutputSink`."""

    def __init__(
        self, *, task_id: TaskId, path: Path, limit_bytes: int, files: NamedThread, link: PoolLink,
        start: Callable[..., asyncio.Task[None]],
    ) -> None:  # fmt: skip
        self.file = LogFile(path, limit_bytes, files)
        self._stream = PoolStream(task_id, link)
        self._sender = start("output", self._stream.run())
        self._writer = start("log", self._write_on())

    async def write(self, chunk: bytes) -> None:
        """Take output as it comes."""
        self._stream.feed(chunk)
        await self.file.write(chunk)

    async def _write_on(self) -> None:
        """Write what is pending although nothing new comes, so that `logs --follow` sees it."""
        while True:
            await asyncio.sleep(WRITE_EVERY_S * 2)
            await self.file.flush()

    def abandon(self) -> None:
        """Let go of everything without waiting."""
        self.file.abandon()

    async def close_file(self) -> None:
        """Write all that came; to be called when the program has ended."""
        self._writer.cancel()
        await self.file.close()

    async def close_stream(self, last_line: str) -> None:
        """Send the pool the rest and this line; it gets a few seconds, as all is in the result anyway."""
        self._stream.close(last_line)
        _, late = await asyncio.wait({self._sender}, timeout=FLUSH_LIMIT_S)
        for task in late:
            task.cancel()
