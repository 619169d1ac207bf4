"""Two computers and a member that is neither, as network namespaces with real WireGuard tunnels.

A road (a bridge in a namespace of its own) joins them: pool 192.0.2.1, worker 192.0.2.2, other
192.0.2.3. In the tunnel: pool 10.0.0.1, worker 10.0.0.17, other 10.0.0.9. Needs root, iproute2,
wireguard-tools and wireguard-go (or the kernel's), which the set-up installs.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hivemind_worker.vpn.keys import KeyPair, new_pair

TOOLS = ("ip", "wg", "wireguard-go")
ADDRESSES = {"pool": ("192.0.2.1", "10.0.0.1"), "worker": ("192.0.2.2", "10.0.0.17"),
             "other": ("192.0.2.3", "10.0.0.9")}  # fmt: skip
PORT = 51820
_numbers = itertools.count()


def why_not() -> str:
    """Why this computer cannot have them; "" when it can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "network namespaces need root"
    if not Path("/dev/net/tun").exists():
        return "this computer has no /dev/net/tun"
    missing = [tool for tool in TOOLS if shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin") is None]
    return f"missing, see installer/system-packages.sh: {', '.join(missing)}" if missing else ""


def run(*words: str, given: str = "") -> str:
    done = subprocess.run(words, input=given, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@dataclass
class Town:
    """Make it with `build`, end it with `remove`."""

    mark: str = field(default_factory=lambda: f"{os.getpid() % 10000}x{next(_numbers)}")
    keys: dict[str, KeyPair] = field(default_factory=lambda: {name: new_pair() for name in ADDRESSES})

    def space(self, name: str) -> str:
        return f"hm{self.mark}{name}"

    def interface(self, name: str) -> str:
        """Unique on this computer: wireguard-go's sockets are not kept apart by namespaces."""
        return f"hm{self.mark}{name[0]}"

    @property
    def worker_interface(self) -> str:
        return self.interface("worker")

    def inside(self, name: str, *words: str) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.space(name), *words)

    def do(self, name: str, *words: str, given: str = "") -> str:
        return run(*self.inside(name, *words), given=given)

    def build(self) -> None:
        run("ip", "netns", "add", self.space("road"))
        self.do("road", "ip", "link", "add", "road", "type", "bridge")
        self.do("road", "ip", "link", "set", "road", "up")
        for name, (outside, _) in ADDRESSES.items():
            run("ip", "netns", "add", self.space(name))
            run("ip", "link", "add", "eth0", "netns", self.space(name), "type", "veth", "peer", "name",
                name, "netns", self.space("road"))  # fmt: skip
            self.do("road", "ip", "link", "set", name, "master", "road", "up")
            self.do(name, "ip", "address", "add", f"{outside}/24", "dev", "eth0")
            self.do(name, "ip", "link", "set", "eth0", "up")
            self.do(name, "ip", "link", "set", "lo", "up")
        self.tunnel_up("pool")

    def tunnel_up(self, name: str) -> None:
        """The pool's side knows the two others; another member's knows the pool and the worker."""
        interface = self.interface(name)
        if subprocess.run(
            self.inside(name, "ip", "link", "add", interface, "type", "wireguard"),
            capture_output=True, check=False,
        ).returncode:  # fmt: skip
            self.do(name, "wireguard-go", interface)
        self.do(name, "wg", "setconf", interface, "/dev/stdin", given=self._configuration(name))
        self.do(name, "ip", "address", "add", f"{ADDRESSES[name][1]}/24", "dev", interface)
        self.do(name, "ip", "link", "set", "mtu", "1420", "up", "dev", interface)

    def _configuration(self, name: str) -> str:
        lines = ["[Interface]", f"PrivateKey = {self.keys[name].private}", f"ListenPort = {PORT}"]
        for other, (outside, tunnel) in ADDRESSES.items():
            if other != name:
                lines += ["[Peer]", f"PublicKey = {self.keys[other].public}", f"AllowedIPs = {tunnel}/32"]
                lines += [f"Endpoint = {outside}:{PORT}"] if name == "other" else []
        return "\n".join([*lines, ""])

    def profile(
        self, key: str = "", endpoint: str = f"192.0.2.1:{PORT}", allowed: str = "10.0.0.0/24"
    ) -> str:
        """What the pool's owner sends to the worker's."""
        return (
            f"[Interface]\nPrivateKey = {key or self.keys['worker'].private}\nAddress = 10.0.0.17/24\n"
            f"ListenPort = {PORT}\nDNS = 10.0.0.1\nMTU = 1420\n\n"
            f"[Peer]\nPublicKey = {self.keys['pool'].public}\nEndpoint = {endpoint}\n"
            f"AllowedIPs = {allowed}\nPersistentKeepalive = 25\n"
        )

    def cut(self) -> None:
        """As a pulled cable of the worker's."""
        self.do("road", "ip", "link", "set", "worker", "down")

    def mend(self) -> None:
        self.do("road", "ip", "link", "set", "worker", "up")

    def remove(self) -> None:
        """End what runs inside, then the namespaces with all their interfaces."""
        for name in (*ADDRESSES, "road"):
            space = self.space(name)
            if not Path("/run/netns", space).exists():
                continue
            pids = subprocess.run(["ip", "netns", "pids", space], capture_output=True, text=True, check=False)
            for pid in pids.stdout.split():
                subprocess.run(["kill", "-9", pid], capture_output=True, check=False)
            subprocess.run(["ip", "netns", "delete", space], capture_output=True, check=False)
        for name in ADDRESSES:
            Path(f"/var/run/wireguard/{self.interface(name)}.sock").unlink(missing_ok=True)


def entered(town: Town, name: str, words: Sequence[str]) -> list[str]:
    """A command line that runs `words` inside."""
    return list(town.inside(name, *words))
