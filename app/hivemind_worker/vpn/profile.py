"""A WireGuard profile, read strictly: every line is understood and checked, or the whole is refused.

Pure. Knows the syntax and each value's bounds; what of it is used for a pool is decided in
`narrowing`. `render` writes what `parse` reads. Counterpart: `shelf`, which keeps it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hivemind_worker.model.vpn import Finding, ProfileCode
from hivemind_worker.vpn.keys import is_key

MAX_BYTES = 64 << 10
MAX_LINE = 1000
MAX_PEERS = 64
HOOKS = frozenset({"preup", "postup", "predown", "postdown"})
OURS_TO_DECIDE = frozenset({"saveconfig", "table", "fwmark"})
HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.?)*[A-Za-z0-9]|[A-Za-z0-9]")
MAYBE_SECRET = re.compile(r"[A-Za-z0-9+/]{32,}=*")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Interface | ipaddress.IPv6Interface


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One other side."""

    public_key: str
    preshared_key: str = field(default="", repr=False)
    endpoint: str = ""
    allowed: tuple[Network, ...] = ()
    keepalive_s: int = 0
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a profile says. Secrets never show in a repr."""

    private_key: str = field(repr=False)
    addresses: tuple[Address, ...] = ()
    dns: str = ""
    mtu: int = 0
    listen_port: int = 0
    peers: tuple[Peer, ...] = ()
    dropped: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    key: str
    value: str


class _RefusedError(Exception):
    """A finding on its way out of the parser; never leaves this module."""

    def __init__(self, code: ProfileCode, about: str = "") -> None:
        super().__init__(about)
        self.code, self.about = code, about


def parse(untrusted: bytes) -> Profile | tuple[Finding, ...]:
    """The profile, or everything that is wrong with it, in order of lines."""
    text = _decode(untrusted)
    if isinstance(text, Finding):
        return (text,)
    findings: list[Finding] = []
    sections = _sections(text, findings)
    own = [section for section in sections if section.name == "interface"]
    if not own:
        findings.append(Finding(code=ProfileCode.MISSING, about="[Interface]"))
    for extra in own[1:]:
        findings.append(Finding(code=ProfileCode.TWICE, line=extra.line, about="[Interface]"))
    interface = own[0].values if own else {}
    peers = [_peer(section, findings) for section in sections if section.name == "peer"]
    _check_peers(peers, findings)
    if own:
        _require(own[0], "privatekey", "PrivateKey", findings)
    if findings:
        return tuple(sorted(findings, key=_order))
    return Profile(
        private_key=interface["privatekey"], addresses=interface.get("address", ()),
        dns=interface.get("dns", ""), mtu=interface.get("mtu", 0),
        listen_port=interface.get("listenport", 0), peers=tuple(peers),
        dropped=tuple(note for section in own for note in section.dropped),
    )  # fmt: skip


def _order(finding: Finding) -> tuple[bool, int]:
    """By lines; what is missing comes last, since a line that is wrong is mostly the cause of it."""
    return finding.code is ProfileCode.MISSING, finding.line


# --- text -------------------------------------------------------------------------------------


def _decode(untrusted: bytes) -> str | Finding:
    if len(untrusted) > MAX_BYTES:
        return Finding(code=ProfileCode.TOO_LONG, about=f"{len(untrusted)} bytes, at most {MAX_BYTES}")
    if untrusted.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Finding(code=ProfileCode.NOT_TEXT, about="it is UTF-16; save it as UTF-8")
    try:
        return untrusted.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = untrusted.count(b"\n", 0, error.start) + 1
        return Finding(code=ProfileCode.NOT_TEXT, line=line, about=f"byte 0x{untrusted[error.start]:02x}")


def _lines(text: str, findings: list[Finding]) -> Iterator[tuple[int, str]]:
    """Numbered lines without comments and blanks; an odd letter outside a comment is a finding.

    Only line feeds end a line (with a carriage return before them): a reader who takes others for
    line ends would see another profile than we do.
    """
    for number, raw in enumerate(text.split("\n"), 1):
        whole = raw.removesuffix("\r")
        line, _, comment = whole.partition("#")
        if len(whole) > MAX_LINE:
            findings.append(Finding(code=ProfileCode.TOO_LONG, line=number, about=f"{len(whole)} letters"))
        elif (odd := _odd_letter(line) or _control(comment)) is not None:
            findings.append(Finding(code=ProfileCode.ODD_LETTER, line=number, about=f"U+{ord(odd):04X}"))
        elif line.strip():
            yield number, line.strip()


def _odd_letter(text: str) -> str | None:
    return next((letter for letter in text if letter != "\t" and not " " <= letter <= "~"), None)


def _control(comment: str) -> str | None:
    """A comment may be in any language, but hide nothing from its reader."""
    return next((letter for letter in comment if letter != "\t" and not letter.isprintable()), None)


@dataclass
class _Section:
    name: str
    line: int
    values: dict[str, Any] = field(default_factory=dict)
    dropped: list[Finding] = field(default_factory=list)


def _sections(text: str, findings: list[Finding]) -> list[_Section]:
    found: list[_Section] = []
    for number, line in _lines(text, findings):
        if line.startswith("["):
            _open_section(line, number, found, findings)
            continue
        key, equals, value = line.partition("=")
        entry = _Line(number, key.strip(), value.strip())
        if not equals or not entry.key:
            findings.append(Finding(code=ProfileCode.UNKNOWN_KEY, line=number, about=_shown(line)))
        elif not found:
            findings.append(Finding(code=ProfileCode.NO_SECTION, line=number, about=_shown(entry.key)))
        else:
            _take(found[-1], entry, findings)
    return found


def _open_section(line: str, number: int, found: list[_Section], findings: list[Finding]) -> None:
    name = line.lower()
    if name not in ("[interface]", "[peer]"):
        findings.append(Finding(code=ProfileCode.UNKNOWN_SECTION, line=number, about=_shown(line)))
    found.append(_Section(name.strip("[]"), number))
    if sum(section.name == "peer" for section in found) == MAX_PEERS + 1:
        findings.append(Finding(code=ProfileCode.TOO_LONG, line=number, about=f"over {MAX_PEERS} [Peer]"))


def _take(section: _Section, line: _Line, findings: list[Finding]) -> None:
    """Read one setting into its section, or say what is wrong with it."""
    key = line.key.lower()
    if key in HOOKS:
        findings.append(Finding(code=ProfileCode.COMMAND, line=line.number, about=line.key))
    elif key in OURS_TO_DECIDE and section.name == "interface":
        section.dropped.append(
            Finding(code=ProfileCode.DROPPED, line=line.number, about=f"{line.key} = {_shown(line.value)}")
        )
    elif key not in READERS.get(section.name, {}):
        if section.name in READERS:
            findings.append(Finding(code=ProfileCode.UNKNOWN_KEY, line=line.number, about=_shown(line.key)))
    else:
        _read(section, key, line, findings)


def _read(section: _Section, key: str, line: _Line, findings: list[Finding]) -> None:
    try:
        value = READERS[section.name][key](line.value)
    except _RefusedError as wrong:
        about = line.key if wrong.code is ProfileCode.BAD_KEY else wrong.about
        findings.append(Finding(code=wrong.code, line=line.number, about=about))
        section.values.setdefault(key, None)
        return
    if key in section.values and isinstance(value, tuple) and isinstance(section.values[key], tuple):
        section.values[key] = (*section.values[key], *value)
    elif key in section.values:
        findings.append(Finding(code=ProfileCode.TWICE, line=line.number, about=line.key))
    else:
        section.values[key] = value


def _shown(text: str) -> str:
    """What may be said of an untrusted text: no key, wherever it was put by mistake, and not too much."""
    text = MAYBE_SECRET.sub("(hidden)", text)
    return text if len(text) <= 60 else f"{text[:59]}…"


# --- values -----------------------------------------------------------------------------------


def _key(text: str) -> str:
    if not is_key(text):
        raise _RefusedError(ProfileCode.BAD_KEY)  # without the text: it may be a secret
    return text


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _addresses(text: str) -> tuple[Address, ...]:
    try:
        return tuple(ipaddress.ip_interface(part) for part in _parts(text))
    except ValueError:
        raise _RefusedError(ProfileCode.BAD_ADDRESS, _shown(text)) from None


def _ranges(text: str) -> tuple[Network, ...]:
    if not text:
        return ()
    try:
        return tuple(ipaddress.ip_network(part, strict=False) for part in _parts(text))
    except ValueError:
        raise _RefusedError(ProfileCode.BAD_RANGE, _shown(text)) from None


def _whole(low: int, high: int, off: bool = False) -> Callable[[str], int]:
    def read(text: str) -> int:
        if off and text.lower() == "off":
            return 0
        if not (text.isascii() and text.isdigit() and len(text) < 6 and low <= int(text) <= high):
            raise _RefusedError(ProfileCode.BAD_NUMBER, f"{_shown(text)}, from {low} to {high}")
        return int(text)

    return read


def _dns(text: str) -> str:
    for part in _parts(text):
        if not HOST_NAME.fullmatch(part) and ":" not in part:
            raise _RefusedError(ProfileCode.BAD_ADDRESS, _shown(text))
    return text


def split_endpoint(text: str) -> tuple[str, int] | None:
    """Host and port of HOST:PORT or [IPv6]:PORT; None when it is neither, or means nowhere."""
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 0
    if not colon or not 1 <= number <= 65535:
        return None
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        named = HOST_NAME.fullmatch(host) is not None and not host.rpartition(".")[2].isdigit()
        return (host, number) if named and host.lower() != "localhost" else None
    nowhere = address.is_unspecified or address.is_multicast or address.is_loopback or address.is_reserved
    return None if nowhere or address.is_link_local else (bare, number)


def _endpoint(text: str) -> str:
    if split_endpoint(text) is None:
        raise _RefusedError(ProfileCode.BAD_ENDPOINT, _shown(text))
    return text


READERS: dict[str, dict[str, Callable[[str], object]]] = {
    "interface": {
        "privatekey": _key, "address": _addresses, "dns": _dns, "mtu": _whole(576, 9000),
        "listenport": _whole(0, 65535),
    },
    "peer": {
        "publickey": _key, "presharedkey": _key, "endpoint": _endpoint, "allowedips": _ranges,
        "persistentkeepalive": _whole(0, 65535, off=True),
    },
}  # fmt: skip


# --- sections ---------------------------------------------------------------------------------


def _require(section: _Section, key: str, name: str, findings: list[Finding]) -> None:
    if key not in section.values:
        findings.append(Finding(code=ProfileCode.MISSING, line=section.line, about=name))


def _peer(section: _Section, findings: list[Finding]) -> Peer:
    values = section.values
    _require(section, "publickey", "PublicKey", findings)
    return Peer(
        public_key=str(values.get("publickey") or ""), preshared_key=str(values.get("presharedkey") or ""),
        endpoint=str(values.get("endpoint") or ""), allowed=values.get("allowedips") or (),
        keepalive_s=int(values.get("persistentkeepalive") or 0),
        line=section.line,
    )  # fmt: skip


def _check_peers(peers: list[Peer], findings: list[Finding]) -> None:
    if not peers:
        findings.append(Finding(code=ProfileCode.MISSING, about="[Peer]"))
    seen: dict[str, int] = {}
    for peer in peers:
        if peer.public_key and peer.public_key in seen:
            about = f"PublicKey, as in line {seen[peer.public_key]}"
            findings.append(Finding(code=ProfileCode.TWICE, line=peer.line, about=about))
        seen.setdefault(peer.public_key, peer.line)


def render(profile: Profile) -> str:
    """The profile as a file that `parse`, wg-quick and the other programs read."""
    lines = ["[Interface]", f"PrivateKey = {profile.private_key}"]
    lines += [f"Address = {address}" for address in profile.addresses]
    lines += [f"MTU = {profile.mtu}"] if profile.mtu else []
    lines += [f"ListenPort = {profile.listen_port}"] if profile.listen_port else []
    for peer in profile.peers:
        lines += ["", "[Peer]", f"PublicKey = {peer.public_key}"]
        lines += [f"PresharedKey = {peer.preshared_key}"] if peer.preshared_key else []
        lines += [f"Endpoint = {peer.endpoint}"] if peer.endpoint else []
        lines += [f"AllowedIPs = {', '.join(str(each) for each in peer.allowed)}"]
        lines += [f"PersistentKeepalive = {peer.keepalive_s}"] if peer.keepalive_s else []
    return "\n".join([*lines, ""])
