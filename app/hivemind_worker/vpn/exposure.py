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
        for address, port in sorted(set(listening), key=lambda row: (row[1], row[0]))
    ]  # fmt: skip
    order = ["tasks", "dashboard", "remote_dashboard", "other"]
    return tuple(sorted(rows, key=lambda row: order.index(row.name)))


def _by_vpn(address: str, tunnel: Sequence[str], view: VpnView) -> str:
    if not _reached(address, tunnel):
        return "no"
    only_pool = view.allowed.endswith("/32") and "," not in view.allowed
    return "pool_only" if only_pool else "whole_network"


def _reached(address: str, own: Iterable[str]) -> bool:
    """Whether a socket bound to `address` answers at one of these addresses."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    own = list(own)
    return (ip.is_unspecified and bool(own)) or str(ip) in own
