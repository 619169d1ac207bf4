"""What of a profile is used for a pool: its address alone goes into the tunnel, unless the owner widens it.

Pure. With the pool's /32 as the only allowed range, WireGuard itself drops every other member
of the network. The whole internet never goes in. Counterpart: `profile`, which has checked each value.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace

from hivemind_worker.model.vpn import Finding, ProfileCode, Review, ReviewRow
from hivemind_worker.vpn.keys import public_of
from hivemind_worker.vpn.profile import Address, Network, Peer, Profile, parse, split_endpoint

KEEPALIVE_S = 25
IPv4Network = ipaddress.IPv4Network
HOME_NETWORKS = tuple(
    ipaddress.ip_network(text)
    for text in (
        "127.0.0.0/8", "169.254.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
        "224.0.0.0/4", "240.0.0.0/4", "::1/128", "fe80::/10", "fc00::/7", "ff00::/8",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The pool and its network, and whether all of that network is let in (the owner's explicit choice)."""

    pool: ipaddress.IPv4Address
    network: IPv4Network
    wide: bool = False

    @property
    def let_in(self) -> IPv4Network:
        return self.network if self.wide else IPv4Network(f"{self.pool}/32")


def membership(pool_host: str, network: str, wide: bool = False) -> Membership:
    """The membership of these settings; a pool on this computer, or by name, is the network's first."""
    net = IPv4Network(network, strict=False)
    try:
        pool = ipaddress.IPv4Address(pool_host)
    except ValueError:
        pool = ipaddress.IPv4Address("127.0.0.1")
    if pool.is_loopback:
        pool = net[1] if net.num_addresses > 1 else net[0]
    if pool not in net:
        net = IPv4Network(f"{pool}/32")
    return Membership(pool=pool, network=net, wide=wide)


def usable(untrusted: bytes, member: Membership) -> tuple[Profile | None, Review]:
    """The profile as it will be used, and its review; None when something refuses it."""
    parsed = parse(untrusted)
    if not isinstance(parsed, Profile):
        return None, Review(findings=parsed)
    findings = [*parsed.dropped]
    used = _narrowed(parsed, member, findings)
    ordered = tuple(sorted(findings, key=lambda finding: (not finding.refuses, finding.line)))
    if used is None or any(finding.refuses for finding in ordered):
        return None, Review(findings=tuple(finding for finding in ordered if finding.refuses))
    return used, _review(parsed, used, ordered)


def _narrowed(profile: Profile, member: Membership, findings: list[Finding]) -> Profile | None:
    own = _own_address(profile, member, findings)
    _check_ranges(profile, member, findings)
    if profile.dns:
        findings.append(Finding(code=ProfileCode.NO_DNS, about=profile.dns))
    peer = next((each for each in profile.peers if _leads_to(each, member)), None)
    if peer is None:
        findings.append(Finding(code=ProfileCode.NO_WAY_TO_POOL, about=str(member.pool)))
    if own is None or peer is None:
        return None
    peers = [_used_peer(peer, profile, member, findings)]
    for other in profile.peers:
        if other is not peer:
            findings.append(
                Finding(code=ProfileCode.DROPPED_PEER, line=other.line, about=other.public_key[:8] + "…")
            )
    return replace(profile, addresses=(own,), dns="", peers=tuple(peers), dropped=())


def _own_address(profile: Profile, member: Membership, findings: list[Finding]) -> Address | None:
    """Our one address, as /32, or with the network's own length where all of it is let in."""
    inside = [each for each in profile.addresses if each.version == 4 and each.ip in member.network]
    if not profile.addresses:
        findings.append(Finding(code=ProfileCode.MISSING, about="Address"))
        return None
    for other in profile.addresses:
        if other not in inside[:1]:
            code = ProfileCode.DROPPED if inside else ProfileCode.BAD_ADDRESS
            findings.append(Finding(code=code, about=f"Address {other}" if inside else str(other)))
    if not inside:
        return None
    ip = inside[0].ip
    edges = (member.network.network_address, member.network.broadcast_address)
    if ip == member.pool or (ip in edges and member.network.num_addresses > 2):
        findings.append(Finding(code=ProfileCode.BAD_ADDRESS, about=f"{ip} is not for members"))
        return None
    return ipaddress.IPv4Interface(f"{ip}/{member.let_in.prefixlen}")


def _check_ranges(profile: Profile, member: Membership, findings: list[Finding]) -> None:
    claimed: list[tuple[Network, int]] = []
    for peer in profile.peers:
        for allowed in peer.allowed:
            if (code := _objection(allowed, member)) is not None:
                findings.append(Finding(code=code, line=peer.line, about=str(allowed)))
            for other, line in claimed:
                if line != peer.line and _overlap(other, allowed):
                    about = f"{other} and {allowed}"
                    findings.append(Finding(code=ProfileCode.OVERLAP, line=peer.line, about=about))
            claimed.append((allowed, peer.line))


def _overlap(one: Network, other: Network) -> bool:
    if isinstance(one, IPv4Network) and isinstance(other, IPv4Network):
        return one.overlaps(other)
    both = isinstance(one, ipaddress.IPv6Network) and isinstance(other, ipaddress.IPv6Network)
    return both and one.overlaps(other)


def _objection(allowed: Network, member: Membership) -> ProfileCode | None:
    """Why a range refuses the profile; wider ones are narrowed instead."""
    if _overlap(allowed, member.network):
        return None  # inside it, or around it
    if any(_overlap(allowed, home) and allowed.prefixlen >= home.prefixlen for home in HOME_NETWORKS):
        return ProfileCode.HOME_RANGE
    wider = allowed.version == 6 or allowed.prefixlen < member.network.prefixlen
    return None if wider and not _is_single(allowed) else ProfileCode.OUTSIDE


def _is_single(allowed: Network) -> bool:
    return allowed.num_addresses == 1


def _leads_to(peer: Peer, member: Membership) -> bool:
    return any(each.version == 4 and member.pool in each for each in peer.allowed)


def _used_peer(peer: Peer, profile: Profile, member: Membership, findings: list[Finding]) -> Peer:
    findings += _peer_problems(peer, profile, member)
    asked = ", ".join(str(each) for each in peer.allowed)
    if peer.allowed != (member.let_in,):
        findings.append(
            Finding(code=ProfileCode.NARROWED, line=peer.line, about=f"{asked} → {member.let_in}")
        )
    if not peer.keepalive_s:
        findings.append(Finding(code=ProfileCode.KEEPALIVE_ADDED, about=str(KEEPALIVE_S)))
    return replace(peer, allowed=(member.let_in,), keepalive_s=peer.keepalive_s or KEEPALIVE_S)


def _peer_problems(peer: Peer, profile: Profile, member: Membership) -> list[Finding]:
    found = []
    if peer.public_key == public_of(profile.private_key):
        found.append(Finding(code=ProfileCode.OWN_KEY, line=peer.line, about="PublicKey"))
    where = split_endpoint(peer.endpoint)
    if where is None:
        return [*found, Finding(code=ProfileCode.MISSING, line=peer.line, about="Endpoint")]
    try:
        ip = ipaddress.ip_address(where[0])
    except ValueError:
        return found
    if ip in member.network:
        about = f"{peer.endpoint} lies inside the tunnel itself"
        found.append(Finding(code=ProfileCode.BAD_ENDPOINT, line=peer.line, about=about))
    elif any(ip in home for home in HOME_NETWORKS if home.version == ip.version):
        found.append(Finding(code=ProfileCode.NEAR_ENDPOINT, line=peer.line, about=peer.endpoint))
    return found


def _review(file: Profile, used: Profile, findings: tuple[Finding, ...]) -> Review:
    """The review's rows; names are keys of presentation.vpn, no secret is among them."""
    peer = used.peers[0]
    before = next(each for each in file.peers if each.public_key == peer.public_key)
    asked = ", ".join(str(each) for each in before.allowed)
    rows = [
        ReviewRow(name="address", in_file=_joined(file.addresses), used=str(used.addresses[0].ip),
                  verdict="as_is"),
        ReviewRow(name="private_key", in_file="present", used="kept_0600", verdict="hidden"),
        ReviewRow(name="preshared_key", in_file="present" if peer.preshared_key else "",
                  used="used" if peer.preshared_key else "",
                  verdict="hidden" if peer.preshared_key else "none"),
        ReviewRow(name="endpoint", in_file=before.endpoint, used=f"{peer.endpoint}, UDP", verdict="as_is"),
        ReviewRow(name="allowed", in_file=asked, used=_joined(peer.allowed),
                  verdict="as_is" if before.allowed == peer.allowed else "narrowed"),
        ReviewRow(name="dns", in_file=file.dns, used="", verdict="left_off" if file.dns else "none"),
        ReviewRow(name="keepalive", in_file=str(before.keepalive_s or ""), used=str(peer.keepalive_s),
                  verdict="as_is" if before.keepalive_s else "added"),
        ReviewRow(name="mtu", in_file=str(file.mtu or ""), used=str(used.mtu or 1420), verdict="as_is"),
    ]  # fmt: skip
    rows += [
        ReviewRow(name=note.about.partition(" ")[0], in_file=note.about.partition("= ")[2] or note.about,
                  used="", verdict="dropped")
        for note in findings if note.code is ProfileCode.DROPPED
    ]  # fmt: skip
    return Review(
        findings=findings, rows=tuple(rows), pool_key=peer.public_key, own_key=public_of(used.private_key)
    )


def _joined(values: tuple[object, ...]) -> str:
    return ", ".join(str(value) for value in values)
