"""A Docker engine of the tests' own: started by them, ended by them, nothing of the computer's own touched.

One engine serves a session. It has its own folder, socket and containerd, no bridge and no firewall
rules, and one image, packed from the very interpreter that runs the tests. Where no engine can be
had (no root, no dockerd) the tests that need it are skipped with one line.
"""

from __future__ import annotations

import atexit
import concurrent.futures
import contextlib
import ctypes
import functools
import io
import os
import platform
import queue
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from hivemind_worker import places
from hivemind_worker.runtimes.docker.endpoint import Endpoint
from hivemind_worker.runtimes.docker.image_facts import LABEL_LAYERS, LABEL_PACKAGES, LABEL_PYTHON
from hivemind_worker.runtimes.docker.images import ImageRules
from hivemind_worker.runtimes.docker.runtime import DockerRules, DockerRuntime
from tests.process_state import lasts

IMAGE = "hivemind-tests/python:latest"
LABELS = (
    f"LABEL {LABEL_LAYERS}=1", f"LABEL {LABEL_PACKAGES}=", f"LABEL {LABEL_PYTHON}={platform.python_version()}"
)  # fmt: skip
START_LIMIT_S = 30.0
LEFT_OUT = (
    "site-packages",
    "test",
    "tests",
    "idlelib",
    "tkinter",
    "ensurepip",
    "lib2to3",
    "pydoc_data",
    "turtledemo",
)
ACCOUNTS = {"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "etc/group": "root:x:0:\n"}


def why_not() -> str:
    """Why there can be no engine here, "" when there can."""
    if not sys.platform.startswith("linux"):
        return "a Docker engine of the tests' own needs Linux"
    if os.geteuid() != 0:
        return "a Docker engine of the tests' own needs root"
    missing = [name for name in ("dockerd", "containerd", "runc") if shutil.which(name) is None]
    return f"no Docker engine here ({', '.join(missing)} not found): see README.md" if missing else ""


class TestEngine:
    """One dockerd in a folder of its own. `restart`, `freeze` and `thaw` are for fault drills."""

    __test__ = False
    prefix: tuple[str, ...] = ()
    """Before a command that shall see the engine's network."""
    network: tuple[str, ...] = ("--bridge", "none", "--iptables=false", "--ip6tables=false")

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hivemind-engine-"))
        self.temporary = self.folder / "tmp"
        self.socket = self.folder / "docker.sock"
        self.url = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        words = [
            *self.prefix, "dockerd", "-H", self.url, "--pidfile", f"{self.folder}/pid", *self.network,
            "--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/exec", "--log-level", "warn",
        ]  # fmt: skip
        env = {**os.environ, "TMPDIR": str(self.temporary)}  # a slow containerd leaves its stacks there
        self.temporary.mkdir(exist_ok=True)
        with (self.folder / "engine.log").open("ab") as log:
            self._process = in_lasting_thread(
                lambda: subprocess.Popen(
                    words,
                    cwd=self.folder,
                    env=env,
                    stdout=log,
                    stderr=log,
                    preexec_fn=die_with_the_tests,  # noqa: PLW1509
                )
            )
        limit = time.monotonic() + START_LIMIT_S
        while subprocess.run(self._cli("version"), capture_output=True, check=False).returncode:
            if time.monotonic() > limit or self._process.poll() is not None:
                raise RuntimeError((self.folder / "engine.log").read_text()[-2000:])
            time.sleep(0.1)

    def _cli(self, *words: str) -> list[str]:
        return ["docker", "-H", self.url, *words]

    def docker(self, *words: str, check: bool = True) -> str:
        """What the command line tool prints."""
        done = subprocess.run(self._cli(*words), capture_output=True, text=True, check=check, timeout=60)
        return done.stdout.strip()

    def containers(self) -> list[str]:
        """Names of all containers, also of those that have ended."""
        return self.docker("ps", "-a", "--format", "{{.Names}}").split()

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End it; containers end with it when it is asked politely."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(how)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        if how == signal.SIGKILL:
            # Its containerd died with it, and nobody may have buried it: its number still looks alive.
            self._end_containerd()
            (self.folder / "exec/containerd/containerd.pid").unlink(missing_ok=True)
        self._process = None

    def restart(self, how: int = signal.SIGTERM) -> None:
        """End it and start it again."""
        self.stop(how)
        self.start()

    def freeze(self) -> None:
        """It no longer answers, and does not close its connections either."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        os.kill(self.pid, signal.SIGCONT)

    def remove(self) -> None:
        """End it with everything that it holds, and give the disk back."""
        with contextlib.suppress(subprocess.SubprocessError, ProcessLookupError):
            if self._process is not None:
                self.thaw()
                if names := self.containers():
                    self.docker("rm", "-f", *names)
        self.stop()
        self._end_containerd()
        for mount in reversed(Path("/proc/self/mounts").read_text().split()[1::6]):
            if mount.startswith(f"{self.folder}/"):
                subprocess.run(["umount", "-l", mount], capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_containerd(self) -> None:
        """The engine's own containerd, when the engine was killed and could not end it."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.folder / "exec/containerd/containerd.pid").read_text())
            if str(self.folder) in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGTERM)

    def import_image(self, name: str = IMAGE, *changes: str) -> None:
        """Make the image that has the tests' own interpreter as python3, and nothing else."""
        words = self._cli("import", *(part for change in changes for part in ("--change", change)), "-", name)
        subprocess.run(words, input=python_root(), capture_output=True, check=True, timeout=120)


_Made = TypeVar("_Made")
_orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()


def _carry_out() -> None:
    while True:
        _orders.get()()


def in_lasting_thread(make: Callable[[], _Made]) -> _Made:
    """Call it where the thread lasts as long as the tests: a child dies with the thread that made it."""
    if not any(thread.name == "engines" for thread in threading.enumerate()):
        threading.Thread(target=_carry_out, name="engines", daemon=True).start()
    made: concurrent.futures.Future[_Made] = concurrent.futures.Future()
    _orders.put(lambda: made.set_result(make()))
    return made.result(30)


def die_with_the_tests() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG: also when they are killed
    os.setsid()


@functools.cache
def python_root() -> bytes:
    """A root file system with a Python interpreter and the libraries that it needs, as a tar archive."""
    library = Path(sysconfig.get_path("stdlib")).resolve()
    binary = Path(sys.executable).resolve()
    base = Path(sys.base_prefix).resolve()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("app/task", "workspace", "tmp", "proc", "sys", "dev", "etc", "usr/bin"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name, text in ACCOUNTS.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
        inside = f"opt/python/lib/{library.name}"
        tar.add(library, inside, filter=_wanted)
        tar.add(binary, f"opt/python/bin/{binary.name}")
        link = tarfile.TarInfo("usr/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, f"/opt/python/bin/{binary.name}"
        tar.addfile(link)
        for path in _libraries((binary, *sorted((library / "lib-dynload").glob("*.so")))):
            at = f"usr/lib/{path.name}" if path.is_relative_to(base) else str(path).lstrip("/")
            tar.add(path.resolve(), at)
    return buffer.getvalue()


def _wanted(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    name = Path(entry.name).name
    unwanted = (
        name in LEFT_OUT or name.startswith("config-") or name.endswith((".opt-1.pyc", ".opt-2.pyc", ".a"))
    )
    entry.uid = entry.gid = 0
    return None if unwanted else entry


def _libraries(files: tuple[Path, ...]) -> set[Path]:
    said = subprocess.run(["ldd", *map(str, files)], capture_output=True, text=True, check=False).stdout
    return {Path(found) for found in re.findall(r"(/\S+) \(0x", said)}


def docker_sandbox(
    engine: TestEngine, folder: Path, *, is_open: bool = False, **changes: Any
) -> DockerRuntime:
    """The Docker sandbox on that engine, with the tests' image; `changes` go into its rules.

    `is_open`: every container of this home belongs to a task that has not ended.
    """
    rules: dict[str, Any] = {"image": ImageRules(name=IMAGE)}
    return DockerRuntime(
        folder, DockerRules(**rules | changes), seccomp=places.resources() / "seccomp.json", node_id="tests",
        find=lambda: Endpoint(url=engine.url, source="the tests"), is_open=lambda key, attempt: is_open,
    )  # fmt: skip


@functools.cache
def session_engine() -> TestEngine:
    """The engine that the tests of a session share; it goes when they end."""
    engine = TestEngine()
    lasts(engine.folder)
    atexit.register(engine.remove)
    engine.start()
    engine.import_image(IMAGE, *LABELS)
    return engine


def shared_engine() -> TestEngine:
    """The session's engine, with the image; skips where there can be none."""
    if reason := why_not():
        pytest.skip(reason)
    return session_engine()
