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
from collections.abc import Awaitable, Callable
from pathlib import Path

from hivemind_worker.engine.bookmark import Bookmark, Kept
from hivemind_worker.engine.ports import PoolLink
from hivemind_worker.model.task import TaskId
from hivemind_worker.nursery import NamedThread, comes_within

log = logging.getLogger(__name__)

WRITE_FROM_BYTES = 64 * 1024
WRITE_EVERY_S = 0.1

SEND_FROM_BYTES = 4 * 1024
SEND_MOST_BYTES = 8 * 1024
SEND_EVERY_S = 1.0
UNFINISHED_TURNS = 3
"""So often a line that has no end yet waits for it: a pool ends a line behind each text that it is sent."""
BACKLOG_BYTES = 64 * 1024
FLUSH_LIMIT_S = 5.0
RETRY_S = 2.0


class LogFile:
    """Appends to one file through the files thread, up to `limit_bytes`, then writes a mark once.

    What the disk would not take leaves a gap with a mark of its own. Calls wait for one another,
    so that the pieces keep their order; a caller must not be cancelled while it waits.
    """

    def __init__(
        self, path: Path, limit_bytes: int, files: NamedThread, bookmark: Bookmark | None = None
    ) -> None:
        kept = bookmark.kept if bookmark else Kept()
        self._path = path
        self._limit_bytes = limit_bytes
        self._files = files
        self._bookmark = bookmark
        self._file: io.FileIO | None = None
        self._pending = bytearray()
        self._mark = b""  # where the program's output stands with what is pending
        self._fed_bytes = kept.fed_bytes
        self._is_whole = kept.is_whole
        self._is_abandoned = False
        self._lock = asyncio.Lock()
        self._due_at = 0.0
        self._gap_bytes = 0
        self.written_bytes = 0
        self.dropped_bytes = kept.dropped_bytes

    async def write(self, chunk: bytes, mark: bytes = b"") -> None:
        """Take a chunk; waits for the disk only when much is pending."""
        self._pending += chunk
        self._mark = mark or self._mark
        now = time.monotonic()
        if len(self._pending) >= WRITE_FROM_BYTES or now >= self._due_at:
            self._due_at = now + WRITE_EVERY_S
            await self.flush()

    async def flush(self) -> None:
        """Write what is pending."""
        async with self._lock:
            if self._pending or self._mark:
                pending, self._pending = self._pending, bytearray()
                mark, self._mark = self._mark, b""
                await self._files.call(self._append_marked, pending, mark)

    def _append_marked(self, chunk: bytearray, mark: bytes) -> None:
        """The chunk first: what a crash leaves behind the mark is cut off by the next life."""
        self._append(chunk)
        if self._is_abandoned and self._file is not None:
            self._file.close()  # it was opened meanwhile
            return
        self._fed_bytes += len(chunk)
        self._is_whole = self._is_whole and not self._gap_bytes and not self.dropped_bytes
        if mark and self._bookmark is not None:
            log_bytes = self._file.tell() if self._file is not None else 0
            self._bookmark.note_log(
                Kept(log_bytes=log_bytes, fed_bytes=self._fed_bytes, is_whole=self._is_whole,
                     dropped_bytes=self.dropped_bytes, mark=mark)
            )  # fmt: skip

    def _append(self, chunk: bytearray) -> None:
        if not chunk:
            return
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
        async with self._lock:
            pending, self._pending = self._pending, bytearray()
            mark, self._mark = self._mark, b""
            if pending or mark or self._file is not None:
                await self._files.call(self._finish, pending, mark)

    def _finish(self, chunk: bytearray, mark: bytes) -> None:
        self._append_marked(chunk, mark)
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def abandon(self) -> None:
        """Close the file as it is: the worker ends before the task has."""
        self._is_abandoned = True
        if self._file is not None:
            self._file.close()
            self._file = None


class PoolStream:
    """Sends text to the pool in batches of about a second or 4 KiB, one call at a time (quirk 16).

    `before_send` is told, before each call, up to which byte of the output that call reaches.
    """

    def __init__(
        self, task_id: TaskId, link: PoolLink, before_send: Callable[[int], Awaitable[None]] | None = None
    ) -> None:
        self._task_id = task_id
        self._link = link
        self._before_send = before_send
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._backlog = bytearray()
        self._unsent = ""  # taken from the backlog for a call that did not work
        self._fed_bytes = 0
        self._skipped_lines = 0
        self._mid_line = False
        self._unfinished_turns = 0
        self._more = asyncio.Event()
        self._full = asyncio.Event()
        self._closing = False

    def go_on(self, fed_bytes: int, rest: bytes | None) -> None:
        """Begin where an earlier life stopped: `rest` was not sent yet, None when that is not known."""
        self._fed_bytes = fed_bytes - len(rest or b"")
        if rest is None:
            self._skipped_lines = 1
        elif rest:
            self.feed(rest)

    def feed(self, chunk: bytes) -> None:
        """Take output; the oldest lines give way when the pool cannot follow."""
        self._add(chunk)
        if len(self._backlog) > BACKLOG_BYTES:
            self._skip()
        self._more.set()
        if len(self._backlog) >= SEND_FROM_BYTES:
            self._full.set()

    def _add(self, chunk: bytes) -> None:
        self._backlog += chunk
        self._fed_bytes += len(chunk)
        self._mid_line = not chunk.endswith(b"\n") if chunk else self._mid_line

    def _skip(self) -> None:
        """Drop from the front to the end of a line, so that what follows starts cleanly."""
        cut = len(self._backlog) - BACKLOG_BYTES // 2
        line_end = self._backlog.find(b"\n", cut)
        cut = line_end + 1 if line_end >= 0 else cut
        self._skipped_lines += self._backlog.count(b"\n", 0, cut) or 1
        del self._backlog[:cut]
        self._decoder.reset()

    async def run(self) -> None:
        """Send until closed and empty."""
        while True:
            await self._more.wait()
            if not self._closing:
                await comes_within(self._full, SEND_EVERY_S)
            self._more.clear()
            self._full.clear()
            await self._send_all()
            if self._closing and not self._backlog:
                return
            if self._backlog:
                self._more.set()  # a line without an end is looked at again

    async def _send_all(self) -> None:
        while self._backlog or self._unsent:
            text = self._unsent or self._next()
            if not text:
                return
            if self._before_send is not None:
                await self._before_send(self._fed_bytes - len(self._backlog))
            sent = await self._link.send_output(self._task_id, text)
            self._unsent = text if sent.retry else ""
            if sent.retry:
                await asyncio.sleep(RETRY_S)
            elif len(self._backlog) < SEND_FROM_BYTES and not self._closing:
                return  # the rest waits for company

    def _next(self) -> str:
        """A mark for the lines missing here, and whole lines up to the size of one call.

        Of a line without an end what there is after a while, or when it is long: an empty text before.
        """
        cut = self._backlog.rfind(b"\n", 0, SEND_MOST_BYTES) + 1
        if not cut:
            self._unfinished_turns += 1
            waits = self._unfinished_turns <= UNFINISHED_TURNS and not self._closing
            if waits and len(self._backlog) < SEND_FROM_BYTES:
                return ""
            cut = SEND_MOST_BYTES
        self._unfinished_turns = 0
        skipped, self._skipped_lines = self._skipped_lines, 0
        text = self._decoder.decode(bytes(self._backlog[:cut]))
        del self._backlog[:cut]
        return _gap_mark(skipped) + text

    def close(self, last_line: str) -> None:
        """Send the rest and this line, then end."""
        self._add((("\n" if self._mid_line else "") + last_line + "\n").encode())
        self._closing = True
        self._more.set()
        self._full.set()


def _gap_mark(lines: int) -> str:
    return f"[{lines} lines left out here; all are in the result]\n" if lines else ""


class TaskOutput:
    """Where a run's output goes; `write` fits `ports.OutputSink`."""

    def __init__(
        self, *, task_id: TaskId, path: Path, limit_bytes: int, files: NamedThread, link: PoolLink,
        start: Callable[..., asyncio.Task[None]], bookmark: Bookmark | None = None,
    ) -> None:  # fmt: skip
        self.file = LogFile(path, limit_bytes, files, bookmark)
        self._files, self._bookmark = files, bookmark
        self._over = asyncio.Event()
        self._stream = PoolStream(task_id, link, self._about_to_send)
        if bookmark is not None and bookmark.kept.mark:
            self._stream.go_on(bookmark.kept.fed_bytes, bookmark.unsent)
        self._sender = start("output", self._stream.run())
        self._writer = start("log", self._write_on())

    async def write(self, chunk: bytes, mark: bytes = b"") -> None:
        """Take output as it comes; `mark` is where the sandbox could go on behind it (see Runtime.adopt)."""
        if chunk:
            self._stream.feed(chunk)
        await self.file.write(chunk, mark)

    async def _about_to_send(self, sent_bytes: int) -> None:
        """The pool never has what the log lacks: after a crash both go on from there, nothing twice."""
        if self._bookmark is not None:
            await self.file.flush()
            if self._bookmark.is_kept:
                await self._files.call(self._bookmark.note_sent, sent_bytes)

    async def _write_on(self) -> None:
        """Write what is pending although nothing new comes, so that `logs --follow` sees it."""
        while not self._over.is_set():
            await comes_within(self._over, WRITE_EVERY_S * 2)
            await self.file.flush()

    def abandon(self) -> None:
        """Let go of everything without waiting."""
        self.file.abandon()
        if self._bookmark is not None:
            self._bookmark.close()

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
        if self._bookmark is not None:
            self._bookmark.close()  # not before: what is sent last is noted, too
