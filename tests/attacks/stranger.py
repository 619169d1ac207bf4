"""HTTP/2 spoken by hand, from any of this computer's own addresses: what no gRPC library would send.

127.0.0.9 stands for another computer of the network: the worker lets only the pool's 127.0.0.1 in.
Counterpart: tests.contract.http2, which has the frames.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.contract.http2 import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    frame,
    message_head,
)

STRANGER, POOL = "127.0.0.9", "127.0.0.1"
FORGED = (
    ("authorization", "Bearer good"), ("x-forwarded-for", "127.0.0.1"), ("forwarded", "for=127.0.0.1"),
    ("x-real-ip", "127.0.0.1"),
)  # fmt: skip
RESET_CODE_CANCEL = (8).to_bytes(4, "big")


@dataclass(frozen=True)
class Spoken:
    """What came back: the frames after the settings as they were, the call's status, and how long it took."""

    frames: bytes
    status: int | None
    seconds: float


def call_head(path: str, more: Iterable[tuple[str, str]] = (), stream: int = 1) -> bytes:
    """The HEADERS of one call."""
    named = (
        (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "worker"),
        ("content-type", "application/grpc"), ("te", "trailers"), *more,
    )  # fmt: skip
    block = b"".join(_literal(name, value) for name, value in named)
    return frame(HEADERS, END_HEADERS, stream, block)


def _literal(name: str, value: str) -> bytes:
    return b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in (name, value))


def message(raw: bytes) -> bytes:
    """One gRPC message in as many DATA frames as it needs; only for what fits the first window."""
    whole = message_head(len(raw)) + raw
    pieces = [whole[at : at + 16384] for at in range(0, len(whole), 16384)]
    ends = [0] * (len(pieces) - 1) + [END_STREAM]
    return b"".join(frame(DATA, end, 1, piece) for piece, end in zip(pieces, ends, strict=True))


def rapid_resets(path: str, count: int) -> bytes:
    """So many calls, each taken back at once."""
    return b"".join(
        call_head(path, stream=number) + frame(RST_STREAM, 0, number, RESET_CODE_CANCEL)
        for number in range(1, 2 * count, 2)
    )


@asynccontextmanager
async def line_to(
    address: str, source: str = STRANGER
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A plain connection that comes from `source`; broken off at the end."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), local_addr=(source, 0))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await asyncio.wait_for(writer.wait_closed(), 5)


async def call(
    address: str, path: str, body: bytes, source: str = STRANGER, *, more: Iterable[tuple[str, str]] = (),
    limit_s: float = 10.0,
) -> Spoken:  # fmt: skip
    """Send the head and `body` (ready DATA frames) and listen until the call's status, or the end."""
    async with line_to(address, source) as (reader, writer):
        began = time.perf_counter()
        writer.write(PREFACE + frame(SETTINGS, 0, 0) + call_head(path, more) + body)
        heard = b""
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    head = await reader.readexactly(9)
                    payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
                    if head[3] != HEADERS and head[3] != DATA:
                        continue
                    heard += head + payload
                    _, found, rest = payload.partition(b"grpc-status")
                    if found:
                        status = int(rest[1 : 1 + rest[0]])
                        return Spoken(heard, status, time.perf_counter() - began)
        except (asyncio.IncompleteReadError, ConnectionError):
            return Spoken(heard, None, time.perf_counter() - began)
