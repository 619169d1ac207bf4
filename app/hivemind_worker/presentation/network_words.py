"""What the window says about this computer's networks: the VPN as far as it is seen, and every address."""

from __future__ import annotations

from hivemind_worker.model.network_view import NetworkView
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.health import is_loopback
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.page_facts import pool_look
from hivemind_worker.presentation.page_words import ABSENT


def tunnel_look(view: NetworkView) -> Look:
    """Whether a tunnel is seen."""
    if view.tunnels:
        return Look(tone="working", icon="check", word=_("seen"))
    return Look(tone="offline", icon="dash", word=_("not seen"))


def tunnel_words(view: NetworkView, snapshot: Snapshot) -> tuple[str, str]:
    """The title and what it means for the pool in use."""
    local = is_loopback(snapshot.pool.address)
    if view.tunnels:
        name = ", ".join(view.tunnels)
        return _("VPN interface {name} is there", name=name), _(
            "Whether it carries traffic shows in the pool below."
        )
    if local:
        return _("No VPN is needed"), _("The pool runs on this computer.")
    return _("No VPN interface was found"), _("A pool on another computer reaches this one through its VPN.")


def tunnel_facts(view: NetworkView, snapshot: Snapshot) -> tuple[tuple[str, str], ...]:
    """The way to the pool."""
    own = ", ".join(address for name in view.tunnels for address in view.interfaces.get(name, ()))
    return (
        (_("Pool"), snapshot.pool.address or ABSENT),
        (_("How it stands"), pool_look(snapshot).word),
        (_("Address in the VPN"), own or ABSENT),
        (_("Told to the pool"), snapshot.grpc_address or ABSENT),
    )


def address_rows(view: NetworkView) -> tuple[tuple[str, str, str], ...]:
    """Interface, address, and what kind of network it is."""
    found = []
    for name, listed in sorted(view.interfaces.items()):
        for address in listed:
            kind = _("this computer only") if is_loopback(address) else _("local network")
            found.append((name, address, _("VPN") if name in view.tunnels else kind))
    return tuple(found)
