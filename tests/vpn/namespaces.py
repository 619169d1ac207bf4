"""Two computers and a member that is neither, as network namespaces with real WireGuard tunnels.

A road (a bridge in a namespace of its own) joins them: pool 192.0.2.1, worker 192.0.2.2, other
192.0.2.3. In the tunnel: pool 10.0.0.1, worker 10.0.0.17, other 10.0.0.9. Needs root, iproute2,
wireguard-tools and wireguard-go (or the kernel's), which the set-up installs.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hivemind_worker.vpn.keys import KeyPair, new_pair
from tests.e2e.process import environment

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
PROGRAM = (sys.executable, "-m", "hivemind_worker")

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

    def try_to(self, name: str, *words: str) -> None:
        """As `do`, for what may be done already."""
        subprocess.run(self.inside(name, *words), capture_output=True, timeout=20, check=False)

    def pids(self, name: str) -> list[str]:
        """What runs inside."""
        return run("ip", "netns", "pids", self.space(name)).split()

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


# --- programs inside ----------------------------------------------------------------------------


def within(town: Town, name: str, work: Callable[[], T]) -> T:
    """Do something inside, in a thread of its own: sockets that it opens are that computer's."""
    found: list[T] = []
    raised: list[BaseException] = []

    def enter() -> None:
        try:
            with Path("/run/netns", town.space(name)).open("rb") as space:
                assert ctypes.CDLL(None).setns(space.fileno(), CLONE_NEWNET) == 0
            found.append(work())
        except BaseException as error:  # told to the caller below
            raised.append(error)

    thread = threading.Thread(target=enter, name=f"inside {name}")
    thread.start()
    thread.join(60)
    if raised:
        raise raised[0]
    return found[0]


def knock(town: Town, name: str, host: str, port: int, own: str = "") -> str:
    """What somebody at this computer meets there: open, refused or mute. `own`: the address he claims."""

    def try_it() -> str:
        try:
            socket.create_connection((host, port), 2.0, (own, 0) if own else None).close()
        except ConnectionRefusedError:
            return "refused"
        except OSError:
            return "mute"
        return "open"

    return within(town, name, try_it)


PROMPT = """import contextlib, io, json, sys, time
from hivemind_worker.cli import main
real = time.time
for line in sys.stdin:
    later_s, words = json.loads(line)
    time.time = lambda: real() + later_s
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""
"""The command line over and over in one process: the same code, without the time that each start takes."""


@dataclass
class Inside:
    """A home at one of the computers, and the programs that were started there."""

    town: Town
    name: str
    home: Path
    env: dict[str, str] = field(default_factory=dict)
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    prompt: subprocess.Popen[str] | None = None

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        return environment(
            self.home, HIVEMIND_VPN_INTERFACE=self.town.interface(self.name), MASTER_ADDRESS="10.0.0.1:50051",
            **{**self.env, **more},
        )  # fmt: skip

    def run(
        self, *words: str, limit_s: float = 60.0, program: tuple[str, ...] = PROGRAM, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """One command to its end."""
        return subprocess.run(
            self.town.inside(self.name, *program, *words), env=self._environment(more), capture_output=True,
            text=True, timeout=limit_s, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def ask(self, *words: str, later_s: float = 0.0) -> subprocess.CompletedProcess[str]:
        """A command, in the process that takes one after another; `later_s`: by a clock that is ahead."""
        if self.prompt is None:
            self.prompt = subprocess.Popen(
                self.town.inside(self.name, sys.executable, "-c", PROMPT), env=self._environment({}),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
        assert self.prompt.stdin is not None and self.prompt.stdout is not None
        self.prompt.stdin.write(json.dumps([later_s, words]) + "\n")
        self.prompt.stdin.flush()
        code, out, err = json.loads(self.prompt.stdout.readline())
        return subprocess.CompletedProcess(words, code, out, err)

    def start(self, *words: str, program: tuple[str, ...] = PROGRAM, **more: str) -> subprocess.Popen[bytes]:
        """Start something that stays; `end` ends it. Its words go to `log`."""
        self.home.mkdir(exist_ok=True)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self.town.inside(self.name, *program, *words), env=self._environment(more), stdout=log,
                stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self.running.append(process)
        return process

    @property
    def log(self) -> Path:
        return self.home / "said.log"

    def said(self, text: str, limit_s: float = 60.0) -> None:
        """Wait until its log has this."""
        limit = time.monotonic() + limit_s
        while text not in self.log.read_text("utf-8", "replace"):
            assert time.monotonic() < limit, self.log.read_text("utf-8", "replace")[-4000:]
            assert self.running[-1].poll() is None, self.log.read_text("utf-8", "replace")[-4000:]
            time.sleep(0.05)

    def api(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Ask the worker's local API from within, as its window does."""
        from http.client import HTTPConnection
        from urllib.parse import urlsplit

        from hivemind_worker.places import find_places
        from hivemind_worker.web.endpoint import read_endpoint

        places = find_places(str(self.home))
        endpoint = read_endpoint(places.endpoint_file)
        assert endpoint is not None

        def ask() -> dict[str, Any]:
            where = urlsplit(endpoint.url)
            connection = HTTPConnection(where.hostname or "", where.port, timeout=90)
            headers = {"Authorization": f"Bearer {places.token_file.read_text().strip()}",
                       "Content-Type": "application/json"}  # fmt: skip
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = dict(json.loads(connection.getresponse().read()))
            connection.close()
            return answer

        return within(self.town, self.name, ask)

    def until(self, path: str, holds: Callable[[dict[str, Any]], bool], limit_s: float = 60.0) -> float:
        """Ask the API again until it holds; how long that took."""
        began_s = time.monotonic()
        while not holds(answer := self.api("GET", path)):
            assert time.monotonic() < began_s + limit_s, answer
            time.sleep(0.1)
        return time.monotonic() - began_s

    def end(self) -> None:
        """End all that runs here, in order where it obeys."""
        if self.prompt is not None:
            with self.prompt:
                self.prompt.kill()
            self.prompt = None
        for process in reversed(self.running):
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()
