"""What is known of the networks: addresses by interface, which of them are tunnels, the dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkView:
    """IPv4 addresses by interface name. `tunnels` are those of a VPN; `dashboard` is HOST:PORT or ""."""

    interfaces: Mapping[str, tuple[str, ...]]
    tunnels: tuple[str, ...] = ()
    dashboard: str = ""
