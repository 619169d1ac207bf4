"""The pool's network in a running worker: watched, joined by itself, diagnosed. Fits `engine.face.VpnFace`.

When this computer's addresses change, the task door moves to the new one and the pool is told at once.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import platform
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hivemind_worker.machine.interfaces import ipv4_addresses
from hivemind_worker.machine.listening import listening
from hivemind_worker.model.faults import FaultCode, sentence
from hivemind_worker.model.pools import is_asked
from hivemind_worker.model.settings import Settings
from hivemind_worker.model.task import Problem
from hivemind_worker.model.vpn import Exposure, Review, RungResult, VpnState, VpnView
from hivemind_worker.nursery import NamedThread
from hivemind_worker.pool.address import parse_address
from hivemind_worker.pool.probe import grpc_status
from hivemind_worker.vpn.exposure import exposures
from hivemind_worker.vpn.ladder import Ladder, Probes
from hivemind_worker.vpn.narrowing import Membership, membership
from hivemind_worker.vpn.site import ask_site, client_name
from hivemind_worker.vpn.tunnel import Tunnel
from hivemind_worker.vpn.watcher import Watcher
from hivemind_worker.worker_node.doors import Doors
from hivemind_worker.worker_node.parts import Parts

if TYPE_CHECKING:
    from hivemind_worker.worker_node.front import Front

log = logging.getLogger(__name__)

FOLDER = "vpn"
NETWORK, INTERFACE = "10.0.0.0/24", "hivemind0"
Told = Callable[[RungResult], None]


def member_of(settings: Settings, pool_address: str) -> Membership:
    """The membership of these settings in the network of the pool at HOST:PORT."""
    pool = parse_address(pool_address)
    return membership("" if isinstance(pool, Problem) else pool.host, settings.vpn_network or NETWORK)


def folder_of(state: Path) -> Path:
    """Where a home keeps its VPN profiles."""
    return state / FOLDER


class Vpn:
    """One worker's. Start it once; what is up when the worker ends stays up."""

    def __init__(self, parts: Parts, doors: Doors, front: Front) -> None:
        self._parts, self._doors, self._front = parts, doors, front
        self._names = NamedThread("vpn-names")
        self._files = NamedThread("vpn-files", threads=2)
        self._tunnel = Tunnel(
            folder=folder_of(parts.places.state), interface=parts.settings.vpn_interface or INTERFACE,
            member=lambda: member_of(parts.settings, parts.pool_address), interfaces=ipv4_addresses,
            files=self._files, names=self._names, heard=self._heard,
        )  # fmt: skip
        self._watcher = Watcher(
            self._tunnel, joins_by_itself=lambda: parts.settings.vpn_auto, changed=self._changed,
            moved=self._moved,
        )  # fmt: skip
        self._following = asyncio.Lock()
        self._state = VpnState.NOT_SET_UP

    @property
    def view(self) -> VpnView:
        view = self._tunnel.view
        idle = view.state is VpnState.NOT_SET_UP and is_asked(self._parts.pool_address)
        return replace(view, state=VpnState.NOT_NEEDED) if idle else view

    async def join(self) -> None:
        """One look before the doors open: with a tunnel that is up already they open there at once."""
        await self._watcher.look()

    def start(self) -> None:
        """Watch until the worker's nursery closes."""
        self._parts.nursery.start("vpn", self._watcher.run())

    async def close(self) -> None:
        """End the helper and the threads; the tunnel stays as it is."""
        await self._tunnel.close()
        for thread in (self._names, self._files):
            thread.close(wait=False)

    def _heard(self) -> float | None:
        pool = parse_address(self._parts.pool_address)
        inside = not isinstance(pool, Problem) and pool.host == str(self._tunnel.member().pool)
        return self._front.pool_view.last_heard_s if inside else None

    def _changed(self, view: VpnView) -> None:
        before, self._state = self._state, view.state
        if view.state is VpnState.CONNECTED is not before and self._parts.has_engine:
            self._parts.link.wake()  # the pool may be reached by now: no waiting for the next try
        self._front.changed()

    # --- following the address ----------------------------------------------------------------

    def _moved(self) -> None:
        if self._parts.has_engine and self._doors.task_address:
            self._parts.nursery.start("address", self._follow())

    async def _follow(self) -> None:
        """Move the task door to the address that is right now; the pool hears of it with the next beat."""
        async with self._following:
            moved = await self._doors.follow_address()
            if isinstance(moved, Problem):
                log.warning("%s", sentence(moved.code, moved.about))
            elif moved:
                log.info("the pool reaches this worker at %s now", self._doors.task_address)
        self._front.facts.look_soon()
        self._parts.link.wake()
        self._front.changed()

    # --- the owner's wishes -------------------------------------------------------------------

    def review(self, untrusted: bytes, wide: bool = False) -> Review:
        return self._tunnel.review(untrusted, wide)

    async def keep(self, untrusted: bytes, wide: bool = False) -> Review | Problem:
        kept = await self._tunnel.keep(untrusted, wide)
        await self._look_anew()
        return kept

    async def ask_site(self, site: str) -> bytes | Problem:
        return await self._names.call(ask_site, site, client_name(platform.node()))

    async def new_key(self) -> str | Problem:
        return await self._tunnel.new_key()

    async def up(self) -> Problem | None:
        self._watcher.hold_down(False)
        return await self._then_look(self._tunnel.up())

    async def down(self) -> Problem | None:
        self._watcher.hold_down(True)
        return await self._then_look(self._tunnel.down())

    async def go_back(self) -> Problem | None:
        return await self._then_look(self._tunnel.go_back())

    async def remove(self) -> Problem | None:
        return await self._then_look(self._tunnel.remove())

    async def _then_look(self, wish: Awaitable[Problem | None]) -> Problem | None:
        problem = await wish
        await self._look_anew()
        return problem

    async def _look_anew(self) -> None:
        """Whoever has asked for a change is shown what came of it."""
        await self._tunnel.look(self._parts.settings.vpn_auto)
        self._watcher.wake()
        self._front.changed()

    async def set_auto(self, on: bool) -> Problem | None:
        problems = await self._front.change_settings({"vpn_auto": on})
        self._watcher.hold_down(False)
        await self._look_anew()
        return problems[0] if problems else None

    async def check(self, tell: Told = lambda _result: None) -> tuple[RungResult, ...]:
        pool = parse_address(self._parts.pool_address)
        port = 50051 if isinstance(pool, Problem) else pool.port
        probes = Probes(port=port, grpc=grpc_status, clock=self._clock)
        return await Ladder(self._tunnel, probes, self._files).climb(tell)

    async def _clock(self) -> float | None:
        return self._parts.link.clock_ahead_s

    async def exposure(self) -> tuple[Exposure, ...]:
        found = await self._files.call(listening)
        return exposures(found, self._doors.port_names(), ipv4_addresses(), self.view)

    # --- what blocks work ---------------------------------------------------------------------

    def problem(self) -> Problem | None:
        """VPN_DOWN while the address that the pool was told is none of this computer's."""
        host = self._doors.task_address.rpartition(":")[0].strip("[]")
        if not host or ipaddress.ip_address(host).is_loopback:
            return None
        own = {ip for listed in ipv4_addresses().values() for ip in listed}
        if host in own or ":" in host:
            return None
        return Problem(code=FaultCode.VPN_DOWN, about=self._doors.task_address)
