"""A running task's output: all of it to its log file, what the pool can follow to the pool.

Log lines never pass the journal. The program is held back when the disk cannot follow; it
is never held back by a slow pool, which gets a mark instead of the lines it missed.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import io
import logging
import time
from collections.abc import Callable
from pathlib import Path

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
    """Appends to one file through the files thread, up to `limit_bytes`, then writes a mark once.

    What the disk would not take leaves a gap with a mark of its own. Calls wait for one another,
    so that the pieces keep their order; a caller must not be cancelled while it waits.
    """

    def __init__(self, path: Path, limit_bytes: int, files: NamedThread) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._files = files
        self._file: io.FileIO | None = None
        self._pending = bytearray()
        self._lock = asyncio.Lock()
        self._due_at = 0.0
        self._gap_bytes = 0
        self.written_bytes = 0
        self.dropped_bytes = 0

    async def write(self, chunk: bytes) -> None:
        """Take a chunk; waits for the disk only when much is pending."""
        self._pending += chunk
        now = time.monotonic()
        if len(self._pending) >= WRITE_FROM_BYTES or now >= self._due_at:
            self._due_at = now + WRITE_EVERY_S
            await self.flush()

    async def flush(self) -> None:
        """Write what is pending."""
        async with self._lock:
            if self._pending:
                pending, self._pending = self._pending, bytearray()
                await self._files.call(self._append, pending)

    def _append(self, chunk: bytearray) -> None:
        try:
            file = self._opened()
            self._bridge(file)
        except OSError as error:
            self._miss(len(chunk), error)
            return
        kept = memoryview(chunk)[: max(0, self._limit_bytes - self.written_bytes)]
        self._put(file, kept)
        if len(kept) < len(chunk):
            self._cut(file, len(chunk) - len(kept))

    def _opened(self) -> io.FileIO:
        if self._file is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = self._path.open("ab", buffering=0)
            self.written_bytes = self._file.tell()
        return self._file

    def _bridge(self, file: io.FileIO) -> None:
        """Say in the file how much is missing, now that it takes something again."""
        if self._gap_bytes:
            file.write(f"\n[{self._gap_bytes} bytes are missing here: the disk was full]\n".encode())
            self._gap_bytes = 0

    def _put(self, file: io.FileIO, rest: memoryview) -> None:
        try:
            while rest:  # one write may take less than it is given, e.g. just before a disk is full
                taken = file.write(rest) or 0
                self.written_bytes += taken
                rest = rest[taken:]
        except OSError as error:
            self._miss(len(rest), error)

    def _miss(self, count: int, error: OSError) -> None:
        """A full disk: the task may go on, its log has a gap."""
        if not self._gap_bytes:
            log.warning("a task's log could not be written: %s", error.strerror)
        self._gap_bytes += count

    def _cut(self, file: io.FileIO, count: int) -> None:
        if not self.dropped_bytes:
            with contextlib.suppress(OSError):
                mark = f"\n[the log is cut here: its limit of {self._limit_bytes} bytes is reached]\n"
                file.write(mark.encode())
        self.dropped_bytes += count

    async def close(self) -> None:
        """Write the rest and close the file."""
        await self.flush()
        if self._file is not None:
            file, self._file = self._file, None
            await self._files.call(file.close)

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
        self._mid_line = False
        self._more = asyncio.Event()
        self._full = asyncio.Event()
        self._closing = False

    def feed(self, chunk: bytes) -> None:
        """Take output; the oldest lines give way when the pool cannot follow."""
        self._add(self._decoder.decode(chunk))
        if len(self._backlog) > BACKLOG_CHARS:
            self._skip()
        self._more.set()
        if len(self._backlog) >= SEND_FROM_CHARS:
            self._full.set()

    def _add(self, text: str) -> None:
        self._backlog += text
        self._mid_line = not text.endswith("\n") if text else self._mid_line

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
            skipped, text = self._next()
            sent = await self._link.send_output(self._task_id, _gap_mark(skipped) + text)
            if sent.retry:
                self._put_back(skipped, text)
                await asyncio.sleep(RETRY_S)
            if len(self._backlog) < SEND_FROM_CHARS and not self._closing:
                return  # the rest waits for company

    def _put_back(self, skipped: int, text: str) -> None:
        """Before the rest, unless lines behind it had to go meanwhile: then it is one gap with them."""
        if self._skipped_lines:
            self._skipped_lines += skipped + (text.count("\n") or 1)
        else:
            self._skipped_lines, self._backlog = skipped, text + self._backlog

    def _next(self) -> tuple[int, str]:
        """The number of lines missing here, and whole lines up to the size of one call."""
        cut = SEND_MOST_CHARS
        if len(self._backlog) > cut and (line_end := self._backlog.rfind("\n", 0, cut)) >= 0:
            cut = line_end + 1
        skipped, self._skipped_lines = self._skipped_lines, 0
        text, self._backlog = self._backlog[:cut], self._backlog[cut:]
        return skipped, text

    def close(self, last_line: str) -> None:
        """Send the rest and this line, then end."""
        self._add(self._decoder.decode(b"", final=True))
        self._add(("\n" if self._mid_line else "") + last_line + "\n")
        self._closing = True
        self._more.set()
        self._full.set()


def _gap_mark(lines: int) -> str:
    return f"[{lines} lines left out here; all are in the result]\n" if lines else ""


class TaskOutput:
    """Where a run's output goes; `write` fits `ports.OutputSink`."""

    def __init__(
        self, *, task_id: TaskId, path: Path, limit_bytes: int, files: NamedThread, link: PoolLink,
        start: Callable[..., asyncio.Task[None]],
    ) -> None:  # fmt: skip
        self.file = LogFile(path, limit_bytes, files)
        self._over = asyncio.Event()
        self._stream = PoolStream(task_id, link)
        self._sender = start("output", self._stream.run())
        self._writer = start("log", self._write_on())

    async def write(self, chunk: bytes) -> None:
        """Take output as it comes."""
        self._stream.feed(chunk)
        await self.file.write(chunk)

    async def _write_on(self) -> None:
        """Write what is pending although nothing new comes, so that `logs --follow` sees it."""
        while not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), WRITE_EVERY_S * 2)
            await self.file.flush()

    def abandon(self) -> None:
        """Let go of everything without waiting."""
        self.file.abandon()

    async def close_file(self) -> None:
        """Write all that came; to be called when the program has ended."""
        # Asked and not cancelled: a write that still waits for its thread would be lost with its caller.
        self._over.set()
        await asyncio.wait({self._writer})
        await self.file.close()

    async def close_stream(self, last_line: str) -> None:
        """Send the pool the rest and this line; it gets a few seconds, as all is in the result anyway."""
        self._stream.close(last_line)
        _, late = await asyncio.wait({self._sender}, timeout=FLUSH_LIMIT_S)
        for task in late:
            task.cancel()
