"""Long connections to the engine: output of a container as it comes, and its end. Blocking, for threads.

The SDK reads such streams a line at a time; here they are read in bulk and can be broken off from
another thread at once. Counterpart: `engine`, for all calls that are answered soon.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

from hivemind_worker.runtimes.docker.endpoint import Endpoint
from hivemind_worker.runtimes.docker.engine import EngineError, Trouble
from hivemind_worker.runtimes.docker.frames import Chunks

HEAD_MOST_BYTES = 64 * 1024
READ_BYTES = 256 << 10
TROUBLES = {404: Trouble.GONE, 409: Trouble.CONFLICT}


class EngineStream:
    """One answer that goes on and on; `read` gives what came, b"" at its end."""

    def __init__(self, line: Any, rest: bytes, *, is_chunked: bool) -> None:
        self._line = line
        self._rest = rest
        self._limit_s: float | None = None
        self._chunks = Chunks() if is_chunked else None

    def read(self, limit_s: float | None = None) -> bytes:
        """Wait for more.

        Raises:
            TimeoutError: nothing came within the limit; it may be read again.
            OSError: the connection broke, or `close` was called meanwhile.
        """
        if limit_s != self._limit_s:
            self._line.settimeout(limit_s)
            self._limit_s = limit_s
        while self._chunks is None or not self._chunks.ended:
            data, self._rest = self._rest or self._line.recv(READ_BYTES), b""
            if self._chunks is None or not data:
                if not data and self._chunks is not None and not self._chunks.ended:
                    raise ConnectionResetError("the engine closed the connection in the middle")
                return bytes(data)
            content = self._chunks.feed(data)
            if content:
                return content
        return b""

    def close(self) -> None:
        """Let go of it, from any thread; a waiting `read` ends."""
        with contextlib.suppress(OSError, AttributeError):
            self._line.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._line.close()


def open_stream(
    endpoint: Endpoint, method: str, path: str, *, limit_s: float, upgrade: bool = False
) -> EngineStream:
    """Ask and read the head of the answer; only that has a time limit.

    Raises:
        EngineError: the engine is away or said no.
    """
    try:
        line = _connect(endpoint, limit_s)
    except (OSError, ValueError) as error:
        raise EngineError(Trouble.AWAY, str(error)) from error
    try:
        more = "Connection: Upgrade\r\nUpgrade: tcp\r\n" if upgrade else "Connection: close\r\n"
        line.sendall(
            f"{method} {path} HTTP/1.1\r\nHost: docker\r\n{more}Content-Length: 0\r\n\r\n".encode("ascii")
        )
        status, headers, rest = _head(line)
        if status >= 400:
            said = _message(line, rest, headers)
            raise EngineError(TROUBLES.get(status, Trouble.REFUSED), said)
        line.settimeout(None)
        return EngineStream(line, rest, is_chunked=headers.get("transfer-encoding", "") == "chunked")
    except (OSError, ValueError) as error:
        line.close()
        raise EngineError(Trouble.AWAY, str(error)) from error
    except BaseException:
        line.close()
        raise


def _connect(endpoint: Endpoint, limit_s: float) -> Any:
    if endpoint.socket is not None:
        return _connected(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), str(endpoint.socket), limit_s)
    if endpoint.url.startswith("npipe:"):
        from docker.transport.npipesocket import NpipeSocket  # noqa: PLC0415 - Windows alone

        return _connected(NpipeSocket(), endpoint.url.removeprefix("npipe:").replace("/", "\\"), limit_s)
    place = urlsplit(endpoint.url)
    if place.scheme not in ("tcp", "http", "https") or place.hostname is None:
        raise ValueError(f"{endpoint.url} is not an address of an engine")
    plain = socket.create_connection((place.hostname, place.port or 2375), limit_s)
    return _wrapped(plain, endpoint, place.hostname) if endpoint.tls is not None else plain


def _connected(line: Any, place: str, limit_s: float) -> Any:
    try:
        line.settimeout(limit_s)
        line.connect(place)
    except BaseException:
        line.close()
        raise
    return line


def _wrapped(plain: socket.socket, endpoint: Endpoint, host: str) -> ssl.SSLSocket:
    assert endpoint.tls is not None
    context = ssl.create_default_context(cafile=str(endpoint.tls / "ca.pem"))
    context.load_cert_chain(str(endpoint.tls / "cert.pem"), str(endpoint.tls / "key.pem"))
    return context.wrap_socket(plain, server_hostname=host)


def _head(line: Any) -> tuple[int, dict[str, str], bytes]:
    """Status, headers in lower case, and what came behind them."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = line.recv(4096)
        if not piece or len(data) > HEAD_MOST_BYTES:
            raise ConnectionResetError("the engine closed the connection")
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in lines)}
    return int(first.split(" ")[1]), headers, rest


def _message(line: Any, rest: bytes, headers: dict[str, str]) -> str:
    """What the engine says is wrong."""
    missing = int(headers.get("content-length", "0")) - len(rest)
    with contextlib.suppress(OSError):
        while missing > 0 and (piece := line.recv(min(missing, 4096))):
            rest, missing = rest + piece, missing - len(piece)
    try:
        return str(json.loads(rest)["message"])[:400]
    except (ValueError, KeyError, TypeError):
        return rest.decode("utf-8", "replace")[:400]
