"""Addresses: the pool's, our own, and whether a password may travel between them.

Pure but for `find_pool` and `resolve`. The list of interfaces is passed in, {name: its IPv4 addresses}.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.pools import ASKING
from hivemind_worker.model.task import Problem
from hivemind_worker.model.vpn import TUNNEL_NAMES
from hivemind_worker.nursery import NamedThread
from hivemind_worker.pool.peers import plain_ip

Interfaces = Mapping[str, Sequence[str]]
TUNNEL_NET = ipaddress.IPv4Network("10.0.0.0/24")
LOOPBACK, LOOPBACK_NAME = "127.0.0.1", "localhost"
HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")
RESOLVE_LIMIT_S = 10.0
KNOCK_LIMIT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolAddress:
    """HOST:PORT, taken apart; with the scheme of a pool that the worker asks for tasks (tls, nats)."""

    host: str
    port: int
    scheme: str = ""

    def __str__(self) -> str:
        return (f"{self.scheme}://" if self.scheme else "") + join(self.host, self.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAddress:
    """Where to listen and what to announce; `warning` when the pool will probably not reach it."""

    bind: str
    announce: str
    warning: str = ""


def join(host: str, port: int) -> str:
    """HOST:PORT, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_address(text: str) -> PoolAddress | Problem:
    """A pool's address from what a person wrote, or BAD_ADDRESS."""
    scheme, _, rest = text.strip().rpartition("://")
    if "://" in text and scheme not in ASKING:
        return Problem(code=FaultCode.BAD_ADDRESS, about=text.strip())
    host, colon, port_text = rest.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    port = int(port_text) if port_text.isascii() and port_text.isdigit() and len(port_text) < 6 else 0
    is_host = bool(plain_ip(bare)) or (":" not in bare and HOST_NAME.fullmatch(bare) is not None)
    if not colon or not is_host or not 1 <= port <= 65535:
        return Problem(code=FaultCode.BAD_ADDRESS, about=text.strip() or "nothing was given")
    return PoolAddress(host=bare, port=port, scheme=scheme)


async def resolve(host: str, names: NamedThread, limit_s: float = RESOLVE_LIMIT_S) -> tuple[str, ...]:
    """The addresses of a host, () when it has none or nobody says so in time.

    Look-ups block for as long as the system likes, so they have the thread `names` to themselves.
    """
    if ip := plain_ip(host):
        return (ip,)
    try:
        found = await asyncio.wait_for(names.call(_look_up, host), limit_s)
    except (TimeoutError, OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(ip for entry in found if (ip := plain_ip(entry))))


def _look_up(host: str) -> list[str]:
    rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    # IPv4 first: the tunnel and our announced addresses are IPv4.
    return [str(row[4][0]) for row in sorted(rows, key=lambda row: row[0] != socket.AF_INET)]


async def find_pool(
    text: str,
    interfaces: Interfaces,
    names: NamedThread,
    *,
    insist_plain_login: bool = False,
    network: ipaddress.IPv4Network = TUNNEL_NET,
) -> str | Problem:
    """Where to connect, as IP:PORT: parsed, looked up, allowed for a plain login, and listening.

    The checked address itself is used from here on, so no later look-up can lead elsewhere.
    """
    address = parse_address(text)
    if isinstance(address, Problem):
        return address
    ips = await resolve(address.host, names)
    if not insist_plain_login and (problem := login_problem(address, ips, interfaces, network)):
        return problem
    for ip in ips:
        if await _listens(ip, address.port):
            return join(ip, address.port)
    return Problem(code=FaultCode.POOL_UNREACHABLE, about=str(address))


async def _listens(ip: str, port: int) -> bool:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(ip, port), KNOCK_LIMIT_S)
    except (TimeoutError, OSError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


def is_loopback(ip: str) -> bool:
    """Whether packets to this address never leave the computer by their own number."""
    return bool(plain_ip(ip)) and ipaddress.ip_address(plain_ip(ip)).is_loopback


def login_problem(
    address: PoolAddress,
    ips: Iterable[str],
    interfaces: Interfaces,
    network: ipaddress.IPv4Network = TUNNEL_NET,
) -> Problem | None:
    """PLAIN_LOGIN unless every address of the pool is this computer's own or inside the tunnel.

    Inside means: in the network of a WireGuard interface, or in the pool's network (10.0.0.0/24)
    where we have an address in it as well.
    """
    if all(_is_protected(ip, interfaces, network) for ip in ips):
        return None
    return Problem(code=FaultCode.PLAIN_LOGIN, about=str(address))


def _is_protected(ip: str, interfaces: Interfaces, network: ipaddress.IPv4Network) -> bool:
    own = {plain_ip(each) for listed in interfaces.values() for each in listed}
    if is_loopback(ip) or ip in own:
        return True
    networks = [_network_of(each) for each in tunnel_addresses(interfaces, network)]
    address = ipaddress.ip_address(ip)
    return any(address in each for each in networks)


def _network_of(ip: str) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(f"{ip}/24", strict=False)


def _is_tunnel_name(interface: str) -> bool:
    return any(word in interface.lower() for word in TUNNEL_NAMES)


def _usable(listed: Sequence[str]) -> list[str]:
    found = [ip for each in listed if (ip := plain_ip(each)) and ":" not in ip]
    return [ip for ip in found if not ipaddress.ip_address(ip).is_link_local and not is_loopback(ip)]


def tunnel_addresses(interfaces: Interfaces, network: ipaddress.IPv4Network = TUNNEL_NET) -> list[str]:
    """Own addresses in the tunnel: those of WireGuard interfaces, then others in the pool's network."""
    named = [ip for name, listed in interfaces.items() if _is_tunnel_name(name) for ip in _usable(listed)]
    numbered = [
        ip
        for listed in interfaces.values()
        for ip in _usable(listed)
        if ipaddress.IPv4Address(ip) in network and ip != str(network.network_address + 1)
    ]
    return list(dict.fromkeys(named + numbered))


def choose_own_address(
    interfaces: Interfaces,
    pool_ips: Sequence[str],
    bind_setting: str = "",
    network: ipaddress.IPv4Network = TUNNEL_NET,
) -> OwnAddress | Problem:
    """Where to listen and what to announce (quirks 11 and 17); never all addresses.

    The setting wins. A pool on this computer's loopback can only be answered there; else the
    tunnel's address, the one in the pool's own network first; else loopback with a warning.
    """
    if bind_setting:
        return _as_set(bind_setting, interfaces)
    if pool_ips and all(is_loopback(ip) for ip in pool_ips):
        return OwnAddress(bind=LOOPBACK, announce=LOOPBACK_NAME)
    in_tunnel = tunnel_addresses(interfaces, network)
    if in_tunnel:
        nearest = next((ip for ip in in_tunnel if _shares_network(ip, pool_ips)), in_tunnel[0])
        return OwnAddress(bind=nearest, announce=nearest)
    return OwnAddress(
        bind=LOOPBACK,
        announce=LOOPBACK_NAME,
        warning="No VPN address was found: a pool on another computer cannot reach this worker.",
    )


def _shares_network(ip: str, pool_ips: Sequence[str]) -> bool:
    return any(ipaddress.ip_address(pool) in _network_of(ip) for pool in pool_ips)


def _as_set(bind_setting: str, interfaces: Interfaces) -> OwnAddress | Problem:
    ip = LOOPBACK if bind_setting == LOOPBACK_NAME else plain_ip(bind_setting)
    if not ip or ipaddress.ip_address(ip).is_unspecified or ipaddress.ip_address(ip).is_multicast:
        return Problem(code=FaultCode.BAD_ADDRESS, about=f"{bind_setting} (bind_address)")
    if ip in (LOOPBACK, "::1"):  # the pool never dispatches to a literal 127.0.0.1
        return OwnAddress(bind=ip, announce=LOOPBACK_NAME)
    known = is_loopback(ip) or any(ip in map(plain_ip, listed) for listed in interfaces.values())
    warning = "" if known else f"{ip} is not an address of this computer at the moment."
    return OwnAddress(bind=ip, announce=ip, warning=warning)
