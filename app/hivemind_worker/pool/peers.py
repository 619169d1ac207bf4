"""Who may call the worker: the pool's addresses, compared with the source of each call.

On this wire the source address is the pool's only proof of identity (the tunnel binds it
to a key), so it is looked at before anything is received. Counterpart: `pool.server`.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import Callable, Iterable
from urllib.parse import unquote

log = logging.getLogger(__name__)

LOG_EVERY_S = 60.0


def plain_ip(text: str) -> str:
    """An address in its one canonical form, IPv4 in IPv6 unwrapped, a zone cut; "" when it is none."""
    try:
        address = ipaddress.ip_address(text.strip().strip("[]").partition("%")[0])
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def source_of(peer: str) -> str:
    """The address in gRPC's name of a peer ("ipv4:1.2.3.4:5", "ipv6:[::1]:5"); "" for any other kind."""
    kind, _, rest = unquote(peer).partition(":")
    return plain_ip(rest.rpartition(":")[0]) if kind in ("ipv4", "ipv6") else ""


class PeerCheck:
    """The list of those let in, and one log line a minute about everybody else."""

    def __init__(self, peers: Iterable[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._allowed: frozenset[str] = frozenset()
        self._next_line_at: float | None = None
        self._unlogged = 0
        self.turned_away = 0
        self.allow(peers)

    def allow(self, peers: Iterable[str]) -> None:
        """Let exactly these addresses in from now on."""
        self._allowed = frozenset(ip for peer in peers if (ip := plain_ip(peer)))

    def admits(self, peer: str) -> bool:
        """Whether a call from here may be served; a refusal is counted and, at times, logged."""
        source = source_of(peer)
        if source in self._allowed:
            return True
        self.turned_away += 1
        self._unlogged += 1
        self._log(source or "an unknown place")
        return False

    def _log(self, source: str) -> None:
        now = self._clock()
        if self._next_line_at is not None and now < self._next_line_at:
            return
        log.warning("turned away a call from %s (%d since the last such line)", source, self._unlogged)
        self._next_line_at = now + LOG_EVERY_S
        self._unlogged = 0
