"""Eleven checks from the bottom up, each by the real thing; it stops at the first that fails.

A check that cannot be judged here is SKIPPED and the climb goes on. Sentences and actions stand
in presentation.vpn, by rung and reason. What speaks gRPC, and the clock, are handed in.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from hivemind_worker.model.task import Problem
from hivemind_worker.model.vpn import FRESH_HANDSHAKE_S, Rung, RungResult, RungState
from hivemind_worker.nursery import NamedThread
from hivemind_worker.vpn.helper import ENVIRONMENT
from hivemind_worker.vpn.profile import Profile, split_endpoint
from hivemind_worker.vpn.tunnel import Link, Tunnel

COMMAND_LIMIT_S = 5.0
KNOCK_LIMIT_S = 3.0
FIRST_HANDSHAKE_LIMIT_S = 15.0
LOOK_S = 0.5
CLOCK_LIMIT_S = 60.0
CLOSED_PORT = 9
"""Nobody listens there: a computer that is there says so, whatever its firewall does with the pool's."""

PASSED, FAILED, SKIPPED, WAITING = RungState.PASSED, RungState.FAILED, RungState.SKIPPED, RungState.WAITING
Told = Callable[[RungResult], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """What only other rooms can ask. `grpc` answers the status of a call to HOST, PORT, "" when none came;
    `clock` how many seconds the pool's clock is ahead of ours, None without a login."""

    port: int
    grpc: Callable[[str, int], Awaitable[str]]
    clock: Callable[[], Awaitable[float | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What a check came to."""

    state: RungState
    reason: str = ""
    fields: tuple[tuple[str, str], ...] = ()


def _passed(**fields: object) -> _Step:
    return _Step(state=PASSED, fields=tuple((name, str(value)) for name, value in fields.items()))


def _failed(reason: str, **fields: object) -> _Step:
    return _Step(
        state=FAILED, reason=reason, fields=tuple((name, str(value)) for name, value in fields.items())
    )


def _skipped(reason: str) -> _Step:
    return _Step(state=SKIPPED, reason=reason)


class Ladder:
    """One climb: make it, `climb`, throw it away."""

    def __init__(
        self, tunnel: Tunnel, probes: Probes, files: NamedThread, *, first_s: float = FIRST_HANDSHAKE_LIMIT_S
    ) -> None:
        """`first_s`: how long a first handshake is waited for."""
        self._tunnel = tunnel
        self._probes = probes
        self._files = files
        self._first_s = first_s
        self._profile: Profile | None = None
        self._link: Link | None = None
        self._tell: Told = lambda _result: None

    async def climb(self, tell: Told = lambda _result: None) -> tuple[RungResult, ...]:
        """All checks until the first that fails; `tell` hears each as it ends, and what is waited for."""
        self._tell = tell
        checks = (
            self._check_profile, self._permission, self._tool, self._interface, self._route, self._endpoint,
            self._handshake, self._address, self._port, self._service, self._clock,
        )  # fmt: skip
        found: list[RungResult] = []
        for rung, check in zip(Rung, checks, strict=True):
            began_s = time.monotonic()
            step = await check()
            result = RungResult(
                rung=rung, state=step.state, reason=step.reason, fields=step.fields,
                took_s=time.monotonic() - began_s,
            )  # fmt: skip
            found.append(result)
            tell(result)
            if step.state is FAILED:
                break
        return tuple(found)

    @property
    def _pool(self) -> str:
        return str(self._tunnel.member().pool)

    async def _check_profile(self) -> _Step:
        profile = await self._tunnel.profile()
        self._link = await self._tunnel.link()
        if isinstance(profile, Problem):
            return _failed("bad_profile", about=profile.about)
        if profile is None and self._link is None:
            return _failed("no_profile")
        if profile is None:
            return _skipped("own_wireguard")  # the owner manages it: detection only
        self._profile = profile
        return _passed(file=self._tunnel.shelf.file.name)

    async def _permission(self) -> _Step:
        if self._tunnel.right.given:
            return _passed(right=self._tunnel.right.kind)
        if self._link is not None:
            return _skipped("up_by_hand")
        return _failed("no_right", command=self._tunnel.command())

    async def _tool(self) -> _Step:
        missing = [name for name in ("ip", "wg") if _find(name) is None]
        if missing:
            return _failed("tool_missing", tool=missing[0])
        if await self._files.call(Path("/sys/module/wireguard").exists):
            return _passed(tool="kernel")
        if _find("wireguard-go") is not None:
            return _passed(tool="wireguard-go")
        if self._link is not None or await self._run("modprobe", "-n", "-q", "wireguard") is not None:
            return _passed(tool="kernel")
        return _failed("tool_missing", tool="wireguard-go")

    async def _interface(self) -> _Step:
        if self._link is None:
            return _failed("interface_missing", interface=self._tunnel.interface)
        shown = _first(await self._run("ip", "-j", "link", "show", "dev", self._link.name))
        if "UP" not in list(shown.get("flags") or ()):  # type: ignore[call-overload]
            return _failed("interface_down", interface=self._link.name)
        if not self._link.address:
            return _failed("interface_bare", interface=self._link.name)
        return _passed(interface=self._link.name, address=self._link.address)

    async def _route(self) -> _Step:
        assert self._link is not None
        row = _first(await self._run("ip", "-j", "-4", "route", "get", self._pool))
        way = str(row.get("dev") or "")
        if way == self._link.name:
            return _passed(pool=self._pool, interface=way)
        reason = "route_elsewhere" if way else "route_missing"
        return _failed(reason, pool=self._pool, interface=self._link.name, way=way)

    async def _endpoint(self) -> _Step:
        if self._profile is None:
            return _skipped("own_wireguard")
        found = await self._tunnel.endpoint(self._profile)
        if isinstance(found, Problem):
            return _failed("endpoint_unknown", name=found.about)
        where = split_endpoint(found)
        wrong = await self._files.call(_send, *where) if where else "no address"
        if wrong:
            return _failed("udp_cannot_leave", endpoint=found, error=wrong)
        return _passed(name=self._profile.peers[0].endpoint, endpoint=found)

    async def _handshake(self) -> _Step:
        """A handshake of the last three minutes; a first one is waited for, as it takes a few tries."""
        began_s = time.monotonic()
        while True:
            self._link = await self._tunnel.link() or self._link
            peer = self._link.peer_for(self._pool) if self._link else None
            if self._link is None or not self._link.readable or peer is None:
                return _skipped("handshake_unreadable")
            made_s, age_s = int(peer["handshake_s"]), time.time() - int(peer["handshake_s"])
            if made_s and age_s < FRESH_HANDSHAKE_S:
                return _passed(age=max(0, round(age_s)))
            waited_s = time.monotonic() - began_s
            if made_s or waited_s >= self._first_s:
                return self._no_handshake(made_s, age_s, peer["tx_bytes"], peer["rx_bytes"])
            fields = {"waited": round(waited_s), "limit": round(self._first_s), "sent": peer["tx_bytes"]}
            told = tuple((name, str(value)) for name, value in fields.items())
            self._tell(RungResult(rung=Rung.HANDSHAKE, state=WAITING, fields=told, took_s=waited_s))
            await asyncio.sleep(LOOK_S)

    def _no_handshake(self, made_s: int, age_s: float, sent: int, received: int) -> _Step:
        where = split_endpoint(self._profile.peers[0].endpoint) if self._profile else None
        port = where[1] if where else "51820"
        if made_s:
            return _failed("handshake_old", minutes=round(age_s / 60), port=port, sent=sent)
        return _failed("handshake_never", port=port, sent=sent, received=received)

    async def _address(self) -> _Step:
        """A TCP answer of any kind, or an echo, shows that the pool's address is there."""
        for port in (self._probes.port, CLOSED_PORT):
            if await _knock(self._pool, port) in ("open", "refused"):
                return _passed(pool=self._pool)
        if await self._run("ping", "-n", "-c", "1", "-W", "2", self._pool) is not None:
            return _passed(pool=self._pool)
        return _failed("address_mute", pool=self._pool)

    async def _port(self) -> _Step:
        found = await _knock(self._pool, self._probes.port)
        if found == "open":
            return _passed(port=self._probes.port)
        reason = "port_refused" if found == "refused" else "port_mute"
        return _failed(reason, pool=self._pool, port=self._probes.port)

    async def _service(self) -> _Step:
        status = await self._probes.grpc(self._pool, self._probes.port)
        if not status:
            return _failed("no_grpc", pool=self._pool, port=self._probes.port)
        return _passed(status=status)

    async def _clock(self) -> _Step:
        ahead_s = await self._probes.clock()
        if ahead_s is None:
            return _skipped("clock_unknown")
        if abs(ahead_s) > CLOCK_LIMIT_S:
            return _failed("clock_slow" if ahead_s > 0 else "clock_fast", seconds=round(abs(ahead_s)))
        return _passed(seconds=round(abs(ahead_s)))

    async def _run(self, *words: str) -> str | None:
        """What a command printed; None when it failed or is not there. Only looks, changes nothing."""
        return await self._files.call(_output, words)


def _find(name: str) -> str | None:
    return shutil.which(name, path=ENVIRONMENT["PATH"])


def _output(words: tuple[str, ...]) -> str | None:
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, env=ENVIRONMENT, timeout=COMMAND_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _first(listed: str | None) -> dict[str, object]:
    """The first row of what `ip -j` prints."""
    try:
        rows = json.loads(listed or "[]")
    except ValueError:
        return {}
    return rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}


def _send(host: str, port: int) -> str:
    """Why no packet leaves for the endpoint, "" when one did; WireGuard drops what is no handshake."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, port))
            probe.send(b"\0")
        except ConnectionRefusedError:
            return ""
        except OSError as error:
            return error.strerror or type(error).__name__
    return ""


async def _knock(host: str, port: int) -> str:
    """open, refused or mute."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), KNOCK_LIMIT_S)
    except ConnectionRefusedError:
        return "refused"
    except (TimeoutError, OSError):
        return "mute"
    writer.close()
    return "open"
