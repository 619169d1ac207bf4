"""A client in a process of its own: asks one address at a steady rate on kept connections; tells the times.

`python -m tests.benchmarks.web_load PORT TOKEN PATH RATE SECONDS CONNECTIONS`. The time of an answer counts
from when its request was due, so that a server that holds everybody up cannot hide it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque


class Kept(asyncio.Protocol):
    """One connection; answers come in the order of the requests."""

    def __init__(self, request: bytes, taken: list[float]) -> None:
        self._request = request
        self._taken = taken
        self._due: deque[float] = deque()
        self._content = b""
        self.bad = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, due: float) -> None:
        self._due.append(due)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._content += data
        while (end := self._content.find(b"\r\n\r\n")) >= 0:
            head = self._content[:end].lower()
            at = head.find(b"content-length:")
            size = int(head[at + 15 : head.find(b"\r\n", at)]) if at >= 0 else 0
            if len(self._content) < end + 4 + size:
                return
            self.bad += not head.startswith(b"http/1.1 200")
            self._content = self._content[end + 4 + size :]
            self._taken.append(time.perf_counter() - self._due.popleft())

    def connection_lost(self, exc: Exception | None) -> None:
        self.bad += len(self._due)


async def main(port: int, token: str, path: str, rate: float, seconds: float, connections: int) -> None:
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n\r\n"
    taken: list[float] = []
    loop = asyncio.get_running_loop()
    kept = []
    for _ in range(connections):
        _transport, protocol = await loop.create_connection(
            lambda: Kept(head.encode(), taken), "127.0.0.1", port
        )
        kept.append(protocol)
    began, asked, wanted = time.perf_counter(), 0, int(rate * seconds)
    while asked < wanted:
        now = time.perf_counter()
        while asked < wanted and began + asked / rate <= now:
            kept[asked % connections].ask(began + asked / rate)
            asked += 1
        await asyncio.sleep(max(0.0, began + asked / rate - time.perf_counter()))
    limit = time.perf_counter() + 30
    while len(taken) < asked and time.perf_counter() < limit:
        await asyncio.sleep(0.01)
    took = time.perf_counter() - began
    for protocol in kept:
        protocol.transport.close()
    times = sorted(taken) or [0.0]
    print(json.dumps({
        "answers": len(taken), "asked": asked, "bad": sum(protocol.bad for protocol in kept),
        "rate": len(taken) / took, "p50_ms": times[len(times) // 2] * 1000,
        "p99_ms": times[int(len(times) * 0.99)] * 1000, "worst_ms": times[-1] * 1000,
    }))  # fmt: skip


if __name__ == "__main__":
    _, port, token, path, rate, seconds, connections = sys.argv
    asyncio.run(main(int(port), token, path, float(rate), float(seconds), int(connections)))
