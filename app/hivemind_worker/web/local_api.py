"""The local control API: one server on loopback, from its sockets to its routes.

Counterparts: engine.face.NodeFace, which it shows, and commands.remote, which calls it.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import NamedThread
from hivemind_worker.web.answers import add_headers
from hivemind_worker.web.connection import HEAD_LIMIT_S, MAX_CONNECTIONS, Doorway
from hivemind_worker.web.door import make_door
from hivemind_worker.web.guard import BODY_BYTES, NAMES, Guard
from hivemind_worker.web.listening import open_sockets
from hivemind_worker.web.routes import Access, Route, Table, register
from hivemind_worker.web.seed import SeedRoutes
from hivemind_worker.web.sign_in import SignIn, plain_login_page
from hivemind_worker.web.token import proof_of
from hivemind_worker.web.v1 import V1Routes
from hivemind_worker.web.visitors import Users

if TYPE_CHECKING:
    from hivemind_worker.engine.face import NodeFace

CLOSE_LIMIT_S = 2.0


class LocalApi:
    """Serves the node to programs of this computer that know the token. One use: start, then close."""

    def __init__(
        self,
        node: NodeFace,
        token: str,
        *,
        users: Users | None = None,
        clock: Callable[[], float] = time.time,
        head_limit_s: float = HEAD_LIMIT_S,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._guard = Guard(token, users, clock)
        self._files = NamedThread("web-files", threads=2)
        self._head_limit_s = head_limit_s
        self._max_connections = max_connections
        self._servers: list[asyncio.Server] = []
        self._port = 0
        self.table: Table = {}
        app = web.Application(middlewares=[make_door(self._guard, self.table)], client_max_size=BODY_BYTES)
        app.on_response_prepare.append(add_headers)
        routes = [
            *SeedRoutes(node, partial(proof_of, token), clock).table(),
            *V1Routes(node, self._files, clock).table(),
        ]
        if users is not None:
            length = partial(_session_s, node)
            sign_in = SignIn(self._guard, users, length, clock, login_page=plain_login_page)
            routes += [*sign_in.table(), *session_routes(sign_in)]
        self.table.update(register(app, routes))
        self._runner = web.AppRunner(app, shutdown_timeout=CLOSE_LIMIT_S, access_log=None)

    @property
    def port(self) -> int:
        """The port in use; 0 before the start."""
        return self._port

    @property
    def url(self) -> str:
        """The address for other programs on this computer."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self, host: str = "127.0.0.1", port: int = 5000, search: bool = True) -> int | Problem:
        """Listen; returns the port. Taken: the next free one with `search`, else the problem.

        Raises:
            ValueError: the host is not a loopback address.
        """
        sockets = open_sockets(host, port, search=search)
        if isinstance(sockets, Problem):
            return sockets
        self._port = sockets[0].getsockname()[1]
        self._guard.serve("http", NAMES, self._port)
        await self._serve(sockets)
        return self._port

    async def _serve(self, sockets: tuple[socket.socket, ...]) -> None:
        await self._runner.setup()
        server = self._runner.server
        assert server is not None
        doorway = Doorway(server, head_limit_s=self._head_limit_s, max_connections=self._max_connections)
        loop = asyncio.get_running_loop()
        for own in sockets:
            self._servers.append(await loop.create_server(doorway, sock=own))

    async def close(self) -> None:
        """Take no more requests, give those under way 2 s, and end every connection."""
        for server in self._servers:
            server.close()
        await self._runner.cleanup()
        self._files.close(wait=False)


def _session_s(node: NodeFace) -> float:
    return node.settings.session_timeout_h * 3600


def session_routes(sign_in: SignIn) -> list[Route]:
    """Who is signed in, as /api/v1 shows and ends it."""
    base = "/api/v1/sessions"
    return [
        Route(method="GET", path=base, handler=sign_in.sessions),
        Route(method="GET", path=base + "/current", handler=sign_in.whoami),
        Route(method="POST", path=base + "/link", handler=sign_in.link, access=Access.TOKEN),
        Route(method="DELETE", path=base + "/{number}", handler=sign_in.end_session),
    ]
