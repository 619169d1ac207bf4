"""Packet rules around one bridge: out to the internet, and to nothing else.

Owns two chains a bridge, loaded whole each time, so that they are as written or not there. The
rules are data with a reason a line. Never touches a rule or chain of anybody else's but for the
one jump into each of its chains. Blocking calls. Counterpart: `networks` (the bridge).
"""

from __future__ import annotations

import contextlib
import ipaddress
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

CLOSED_NETWORKS: dict[str, str] = {
    "0.0.0.0/8": "addresses of this very network",
    "10.0.0.0/8": "private: home networks, and the pool's VPN",
    "100.64.0.0/10": "private: providers' own networks, other VPNs",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local: a cloud's metadata service",
    "172.16.0.0/12": "private: home networks, other containers",
    "192.0.0.0/24": "kept for protocols",
    "192.168.0.0/16": "private: home networks",
    "198.18.0.0/15": "private: test networks",
    "224.0.0.0/4": "multicast: discovery of devices at home",
    "240.0.0.0/4": "broadcast, and kept for later",
}

COMMAND_LIMIT_S = 10.0
WAIT_S = "5"
"""For the lock that other programs with rules take."""

RESOLVER_FILES = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))

Rule = tuple[str, ...]


class _RefusedError(Exception):
    """The system does not let us set rules; the text says why. Never leaves this module."""


def forward_rules(bridge: str, resolvers: Iterable[str]) -> tuple[Rule, ...]:
    """What goes through this computer from the bridge: names are looked up, private places are not seen."""
    return (
        *_look_ups(resolvers),
        # Containers among themselves, should the bridge let them.
        ("-o", bridge, "-j", "DROP"),
        *(("-d", network, "-j", "DROP") for network in CLOSED_NETWORKS),
        ("-j", "RETURN"),
    )


def input_rules(resolvers: Iterable[str]) -> tuple[Rule, ...]:
    """What goes to this computer itself, whichever of its addresses is used: nothing but looking up names."""
    return (*_look_ups(resolvers, "ACCEPT"), ("-j", "DROP"))


def _look_ups(resolvers: Iterable[str], verdict: str = "RETURN") -> tuple[Rule, ...]:
    """A home's resolver mostly stands at a private address; without it no name would be known."""
    return tuple(
        ("-d", f"{resolver}/32", "-p", protocol, "--dport", "53", "-j", verdict)
        for resolver in resolvers
        for protocol in ("udp", "tcp")
    )


def resolvers(files: Sequence[Path] = RESOLVER_FILES) -> tuple[str, ...]:
    """IPv4 addresses of this computer's resolvers; those on loopback are asked by the engine itself."""
    found: dict[str, None] = {}
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if words[:1] == ["nameserver"] and len(words) > 1 and _is_far(words[1]):
                found[words[1]] = None
    return tuple(found)


def _is_far(text: str) -> bool:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return not address.is_loopback


class Firewall:
    """The rules of one bridge. `prefix` comes before each command, e.g. to enter a network namespace."""

    def __init__(
        self, bridge: str, *, prefix: Sequence[str] = (), resolver_files: Sequence[Path] = RESOLVER_FILES
    ) -> None:
        self.bridge = bridge
        self._prefix = tuple(prefix)
        self._resolver_files = tuple(resolver_files)
        self._forward, self._input = f"HM-FWD-{bridge}", f"HM-IN-{bridge}"

    def raise_up(self) -> str:
        """Load the rules and have them asked first; again is harmless and mends what was removed.

        Returns why they cannot be set, "" when they are: without them the bridge must not be used.
        """
        known = resolvers(self._resolver_files)
        try:
            self._load("iptables-restore", forward_rules(self.bridge, known), input_rules(known))
            self._jump("iptables", "DOCKER-USER", self._forward)
            self._jump("iptables", "INPUT", self._input)
            if self._has_ipv6():
                # The bridge has no IPv6; this is for link-local addresses, and an engine that adds it.
                self._load("ip6tables-restore", (("-j", "DROP"),), (("-j", "DROP"),))
                self._jump("ip6tables", "FORWARD", self._forward)
                self._jump("ip6tables", "INPUT", self._input)
        except _RefusedError as error:
            return str(error)
        return ""

    def take_down(self) -> None:
        """Remove everything that `raise_up` made, as far as that is possible; absent is fine."""
        for tool, chains in (("iptables", ("DOCKER-USER", "INPUT")), ("ip6tables", ("FORWARD", "INPUT"))):
            for chain, own in zip(chains, (self._forward, self._input), strict=True):
                with contextlib.suppress(_RefusedError):
                    self._remove(tool, chain, own)

    def _remove(self, tool: str, chain: str, own: str) -> None:
        jump = (tool, "-w", WAIT_S, "-D", chain, "-i", self.bridge, "-j", own)
        while self._run(*jump).returncode == 0:
            pass
        self._run(tool, "-w", WAIT_S, "-F", own)
        self._run(tool, "-w", WAIT_S, "-X", own)

    def is_possible(self) -> str:
        """Why rules cannot be set on this system, "" when they can. Sets none."""
        try:
            looked = self._run("iptables", "-w", WAIT_S, "-S", "DOCKER-USER")
        except _RefusedError as error:
            return str(error)
        if looked.returncode != 0:
            said = looked.stderr.decode("utf-8", "replace").strip().splitlines()
            return said[0][:200] if said else "the engine's chain DOCKER-USER is not there"
        return ""

    def _has_ipv6(self) -> bool:
        try:
            return self._run("ip6tables", "-w", WAIT_S, "-S", "FORWARD").returncode == 0
        except _RefusedError:
            return False

    def _load(self, tool: str, forward: Iterable[Rule], incoming: Iterable[Rule]) -> None:
        lines = ["*filter", f":{self._forward} - [0:0]", f":{self._input} - [0:0]"]
        lines += [" ".join(("-A", self._forward, *rule)) for rule in forward]
        lines += [" ".join(("-A", self._input, *rule)) for rule in incoming]
        text = "\n".join([*lines, "COMMIT", ""])
        self._must(tool, "-w", WAIT_S, "--noflush", given=text.encode())

    def _jump(self, tool: str, chain: str, own: str) -> None:
        """The jump is the first rule of its chain: an older, wider permission must not come before it."""
        rule = ("-i", self.bridge, "-j", own)
        listed = self._run(tool, "-w", WAIT_S, "-S", chain).stdout.decode("utf-8", "replace").splitlines()
        rules = [line for line in listed if line.startswith("-A ")]
        if rules and rules[0].split() == ["-A", chain, *rule]:
            return
        self._must(tool, "-w", WAIT_S, "-I", chain, "1", *rule)
        self._drop_copies(tool, chain, rule)

    def _drop_copies(self, tool: str, chain: str, rule: Rule) -> None:
        listed = self._run(tool, "-w", WAIT_S, "-S", chain).stdout.decode("utf-8", "replace").splitlines()
        rules = [line.split()[2:] for line in listed if line.startswith("-A ")]
        for number in range(len(rules), 1, -1):
            if rules[number - 1] == list(rule):
                self._must(tool, "-w", WAIT_S, "-D", chain, str(number))

    def _must(self, *words: str, given: bytes = b"") -> None:
        done = self._run(*words, given=given)
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise _RefusedError(f"{words[0]}: {said[0][:200] if said else done.returncode}")

    def _run(self, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                [*self._prefix, *words],
                input=given,
                capture_output=True,
                timeout=COMMAND_LIMIT_S,
                check=False,
            )
        except FileNotFoundError:
            raise _RefusedError(f"{words[0]} is not on this computer") from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _RefusedError(f"{words[0]}: {error}") from error
