"""Who can reach this worker: each port that it listens on, judged by its address and the tunnel's opening.

Pure. The list of listening sockets is passed in.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence

from hivemind_worker.model.vpn import Exposure, VpnView


def exposures(
    listening: Iterable[tuple[str, int]],
    names: Mapping[int, str],
    interfaces: Mapping[str, Sequence[str]],
    view: VpnView,
) -> tuple[Exposure, ...]:
    """One row a port, tasks first. `names` tells what a port is for; others are shown as `other`."""
    tunnel = tuple(interfaces.get(view.interface, ())) if view.interface else ()
    home = [
        ip
        for name, listed in interfaces.items()
        for ip in listed
        if name != view.interface and not ipaddress.ip_address(ip).is_loopback
    ]
    rows = [
        Exposure(
            name=names.get(port, "other"), address=address, port=port,
            vpn=_by_vpn(address, tunnel, view), lan=_reached(address, home),
        )
        for address, port in sorted({(_plain(ip), port) for ip, port in listening}, key=lambda row: row[1])
    ]  # fmt: skip
    order = ["tasks", "dashboard", "remote_dashboard", "other"]
    return tuple(sorted(rows, key=lambda row: order.index(row.name)))


def _by_vpn(address: str, tunnel: Sequence[str], view: VpnView) -> str:
    if not _reached(address, tunnel):
        return "no"
    only_pool = view.allowed.endswith("/32") and "," not in view.allowed
    return "pool_only" if only_pool else "whole_network"


def _plain(ip: str) -> str:
    """An IPv4 address that a socket for both families shows in its longer form."""
    mapped = getattr(ipaddress.ip_address(ip), "ipv4_mapped", None)
    return str(mapped or ip)


def _reached(address: str, own: Iterable[str]) -> bool:
    """Whether a socket bound to `address` answers at one of these addresses."""
    own = list(own)
    return (ipaddress.ip_address(address).is_unspecified and bool(own)) or address in own
