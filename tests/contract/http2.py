"""Requests that no gRPC library sends: half a body, a body with a lying length."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING = 0, 1, 3, 4, 6
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _header(name: str, value: str) -> bytes:
    return b"".join((b"\0", bytes([len(name)]), name.encode(), bytes([len(value)]), value.encode()))


def request_head(path: str) -> bytes:
    """Preface, settings and the headers of one call on stream 1."""
    named = {
        ":method": "POST", ":scheme": "http", ":path": path, ":authority": "worker",
        "content-type": "application/grpc", "te": "trailers",
    }  # fmt: skip
    block = b"".join(_header(name, value) for name, value in named.items())
    return PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 1, block)


def message_head(size: int) -> bytes:
    """The five bytes before a message that is said to be so long."""
    return b"\0" + size.to_bytes(4, "big")


async def connect(address: str) -> asyncio.StreamWriter:
    """A plain connection."""
    host, _, port = address.rpartition(":")
    return (await asyncio.open_connection(host, int(port)))[1]


async def half_sent(address: str, path: str) -> asyncio.StreamWriter:
    """A call whose message of 1000 bytes stops after 100; close the writer to be gone."""
    writer = await connect(address)
    writer.write(request_head(path) + frame(DATA, 0, 1, message_head(1000) + bytes(100)))
    await writer.drain()
    return writer


async def drop(writers: Iterable[asyncio.StreamWriter]) -> None:
    """Break the connections, at once and for good."""
    for writer in writers:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await asyncio.wait_for(writer.wait_closed(), 5)


async def status_of(address: str, path: str, body: bytes, limit_s: float = 10.0) -> int:
    """Send ready DATA and read the call's grpc-status."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request_head(path) + frame(DATA, END_STREAM, 1, body))
        async with asyncio.timeout(limit_s):
            while True:
                head = await reader.readexactly(9)
                payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
                _, found, rest = payload.partition(b"grpc-status")
                if head[3] == HEADERS and found:
                    return int(rest[1 : 1 + rest[0]])
    finally:
        writer.close()
        await writer.wait_closed()


async def pings_answered(address: str, path: str, count: int) -> int:
    """Ping so often within one call; how many answers come before the connection ends."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answers = 0
    try:
        writer.write(request_head(path) + frame(PING, 0, 0, bytes(8)) * count)
        async with asyncio.timeout(30):
            while answers < count:
                head = await reader.readexactly(9)
                await reader.readexactly(int.from_bytes(head[:3], "big"))
                answers += head[3] == PING and head[4] == ACK
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        await drop([writer])
    return answers
