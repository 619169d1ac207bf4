"""A client made of a bare socket: it sends what no well-behaved client would."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

LIMIT_S = 10.0


@dataclass(frozen=True)
class Answer:
    """Status, headers (names in lower case) and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def values(self) -> dict[str, Any]:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


def parse(raw: bytes) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in rest)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Answer(int(first.split(" ")[1]), headers, body)


async def exchange(port: int, raw: bytes, host: str = "127.0.0.1") -> bytes:
    """Send the bytes and read until the server closes."""
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(raw)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()


async def ask(
    port: int,
    target: str,
    *,
    method: str = "GET",
    token: str | None = None,
    body: object = None,
    headers: dict[str, str] | None = None,
    host: str | None = None,
    raw_body: bytes | None = None,
) -> Answer:
    """One request on a connection of its own; `headers` replace or add, "" leaves one out."""
    content = raw_body if raw_body is not None else (b"" if body is None else json.dumps(body).encode())
    lines = {"Host": host or f"127.0.0.1:{port}", "Connection": "close"}
    if token is not None:
        lines["Authorization"] = f"Bearer {token}"
    if content:
        lines |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
    lines |= headers or {}
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in lines.items() if v)
    return parse(await exchange(port, head.encode("utf-8", "surrogateescape") + b"\r\n" + content))
