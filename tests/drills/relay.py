"""A TCP relay between worker and pool that breaks the line in every way that lines break, on order.

It knows nothing of what passes: bytes go through, stop, vanish or are cut. The pool's own
log shows what arrived.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

CHUNK_BYTES = 64 << 10


class Relay:
    """Listens on `port` and passes everything on to `target_port`. Orders hold until `mend`."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.refusing = False
        self.sent_up = 0  # bytes passed on to the pool since the last order
        self._left_up: int | None = None
        self._swallowing = False
        self._clear = asyncio.Event()
        self._clear.set()
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.stalled = asyncio.Event()
        self.swallowed = asyncio.Event()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Cut everything and stop listening."""
        if self._server is not None:
            self._server.close()
        self.cut()
        if self._lines:
            await asyncio.wait(set(self._lines), timeout=5)

    # ---- orders -----------------------------------------------------------------

    def cut(self) -> None:
        """Break all lines as a router that forgets them: both ends see a reset."""
        for writer in tuple(self._writers):
            if (transport := writer.transport) is not None:
                transport.abort()
        self._clear.set()  # whoever waits for a mend finds its line broken

    def stall_after(self, count: int) -> None:
        """Pass `count` more bytes towards the pool, then nothing, while the lines stay open."""
        self.sent_up, self._left_up = 0, count
        self._clear.clear()
        self.stalled.clear()

    def swallow_answers(self) -> None:
        """Let everything reach the pool and nothing come back."""
        self._swallowing = True
        self.swallowed.clear()

    def mend(self) -> None:
        """Work as a line again. What was stalled goes on, what was swallowed is lost."""
        self._left_up = None
        self._swallowing = self.refusing = False
        self._clear.set()

    # ---- passing on ---------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        self._writers.add(writer)
        try:
            await self._serve(reader, writer)
        finally:
            self._writers.discard(writer)
            writer.transport.abort()
            self._lines.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            return
        try:
            pool_reader, pool_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            return
        self._writers.add(pool_writer)
        ways = {
            asyncio.ensure_future(self._up(reader, pool_writer)),
            asyncio.ensure_future(self._down(pool_reader, writer)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            self._writers.discard(pool_writer)
            pool_writer.transport.abort()

    async def _up(self, reader: asyncio.StreamReader, pool: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(CHUNK_BYTES):
                while chunk:
                    piece = await self._permitted(chunk)
                    pool.write(piece)
                    await pool.drain()
                    chunk = chunk[len(piece) :]

    async def _permitted(self, chunk: bytes) -> bytes:
        """As much of the chunk as may pass now; waits while nothing may."""
        while self._left_up == 0:
            self.stalled.set()
            self._clear.clear()
            await self._clear.wait()
        piece = chunk if self._left_up is None else chunk[: self._left_up]
        if self._left_up is not None:
            self._left_up -= len(piece)
        self.sent_up += len(piece)
        return piece

    async def _down(self, pool: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await pool.read(CHUNK_BYTES):
                if self._swallowing:
                    self.swallowed.set()
                    continue
                writer.write(chunk)
                await writer.drain()


@asynccontextmanager
async def relay_to(port: int) -> AsyncIterator[Relay]:
    """A relay that listens, closed at the end."""
    made = Relay(port)
    await made.start()
    try:
        yield made
    finally:
        await made.close()
