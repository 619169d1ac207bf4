"""A Docker engine in a network of its own, with a small world around it. Nothing of it is seen outside.

Two network namespaces joined by a wire: in one the engine (with its bridges and packet rules), in
the other a home network, a metadata service, a pool and a place on the internet, all played by
listeners. Counterpart: `docker_engine`, the engine without any network.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import io
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import pip
import pytest

from tests.contract.docker_engine import TestEngine, die_with_the_tests, python_root, why_not
from tests.process_state import lasts

HOME_OF_ENGINE, HOME_NEIGHBOUR = "192.168.77.2", "192.168.77.1"
METADATA, POOL, FAR, CARRIER = "169.254.169.254", "10.0.0.1", "203.0.113.10", "100.64.0.9"
HOST_PORT, NEIGHBOUR_PORT, METADATA_PORT, POOL_PORT, FAR_PORT = 9999, 8080, 80, 50051, 8080

LISTEN = """
import socket, sys, threading
doors = []
for word in sys.argv[1:]:
    host, port = word.rsplit(":", 1)
    door = socket.create_server((host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    doors.append(door)
print("ready", flush=True)
def serve(door):
    while True:
        line, _ = door.accept()
        line.sendall(b"hello\\n")
        line.close()
for door in doors:
    threading.Thread(target=serve, args=(door,), daemon=True).start()
sys.stdin.read()
"""


def why_no_town() -> str:
    """Why there can be no such engine here, "" when there can."""
    missing = [name for name in ("ip", "nsenter", "iptables") if shutil.which(name) is None]
    return why_not() or (f"no network of the tests' own ({', '.join(missing)} not found)" if missing else "")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)


class TownEngine(TestEngine):
    """The engine inside its namespace; it has bridges and sets packet rules."""

    network = ()

    def __init__(self, namespace: str) -> None:
        super().__init__()
        self.namespace = namespace
        self.prefix = ("nsenter", f"--net=/run/netns/{namespace}")

    def import_image_with_pip(self) -> str:
        """Make the tests' own image with pip in it; returns its name."""
        name = "hivemind-tests/python-pip:latest"
        buffer = io.BytesIO(python_root())
        with tarfile.open(fileobj=buffer, mode="a") as tar:
            library = Path(sysconfig.get_path("stdlib")).name
            for folder in (Path(pip.__file__).parent,):
                tar.add(folder, f"opt/python/lib/{library}/site-packages/{folder.name}", filter=_plain)
        words = self._cli("import", "-", name)
        subprocess.run(words, input=buffer.getvalue(), capture_output=True, check=True, timeout=120)
        return name


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    entry.uid = entry.gid = 0
    return entry


class Town:
    """The two namespaces, the engine and the listeners."""

    def __init__(self) -> None:
        number = os.getpid()
        self.inner, self.outer = f"hm-in-{number}", f"hm-out-{number}"
        self._wires = (f"hmi{number}"[:15], f"hmo{number}"[:15])
        self._people: list[subprocess.Popen[bytes]] = []
        self.engine = TownEngine(self.inner)

    def build(self) -> None:
        """Lay the wire, open the doors and start the engine."""
        for namespace in (self.inner, self.outer):
            _ip("netns", "add", namespace)
            _ip("-n", namespace, "link", "set", "lo", "up")
        _ip("link", "add", self._wires[0], "netns", self.inner, "type", "veth", "peer", self._wires[1],
            "netns", self.outer)  # fmt: skip
        _ip("-n", self.inner, "addr", "add", f"{HOME_OF_ENGINE}/24", "dev", self._wires[0])
        for address in (f"{HOME_NEIGHBOUR}/24", f"{METADATA}/32", f"{POOL}/32", f"{FAR}/32", f"{CARRIER}/32"):
            _ip("-n", self.outer, "addr", "add", address, "dev", self._wires[1])
        for namespace, wire in ((self.inner, self._wires[0]), (self.outer, self._wires[1])):
            _ip("-n", namespace, "link", "set", wire, "up")
        _ip("-n", self.inner, "route", "add", "default", "via", HOME_NEIGHBOUR)
        self.listen(self.outer, f"{HOME_NEIGHBOUR}:{NEIGHBOUR_PORT}", f"{HOME_NEIGHBOUR}:53",
                    f"{METADATA}:{METADATA_PORT}", f"{POOL}:{POOL_PORT}", f"{FAR}:{FAR_PORT}",
                    f"{CARRIER}:80")  # fmt: skip
        self.listen(self.inner, f"0.0.0.0:{HOST_PORT}")
        self.engine.start()

    def listen(self, namespace: str, *doors: str) -> None:
        """Somebody who answers at these addresses."""
        self.settle(namespace, "-c", LISTEN, *doors)

    def settle(self, namespace: str, *words: str) -> None:
        """A Python program in one of the namespaces, until the end; it prints a line when it is ready."""
        argv = ["nsenter", f"--net=/run/netns/{namespace}", sys.executable, *words]
        person = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            cwd=self.engine.folder, preexec_fn=die_with_the_tests,  # noqa: PLW1509
        )  # fmt: skip
        self._people.append(person)
        assert person.stdout is not None
        assert person.stdout.readline(), f"{doors_of(words)} could not be opened"

    def remove(self) -> None:
        """End everybody, take the network away."""
        self.engine.remove()
        for person in self._people:
            person.kill()
            person.wait(5)
            for pipe in (person.stdin, person.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        for namespace in (self.inner, self.outer):
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False, timeout=10)


def doors_of(words: tuple[str, ...]) -> str:
    """The last words of a command line, for a message."""
    return " ".join(words[-3:])


@functools.cache
def _session_town() -> Town:
    town = Town()
    lasts(town.engine.folder)
    atexit.register(town.remove)
    town.build()
    town.engine.import_image()
    return town


def session_town() -> Town:
    """The town that the tests of a session share, with the tests' image; skips where there can be none."""
    if reason := why_no_town():
        pytest.skip(reason)
    return _session_town()
