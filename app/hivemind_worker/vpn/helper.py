"""The one program with elevated rights: brings one WireGuard interface up, takes it down, or tells how it is.

Reads one JSON order a line from its standard input and answers each with one JSON line; ends
with its input. Never takes a path, never runs a shell, and believes nothing that it is told:
every value is checked again here. Standard library alone and one file, so that the package
can install it where only root can write. Counterpart: `pipe`.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

INTERFACE = re.compile(r"[a-z0-9_=+.-]{1,15}")
MAX_LINE = 16 << 10
LIMIT_S = 10.0
SHORTEST_PREFIX = 16
PRIVATE = tuple(
    ipaddress.IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
VERBS = ("up", "down", "status")

Answer = dict[str, Any]


class RefusedError(Exception):
    """Why an order is not carried out: a stable word and the particulars. Holds no secret."""

    def __init__(self, reason: str, about: str = "") -> None:
        super().__init__(reason, about)
        self.reason, self.about = reason, about


# --- checks -----------------------------------------------------------------------------------


def _bad(name: str) -> RefusedError:
    return RefusedError("bad_order", name)


def _text(order: Mapping[str, Any], name: str) -> str:
    value = order.get(name, "")
    if not isinstance(value, str):
        raise _bad(name)
    return value


def _number(order: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = order.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not (value == 0 or low <= value <= high):
        raise _bad(name)
    return value


def _key(order: Mapping[str, Any], name: str, optional: bool = False) -> str:
    text = _text(order, name)
    if optional and not text:
        return ""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise _bad(name) from None
    if len(raw) != 32 or not any(raw) or base64.b64encode(raw).decode() != text:
        raise _bad(name)
    return text


def _interface(order: Mapping[str, Any]) -> str:
    name = _text(order, "interface")
    if not INTERFACE.fullmatch(name) or name in (".", ".."):
        raise _bad("interface")
    return name


def _inside(order: Mapping[str, Any], name: str) -> ipaddress.IPv4Interface:
    """An address or range of private networks, and never a wide one."""
    try:
        value = ipaddress.IPv4Interface(_text(order, name))
    except ValueError:
        raise _bad(name) from None
    private = any(value.network.subnet_of(network) for network in PRIVATE)
    if not private or value.network.prefixlen < SHORTEST_PREFIX:
        raise _bad(name)
    return value


def _endpoint(order: Mapping[str, Any]) -> str:
    """IP:PORT, looked up before: no name is looked up with elevated rights."""
    host, _, port = _text(order, "endpoint").rpartition(":")
    try:
        ip = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise _bad("endpoint") from None
    nowhere = ip.is_unspecified or ip.is_loopback or ip.is_multicast
    if nowhere or not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65535):
        raise _bad("endpoint")
    return f"[{ip}]:{int(port)}" if ip.version == 6 else f"{ip}:{int(port)}"


# --- tools ------------------------------------------------------------------------------------


def _run(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """One fixed command; what it is given goes through its input, never its arguments."""
    try:
        return subprocess.run(
            words, input=given, capture_output=True, text=True, env=ENVIRONMENT, timeout=LIMIT_S, check=False
        )
    except FileNotFoundError:
        raise RefusedError("tool_missing", words[0]) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RefusedError("failed", f"{words[0]}: {type(error).__name__}") from None


def _must(*words: str, given: str = "") -> str:
    done = _run(*words, given=given)
    if done.returncode == 0:
        return done.stdout
    said = next(iter(done.stderr.strip().splitlines()), f"exit code {done.returncode}")
    if "not permitted" in said or "ermission denied" in said:
        raise RefusedError("no_permission", f"{words[0]}: {said[:200]}")
    raise RefusedError("failed", f"{' '.join(words[:3])}: {said[:200]}")


def _exists(interface: str) -> bool:
    return _run("ip", "link", "show", "dev", interface).returncode == 0


def _must_be_ours(interface: str, public_key: str) -> None:
    """Never touch an interface that is somebody else's: name and key must both be the expected ones."""
    shown = _run("wg", "show", interface, "public-key")
    if shown.returncode != 0 or shown.stdout.strip() not in (public_key, "(none)"):
        raise RefusedError("not_ours", interface)


# --- verbs ------------------------------------------------------------------------------------


def up(order: Mapping[str, Any]) -> Answer:
    """Make the interface and its route, or leave nothing behind."""
    interface, private_key = _interface(order), _key(order, "private_key")
    address, allowed = _inside(order, "address"), _inside(order, "allowed").network
    mtu = _number(order, "mtu", 576, 9000) or 1420
    configuration = _configuration(order, private_key, str(allowed))
    public_key = _must("wg", "pubkey", given=private_key).strip()
    if _exists(interface):
        _must_be_ours(interface, public_key)
        _must("ip", "link", "delete", "dev", interface)
    _must_be_free(allowed)
    by = _make(interface)
    try:
        _must("wg", "setconf", interface, "/dev/stdin", given=configuration)
        _must("ip", "-4", "address", "add", str(address), "dev", interface)
        _must("ip", "link", "set", "mtu", str(mtu), "up", "dev", interface)
        if allowed != address.network:  # else the address itself brings the route
            _must("ip", "-4", "route", "add", str(allowed), "dev", interface)
    except RefusedError:
        _run("ip", "link", "delete", "dev", interface)
        raise
    return {"by": by}


def _configuration(order: Mapping[str, Any], private_key: str, allowed: str) -> str:
    """For `wg setconf`, which knows no hooks."""
    port, keepalive = _number(order, "listen_port", 1, 65535), _number(order, "keepalive_s", 1, 65535)
    shared = _key(order, "preshared_key", optional=True)
    lines = ["[Interface]", f"PrivateKey = {private_key}"]
    lines += [f"ListenPort = {port}"] if port else []
    lines += ["[Peer]", f"PublicKey = {_key(order, 'public_key')}", f"Endpoint = {_endpoint(order)}"]
    lines += [f"PresharedKey = {shared}"] if shared else []
    lines += [f"AllowedIPs = {allowed}"]
    lines += [f"PersistentKeepalive = {keepalive}"] if keepalive else []
    return "\n".join([*lines, ""])


def _must_be_free(allowed: ipaddress.IPv4Network) -> None:
    """A home network with the pool's own numbers would lose its router to the tunnel."""
    for link in json.loads(_must("ip", "-j", "-4", "address", "show") or "[]"):
        for row in link.get("addr_info", ()):
            network = ipaddress.IPv4Interface(f"{row['local']}/{row['prefixlen']}").network
            if network.overlaps(allowed):
                raise RefusedError("range_in_use", f"{network} on {link.get('ifname')}")


def _make(interface: str) -> str:
    """The kernel's tunnel, else wireguard-go's; which of them it is."""
    if _run("ip", "link", "add", "dev", interface, "type", "wireguard").returncode == 0:
        return "kernel"
    _must("wireguard-go", interface)
    return "wireguard-go"


def down(order: Mapping[str, Any]) -> Answer:
    """Remove the interface; absent is fine."""
    interface, public_key = _interface(order), _key(order, "public_key")
    if _exists(interface):
        _must_be_ours(interface, public_key)
        _must("ip", "link", "delete", "dev", interface)
    return {}


def status(order: Mapping[str, Any]) -> Answer:
    """What `wg` tells of the interface, without its secrets."""
    interface = _interface(order)
    if not _exists(interface):
        return {"exists": False}
    rows = [line.split("\t") for line in _must("wg", "show", interface, "dump").splitlines()]
    peers = [
        {"public_key": row[0], "endpoint": row[2], "allowed": row[3], "handshake_s": int(row[4]),
         "rx_bytes": int(row[5]), "tx_bytes": int(row[6])}
        for row in rows[1:]
    ]  # fmt: skip
    return {"exists": True, "public_key": rows[0][1], "listen_port": int(rows[0][2]), "peers": peers}


def obey(line: str) -> Answer:
    """Carry out one order; the answer says whether, and why not. Raises nothing."""
    try:
        order = json.loads(line) if len(line) <= MAX_LINE else None
        if not isinstance(order, dict) or order.get("verb") not in VERBS:
            raise _bad("verb")
        return {"ok": True} | {"up": up, "down": down, "status": status}[order["verb"]](order)
    except RefusedError as refused:
        return {"ok": False, "reason": refused.reason, "about": refused.about}
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        return {"ok": False, "reason": "bad_order", "about": type(error).__name__}


def main() -> int:
    """Obey until the input ends."""
    while line := sys.stdin.readline(MAX_LINE + 1):
        print(json.dumps(obey(line)), flush=True)  # noqa: T201 - this is the pipe
    return 0


if __name__ == "__main__":
    sys.exit(main())
