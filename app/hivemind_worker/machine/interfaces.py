"""Network interfaces and their IPv4 addresses."""

from __future__ import annotations

from typing import Any

import netifaces
import psutil


def ipv4_addresses() -> dict[str, list[str]]:
    """Addresses by interface name, loopback included."""
    try:
        return {name: _addresses(name) for name in netifaces.interfaces()}
    except (OSError, ValueError):  # an interface went away meanwhile
        return {
            name: [row.address for row in rows if row.family.name == "AF_INET"]
            for name, rows in psutil.net_if_addrs().items()
        }


def _addresses(name: str) -> list[str]:
    rows = netifaces.ifaddresses(name).get(netifaces.AF_INET, [])
    return [str(row["addr"]) for row in rows if "addr" in row]


def gateways() -> tuple[str, ...]:
    """The routers that this computer sends to by default, IPv4."""
    try:
        found: Any = netifaces.gateways()
    except (OSError, ValueError):
        return ()
    return tuple(dict.fromkeys(str(row[0]) for row in found.get(netifaces.AF_INET, [])))
