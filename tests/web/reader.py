"""A reader of server-sent events over a bare socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.web.wire import LIMIT_S


@dataclass
class Told:
    """One event."""

    number: int
    kind: str
    values: dict[str, Any]


class Reader:
    """One open stream; `status` is that of its head."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self.status = 0
        self.head = ""
        self.comments = 0
        self.bytes_read = 0
        self._text = b""
        self._raw = b""

    async def begin(self) -> None:
        async with asyncio.timeout(LIMIT_S):
            self.head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.status = int(self.head.split(" ")[1])

    async def block(self, limit_s: float = LIMIT_S) -> bytes | None:
        """The next block of lines; None at the end of the stream."""
        async with asyncio.timeout(limit_s):
            while b"\n\n" not in self._text:
                if not await self._more():
                    return None
        block, _, self._text = self._text.partition(b"\n\n")
        return block

    async def _more(self) -> bool:
        """One more chunk of the transfer encoding."""
        try:
            size = int(await self._reader.readuntil(b"\r\n"), 16)
            content = await self._reader.readexactly(size + 2)
        except (asyncio.IncompleteReadError, ConnectionError):
            return False
        self.bytes_read += len(content)
        self._text += content[:-2]
        return size > 0

    async def next(self, *kinds: str, limit_s: float = LIMIT_S) -> Told | None:
        """The next event of these kinds (any, without); None at the end of the stream."""
        async with asyncio.timeout(limit_s):
            while (block := await self.block(limit_s)) is not None:
                told = self._told(block)
                if told is not None and (not kinds or told.kind in kinds):
                    return told
        return None

    def _told(self, block: bytes) -> Told | None:
        fields = dict(line.split(": ", 1) for line in block.decode("ascii").split("\n") if ": " in line)
        if block.startswith(b":"):
            self.comments += 1
        if "event" not in fields:
            return None
        return Told(int(fields["id"]), fields["event"], json.loads(fields["data"]))


@asynccontextmanager
async def reading(
    port: int, token: str | None, target: str = "/api/v1/events", **headers: str
) -> AsyncIterator[Reader]:
    """A stream that is open while the block runs."""
    stream, writer = await asyncio.open_connection("127.0.0.1", port)
    made = Reader(stream, writer)
    lines = {"Host": f"127.0.0.1:{port}"} | ({"Authorization": f"Bearer {token}"} if token else {})
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = f"GET {target} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in lines.items())
    writer.write(head.encode() + b"\r\n")
    try:
        await made.begin()
        yield made
    finally:
        writer.close()
