"""Where others come in: the pool at the task door, the owner at the local API, if wished from elsewhere."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import platform
import time
from collections.abc import Coroutine
from typing import Any

from hivemind_worker.engine.face import NodeFace
from hivemind_worker.machine.interfaces import ipv4_addresses
from hivemind_worker.model.faults import FaultCode, sentence
from hivemind_worker.model.pools import is_asked
from hivemind_worker.model.task import Problem
from hivemind_worker.pool.address import TUNNEL_NET, choose_own_address, parse_address, resolve
from hivemind_worker.pool.server import TaskDoor
from hivemind_worker.web.endpoint import remove_endpoint, write_endpoint
from hivemind_worker.web.local_api import LocalApi
from hivemind_worker.web.remote import Listening, keep_open, parse_listening
from hivemind_worker.web.token import load_or_make_token
from hivemind_worker.worker_node.parts import Parts

log = logging.getLogger(__name__)


def disk_problem(error: OSError) -> Problem:
    """Why the home cannot be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    about = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return Problem(code=FaultCode.DISK_FULL if full else FaultCode.NO_PERMISSION, about=about)


def listening(web_listen: str, web_names: str) -> Listening | Problem | None:
    """Where other computers may come in, None when nowhere."""
    own = [address for found in ipv4_addresses().values() for address in found]
    return parse_listening(web_listen, web_names, own, platform.node())


class Doors:
    """Opened once, for one worker; `announced` is where the pool can reach the task door."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._door: TaskDoor | None = None
        self._api: LocalApi | None = None
        self.announced = ("", parts.settings.node_port)
        self._endpoint_is_told = False

    async def open(self, node: NodeFace) -> Problem | None:
        """Let the pool and the owner in."""
        return await self._open_door() or await self._open_api(node)

    @property
    def api_url(self) -> str:
        return self._api.url if self._api is not None else ""

    def dashboard_link(self) -> str:
        """A one-time link for the owner's browser."""
        return self._api.dashboard_link() if self._api is not None else ""

    @property
    def task_address(self) -> str:
        return self._door.address if self._door is not None else ""

    def closing(self) -> list[Coroutine[Any, Any, None]]:
        """One coroutine for each open door, for the caller to run."""
        remove_endpoint(self._parts.places.endpoint_file, pid=os.getpid())
        return [door.close() for door in (self._api, self._door) if door is not None]

    async def _open_door(self) -> Problem | None:
        settings, places = self._parts.settings, self._parts.places
        if is_asked(self._parts.pool_address):
            self.announced = ("", 0)  # nobody needs to reach this worker: no port is open
            return None
        pool_ips = await self._pool_ips()
        own = choose_own_address(ipv4_addresses(), pool_ips, settings.bind_address, self._network)
        if isinstance(own, Problem):
            return own
        if own.warning:
            log.warning("%s", own.warning)
        self._door = TaskDoor(
            self._parts.intake, peers=self._peers(pool_ips), spool=places.spool, files=self._parts.files,
            moved=self._parts.traffic.moved,
        )  # fmt: skip
        port = await self._door.open(own.bind, settings.node_port)
        if isinstance(port, Problem):
            return port
        self.announced = (own.announce, port)
        return None

    async def follow_address(self) -> bool | Problem:
        """Move the task door when it should listen at another address of this computer by now.

        It stays where it is while no better one is known: an address that has gone may come back.
        """
        if is_asked(self._parts.pool_address):
            return False
        own = choose_own_address(
            ipv4_addresses(), await self._pool_ips(), self._parts.settings.bind_address, self._network
        )
        here = self.task_address.rpartition(":")[0].strip("[]")
        if isinstance(own, Problem) or own.warning or own.bind == here:
            return False
        return await self.move_task_door() or True

    @property
    def _network(self) -> ipaddress.IPv4Network:
        text = self._parts.settings.vpn_network
        return ipaddress.IPv4Network(text, strict=False) if text else TUNNEL_NET

    def port_names(self) -> dict[int, str]:
        """What each port is for, by its number."""
        api = {} if self._api is None else {self._api.port: "dashboard"}
        if self._api is not None and self._api.remote_port:
            api[self._api.remote_port] = "remote_dashboard"
        return {self.announced[1]: "tasks"} | api

    async def move_task_door(self) -> Problem | None:
        """Open it anew for the active pool, which may be reached in another way and is another peer."""
        if self._door is not None:
            await self._door.close()
            self._door = None
        return await self._open_door()

    def _peers(self, pool_ips: tuple[str, ...]) -> tuple[str, ...]:
        """Addresses that may send tasks: those set by hand, else the pool's own."""
        parts = self._parts.settings.pool_peers.split(",")
        return tuple(part.strip() for part in parts if part.strip()) or pool_ips

    async def _pool_ips(self) -> tuple[str, ...]:
        pool = parse_address(self._parts.pool_address)
        return () if isinstance(pool, Problem) else await resolve(pool.host, self._parts.probe)

    async def _open_api(self, node: NodeFace) -> Problem | None:
        parts = self._parts
        token = await parts.files.call(load_or_make_token, parts.places.token_file)
        problem = await parts.users.open()
        if problem is not None:  # the worker works without its dashboard's accounts
            log.warning("%s", sentence(problem.code, problem.about))
        self._api = LocalApi(node, token, users=parts.users)
        searching = "web_port" not in parts.by_hand
        port = await self._api.start(port=parts.settings.web_port, search=searching)
        if isinstance(port, Problem):
            return port
        self.tell_endpoint()
        return self._open_remote(self._api)

    def _open_remote(self, api: LocalApi) -> Problem | None:
        """Let other computers in when the owner has said so; one that is not there yet is waited for."""
        parts = self._parts
        found = listening(parts.settings.web_listen, parts.settings.web_names)
        if isinstance(found, Problem) or found is None:
            return found
        where = f"https://{found.names[0]}:{found.port}"

        def opened(fingerprint: str) -> None:
            log.info(
                "the dashboard is open to other computers at %s, certificate SHA-256 %s", where, fingerprint
            )

        parts.nursery.start("remote", keep_open(api, found, parts.places.state, parts.files, opened))
        return None

    def tell_endpoint(self) -> None:
        """Tell the commands where the API is, once; on a full disk that waits for room."""
        if self._endpoint_is_told:
            return
        file = self._parts.places.endpoint_file
        try:
            write_endpoint(file, url=self.api_url, pid=os.getpid(), started_at_s=time.time())
            self._endpoint_is_told = True
        except OSError as error:
            problem = disk_problem(error)
            log.error("%s", sentence(problem.code, problem.about))
