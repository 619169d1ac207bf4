"""The pool's tunnel on this computer: the kept profile, the interface made of it, and how it is.

Everything that changes the network goes through the helper; everything kept, through the shelf.
Decides nothing about when: that is the owner's, or `watcher`'s. Diagnosis: `ladder`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.model.vpn import NO_VPN, TUNNEL_NAMES, Review, VpnState, VpnView
from hivemind_worker.nursery import NamedThread
from hivemind_worker.vpn.judgement import judge
from hivemind_worker.vpn.keys import public_of
from hivemind_worker.vpn.narrowing import Membership, usable
from hivemind_worker.vpn.pipe import HelperPipe
from hivemind_worker.vpn.profile import Profile, split_endpoint
from hivemind_worker.vpn.rights import Right, command_to_run, find_right
from hivemind_worker.vpn.shelf import Shelf

Interfaces = Mapping[str, Sequence[str]]
REASONS = {
    "tool_missing": FaultCode.VPN_TOOL_MISSING,
    "range_in_use": FaultCode.VPN_RANGE_IN_USE,
    "not_ours": FaultCode.VPN_NOT_OURS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A tunnel's interface as the system tells it; figures only where we may read them."""

    name: str
    address: str = ""
    readable: bool = False
    public_key: str = ""
    peers: tuple[Mapping[str, Any], ...] = field(default=())

    def peer_for(self, pool: str) -> Mapping[str, Any] | None:
        """The other side that leads to the pool, else the first."""
        near = (peer for peer in self.peers if pool in str(peer["allowed"]))
        return next(near, self.peers[0] if self.peers else None)


class Tunnel:
    """One interface. Use from the loop's thread; `close` it at the end, which leaves the tunnel up."""

    def __init__(
        self,
        *,
        folder: Path,
        interface: str,
        member: Callable[[], Membership],
        interfaces: Callable[[], Interfaces],
        files: NamedThread,
        names: NamedThread,
        right: Right | None = None,
        heard: Callable[[], float | None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`heard` tells when the pool last answered through the tunnel, UTC epoch seconds."""
        self.interface = interface
        self.right = find_right() if right is None else right
        self.member = member
        self.interfaces = interfaces
        self._files, self._names = files, names
        self._heard, self._clock = heard, clock
        self.shelf = Shelf(folder, interface)
        self._pipe = HelperPipe(self.right)
        self._up_since_s = 0.0
        self._trouble: Problem | None = None
        self.view: VpnView = NO_VPN

    # --- the profile ------------------------------------------------------------------------

    def review(self, untrusted: bytes, wide: bool = False) -> Review:
        """What a profile would do; changes nothing."""
        return usable(self.shelf.completed(untrusted), replace(self.member(), wide=wide))[1]

    async def new_key(self) -> str | Problem:
        """Make a key for a profile that comes without one; its public half."""
        return await self._files.call(self.shelf.new_key)

    async def keep(self, untrusted: bytes, wide: bool = False) -> Review | Problem:
        """Put a profile in use; one that is refused leaves the present one as it is."""
        untrusted = await self._files.call(self.shelf.completed, untrusted)
        profile, review = usable(untrusted, replace(self.member(), wide=wide))
        if profile is None:
            return review
        self._trouble = None
        return await self._files.call(self.shelf.keep, profile) or review

    async def profile(self) -> Profile | Problem | None:
        """The kept profile, checked again."""
        return await self._files.call(self.shelf.find, self.member())

    async def go_back(self) -> Problem | None:
        """Put the previous profile in use; the tunnel follows when it was up."""
        was_up = _is_there(self.interface)
        problem = await self._files.call(self.shelf.go_back)
        if problem is None and was_up:
            problem = await self.up()
        return problem

    async def remove(self) -> Problem | None:
        """Take the tunnel down and forget its profiles; one that cannot be taken down is kept."""
        problem = await self.down() if _is_there(self.interface) else None
        if problem is None:
            await self._files.call(self.shelf.remove)
        self._trouble = problem
        return problem

    # --- the interface ----------------------------------------------------------------------

    async def up(self) -> Problem | None:
        """Make the interface of the kept profile, or make it anew; the endpoint's name is looked up now."""
        self._trouble = await self._bring_up()
        if self._trouble is None:
            self._up_since_s = self._clock()
        return self._trouble

    async def _bring_up(self) -> Problem | None:
        profile = await self.profile()
        if not isinstance(profile, Profile):
            return profile or Problem(code=FaultCode.NO_PROFILE)
        if not self.right.given:
            return self.no_permission()
        endpoint = await self.endpoint(profile)
        if isinstance(endpoint, Problem):
            return endpoint
        await self._clear_previous(profile)
        peer, address = profile.peers[0], profile.addresses[0]
        answer = await self._pipe.ask("up", {
            "interface": self.interface, "private_key": profile.private_key, "address": str(address),
            "mtu": profile.mtu, "listen_port": profile.listen_port, "public_key": peer.public_key,
            "preshared_key": peer.preshared_key, "endpoint": endpoint, "allowed": str(peer.allowed[0]),
            "keepalive_s": peer.keepalive_s,
        })  # fmt: skip
        return self._problem(answer)

    async def _clear_previous(self, profile: Profile) -> None:
        """An interface of the previous profile gives way; any other one is left alone."""
        previous = await self._files.call(self.shelf.previous, self.member())
        if previous is None or previous.private_key == profile.private_key:
            return
        link = await self.link()
        if link is not None and link.public_key == public_of(previous.private_key):
            await self._pipe.ask("down", {"interface": self.interface, "public_key": link.public_key})

    async def down(self) -> Problem | None:
        """Remove the interface, if it is ours."""
        profile = await self.profile()
        if not isinstance(profile, Profile):
            return profile or Problem(code=FaultCode.NO_PROFILE)
        if not self.right.given:
            return self.no_permission("down")
        key = public_of(profile.private_key)
        self._trouble = None
        return self._problem(await self._pipe.ask("down", {"interface": self.interface, "public_key": key}))

    def no_permission(self, verb: str = "up") -> Problem:
        """What the owner may run instead."""
        return Problem(code=FaultCode.VPN_NO_PERMISSION, about=self.command(verb))

    def command(self, verb: str = "up") -> str:
        """The command that does by hand what `up` or `down` do."""
        return command_to_run(self.shelf.file, verb)

    def _problem(self, answer: Mapping[str, Any]) -> Problem | None:
        if answer.get("ok"):
            return None
        reason, about = str(answer.get("reason")), str(answer.get("about"))
        if reason == "no_permission":
            return self.no_permission()
        return Problem(code=REASONS.get(reason, FaultCode.VPN_FAILED), about=about)

    async def endpoint(self, profile: Profile) -> str | Problem:
        """IP:PORT of the other side, its name looked up."""
        where = split_endpoint(profile.peers[0].endpoint)
        assert where is not None  # the profile was checked
        host, port = where
        try:
            rows = await self._names.call(_look_up, host, port)
        except (OSError, UnicodeError):
            return Problem(code=FaultCode.VPN_NO_ENDPOINT, about=host)
        ip = str(rows[0])
        return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"

    # --- how it is --------------------------------------------------------------------------

    async def link(self) -> Link | None:
        """The tunnel's interface: our own, else one that is there (the owner's own WireGuard)."""
        seen = self.interfaces()
        name = self.interface if _is_there(self.interface) else self._other_tunnel(seen)
        if not name:
            return None
        address = next(iter(seen.get(name, ())), "")
        if self.right.kind != "root" and not self._pipe.is_open:  # never ask for a password only to look
            return Link(name=name, address=address)
        told = await self._pipe.ask("status", {"interface": name})
        if not told.get("ok") or not told.get("exists"):
            return Link(name=name, address=address)
        return Link(
            name=name, address=address, readable=True, public_key=str(told["public_key"]),
            peers=tuple(told["peers"]),
        )  # fmt: skip

    def _other_tunnel(self, seen: Interfaces) -> str:
        """As the original documentation finds it: by its name, else by an address in the pool's network."""
        member = self.member()
        named = [
            name for name, listed in seen.items() if listed and any(w in name.lower() for w in TUNNEL_NAMES)
        ]
        numbered = [
            name
            for name, listed in seen.items()
            if any(ip != str(member.pool) and IPv4Address(ip) in member.network for ip in listed)
        ]
        return next(iter([*named, *numbered]), "")

    async def look(self, joins_by_itself: bool = False) -> VpnView:
        """How the tunnel is now; kept as `view`, whose `since_s` is when this state began."""
        profile = await self.profile()
        previous = await self._files.call(self.shelf.previous, self.member())
        link = await self.link()
        view = self._picture(profile, link)
        since_s = self.view.since_s if view.state is self.view.state else self._clock()
        self.view = replace(
            view, since_s=since_s, has_previous=previous is not None, joins_by_itself=joins_by_itself
        )
        return self.view

    def _picture(self, profile: Profile | Problem | None, link: Link | None) -> VpnView:
        kept = profile if isinstance(profile, Profile) else None
        own_key = public_of(kept.private_key) if kept else ""
        view = VpnView(
            state=VpnState.OFF if kept else VpnState.NOT_SET_UP,
            has_profile=kept is not None, own_key=own_key, pool_key=kept.peers[0].public_key if kept else "",
            command="" if self.right.given else self.command(),
            problem=profile if isinstance(profile, Problem) else None,
        )  # fmt: skip
        if link is None:
            self._up_since_s = 0.0
            return self._not_up(view)
        return self._seen(replace(view, is_ours=link.name == self.interface), kept, link)

    def _not_up(self, view: VpnView) -> VpnView:
        """Off, or why it could not be brought up."""
        if self._trouble is None or not view.has_profile:
            return view
        denied = self._trouble.code is FaultCode.VPN_NO_PERMISSION
        state = VpnState.NO_PERMISSION if denied else VpnState.BLOCKED
        return replace(view, state=state, problem=self._trouble)

    def _seen(self, view: VpnView, kept: Profile | None, link: Link) -> VpnView:
        now_s = self._clock()
        self._up_since_s = self._up_since_s or now_s
        peer = link.peer_for(str(self.member().pool))
        handshake_s = float(peer["handshake_s"]) if peer else None
        state = judge(
            now_s=now_s, up_since_s=self._up_since_s, handshake_s=handshake_s, heard_s=self._heard()
        )
        endpoint = str(peer["endpoint"]) if peer else kept.peers[0].endpoint if kept else ""
        allowed = str(peer["allowed"]) if peer else str(kept.peers[0].allowed[0]) if kept else ""
        return replace(
            view, state=state, interface=link.name, address=link.address, endpoint=endpoint, allowed=allowed,
            handshake_s=handshake_s or None, rx_bytes=peer["rx_bytes"] if peer else None,
            tx_bytes=peer["tx_bytes"] if peer else None, peers=len(link.peers),
        )  # fmt: skip

    async def close(self) -> None:
        """End the helper; the tunnel stays as it is."""
        await self._pipe.close()


def _is_there(interface: str) -> bool:
    """Whether there is such an interface; one without an address is in no list of addresses."""
    try:
        return bool(socket.if_nametoindex(interface))
    except OSError:
        return False


def _look_up(host: str, port: int) -> list[str]:
    """Addresses of the other side, IPv4 first. Blocks for as long as the system likes."""
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    return [str(row[4][0]) for row in sorted(rows, key=lambda row: row[0] != socket.AF_INET)]
