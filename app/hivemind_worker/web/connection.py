"""Connections: how many, how long a head may take, and what a request that cannot be read gets.

aiohttp's keep-alive limit counts from the start of a connection and from the end of each
answer until a whole head has arrived, so that a head sent drop by drop does not extend it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web

from hivemind_worker.web.answers import refusal, refuse
from hivemind_worker.web.guard import HEAD_BYTES

log = logging.getLogger(__name__)
MAX_CONNECTIONS = 200
MAX_REMOTE_CONNECTIONS = 100  # counted apart, so that others cannot lock the owner out
HEAD_LIMIT_S = 10.0


class Connection(web.RequestHandler):
    """One connection; what cannot be read as a request is answered without its text or a trace."""

    __slots__ = ("_counted_in", "_when_lost")

    def count_in(self, open_now: set[Connection]) -> None:
        """Stand in this set while connected."""
        self._counted_in = open_now
        self._when_lost: Callable[[], None] | None = None

    def when_lost(self, call: Callable[[], None]) -> None:
        """Call this when the caller has gone: an answer that waits for news would not notice."""
        self._when_lost = call

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._counted_in.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._counted_in.discard(self)
        if self._when_lost is not None:
            self._when_lost()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # the library's text, which repeats what was sent: not used
    ) -> web.StreamResponse:
        """A plain answer, after which the connection is closed."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("bug in the web server", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had already begun")
        response = refuse("", refusal(HTTPStatus(status), "The request cannot be read."))
        response.force_close()
        return response


class _TurnedAway(asyncio.Protocol):
    """A connection over the cap: closed at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


class Doorway:
    """Makes the protocol of each new connection."""

    def __init__(self, server: web.Server, *, head_limit_s: float, max_connections: int) -> None:
        self._server = server
        self._max_connections = max_connections
        self._open: set[Connection] = set()
        self._limits: dict[str, Any] = {
            "keepalive_timeout": head_limit_s,
            "lingering_time": 1.0,
            "max_line_size": HEAD_BYTES,
            "max_field_size": HEAD_BYTES,
            "max_headers": 64,
            "auto_decompress": False,
            "access_log": None,
            "logger": log,
        }

    def __call__(self) -> asyncio.Protocol:
        if len(self._open) >= self._max_connections:
            return _TurnedAway()
        made = Connection(self._server, loop=asyncio.get_running_loop(), **self._limits)
        made.count_in(self._open)
        return made
