"""The local control API: one server on loopback, from its sockets to its routes.

Counterparts: engine.face.NodeFace, which it shows, and commands.remote, which calls it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import NamedThread, Nursery
from hivemind_worker.web.actions import ActionRoutes
from hivemind_worker.web.answers import add_headers
from hivemind_worker.web.connection import (
    HEAD_LIMIT_S,
    MAX_CONNECTIONS,
    MAX_REMOTE_CONNECTIONS,
    Doorway,
)
from hivemind_worker.web.door import make_door
from hivemind_worker.web.figures import FigureRoutes, Sources
from hivemind_worker.web.fleet import FleetRoutes
from hivemind_worker.web.guard import BODY_BYTES, NAMES, Guard
from hivemind_worker.web.listening import open_remote, open_sockets
from hivemind_worker.web.live import Live
from hivemind_worker.web.pages import Pages
from hivemind_worker.web.routes import Table, register
from hivemind_worker.web.rules import RuleRoutes
from hivemind_worker.web.seed import SeedRoutes
from hivemind_worker.web.settings import SettingRoutes
from hivemind_worker.web.sign_in import SignIn
from hivemind_worker.web.stream import Stream
from hivemind_worker.web.tally import Tally
from hivemind_worker.web.tasks import TaskRoutes
from hivemind_worker.web.token import proof_of
from hivemind_worker.web.visitors import Users
from hivemind_worker.web.vpn import VpnRoutes
from hivemind_worker.web.work_history import WorkHistoryRoutes

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
        self.remote_port = 0  # while other computers are let in
        self.table: Table = {}
        door = make_door(self._guard, self.table, lambda: node.settings.language)
        app = web.Application(middlewares=[door], client_max_size=BODY_BYTES)
        app.on_response_prepare.append(add_headers)
        self._node = node
        self._nursery = Nursery("web")
        self._live = Live(node, self._nursery, clock)
        self._tally = Tally()
        self._unwatch: Callable[[], None] | None = None
        sources = Sources(node=node, live=self._live, tally=self._tally, table=self.table, clock=clock)
        past = WorkHistoryRoutes(node, clock)
        pages = Pages(node, self._files, users, clock, past)
        stream = Stream(self._live, self._guard.still_knows)
        self._seed = SeedRoutes(node, partial(proof_of, token), clock)
        routes = [
            *self._seed.table(),
            *FigureRoutes(sources).table(),
            *past.table(),
            *TaskRoutes(node, self._files, clock).table(),
            *ActionRoutes(node, clock).table(),
            *SettingRoutes(node).table(),
            *RuleRoutes(node, clock).table(),
            *FleetRoutes(node).table(),
            *VpnRoutes(node, clock).table(),
            *stream.table(),
            *pages.table(),
        ]
        self._start_path: Callable[[], str] | None = None
        if users is not None:
            length = partial(_session_s, node)
            sign_in = SignIn(self._guard, users, length, clock, login_page=pages.login_page)
            self._start_path = sign_in.start_path
            routes += sign_in.table()
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

    def dashboard_link(self) -> str:
        """A one-time link that signs a browser in as the owner; "" where there are no sessions."""
        return self.url + self._start_path() if self._start_path is not None else ""

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
        await self._runner.setup()
        for own in sockets:
            await self._serve(own, self._doorway(self._max_connections))
        self._tally.begin(self._node.open_tasks())
        self._unwatch = self._node.watch(self._changed)
        return self._port

    def _changed(self) -> None:
        self._seed.forget()
        self._tally.look(self._node.open_tasks())

    async def listen_remote(
        self, address: str, port: int, names: Sequence[str], context: ssl.SSLContext
    ) -> Problem | None:
        """Let other computers in as well, over TLS alone; to be called after `start`."""
        own = open_remote(address, port)
        if isinstance(own, Problem):
            return own
        shown = [f"[{name}]" if ":" in name else name for name in names]
        self._guard.serve("https", tuple(shown), own.getsockname()[1])
        self.remote_port = own.getsockname()[1]
        await self._serve(own, self._doorway(MAX_REMOTE_CONNECTIONS), context)
        return None

    def _doorway(self, max_connections: int) -> Doorway:
        server = self._runner.server
        assert server is not None
        return Doorway(server, head_limit_s=self._head_limit_s, max_connections=max_connections)

    async def _serve(
        self, own: socket.socket, doorway: Doorway, context: ssl.SSLContext | None = None
    ) -> None:
        loop = asyncio.get_running_loop()
        if context is None:
            server = await loop.create_server(doorway, sock=own)
        else:
            server = await loop.create_server(
                doorway, sock=own, ssl=context, ssl_handshake_timeout=self._head_limit_s,
                ssl_shutdown_timeout=1.0,
            )  # fmt: skip
        self._servers.append(server)

    async def close(self) -> None:
        """Take no more requests, give those under way 2 s, and end every connection."""
        for server in self._servers:
            server.close()
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        self._live.close()
        await self._runner.cleanup()
        await self._nursery.close(CLOSE_LIMIT_S)
        self._files.close(wait=False)


def _session_s(node: NodeFace) -> float:
    return node.settings.session_timeout_h * 3600
