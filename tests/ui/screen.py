"""A screen of its own for a process: Xvfb on the next free number, ended at the end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

LIMIT_S = 30.0
PROGRAM = [sys.executable, "-m", "hivemind_worker"]


@contextmanager
def xvfb(width: int = 1280, height: int = 900) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The display's name and its process."""
    if shutil.which("Xvfb") is None:
        pytest.skip("this system has no Xvfb")
    read, write = os.pipe()
    words = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"]
    words.append("-noreset")  # else a client that comes while the last one leaves is thrown out
    process = subprocess.Popen(words, pass_fds=(write,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as told:
            yield f":{told.readline().strip()}", process
    finally:
        process.terminate()
        process.wait(LIMIT_S)


def environment(display: str, home: Path, **more: str) -> dict[str, str]:
    """What the app is started with: a home of its own, no settings of the one who tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HIVEMIND_")}
    for name in ("QT_QPA_PLATFORM", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "SESSION_MANAGER"):
        kept.pop(name, None)
    sandbox = os.environ.get("HIVEMIND_SANDBOX", "")
    return {
        **kept, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "HIVEMIND_HOME": str(home), "NODE_PORT": "0",
        "HIVEMIND_LANGUAGE": "en", **({"HIVEMIND_SANDBOX": sandbox} if sandbox else {}), **more,
    }  # fmt: skip


every_app: list[App] = []
"""All that were, for who has to see that none outlives a test."""


class App:
    """The desktop app as a process of its own."""

    def __init__(self, display: str, home: Path, *words: str, **more: str) -> None:
        self.home, self._env = home, environment(display, home, **more)
        self.log = home / "standard-output"
        home.mkdir(parents=True, exist_ok=True)
        every_app.append(self)
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [*PROGRAM, "gui", *words], env=self._env, stdout=output, stderr=subprocess.STDOUT
            )

    def until_up(self) -> None:
        """Until the worker says that it is up."""
        self.until("is up:")

    def until(self, text: str) -> None:
        """Until this stands in its output."""
        end_s = time.monotonic() + LIMIT_S
        while text not in self.log.read_text("utf-8", "replace"):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end_s, self.log.read_text()
            time.sleep(0.05)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command in the same home."""
        return subprocess.run(
            [*PROGRAM, *words], env=self._env, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )

    def end(self, how: int = signal.SIGTERM) -> tuple[int, float]:
        """Tell it to end: its exit code, and how long it took."""
        begun_s = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(LIMIT_S)
        return code, time.monotonic() - begun_s


@contextmanager
def connected_pool(home: Path) -> Iterator[str]:
    """The embedded pool as a process of its own, with one account."""
    home.mkdir(parents=True)
    env = environment("", home)
    (home / "password").write_text("correct horse battery staple")
    program = [sys.executable, "-m", "hivemind_worker"]
    add = [*program, "pool", "user", "add", "anna", "--password-file", str(home / "password")]
    subprocess.run(add, env=env, check=True, capture_output=True)
    listen = [*program, "pool", "--listen", "127.0.0.1:0"]
    pipe, same = subprocess.PIPE, subprocess.STDOUT
    pool = subprocess.Popen(listen, env=env, stdout=pipe, stderr=same, text=True)
    try:
        assert pool.stdout is not None
        words = (word.rstrip(".,") for line in pool.stdout for word in line.split())
        address = next(word for word in words if word.startswith("127.0.0.1:"))
        yield address
    finally:
        pool.terminate()
        pool.wait(20)
        pool.stdout.close()


def login(app: App, address: str, folder: Path) -> None:
    app.until_up()
    password = folder / "pool" / "password"
    done = app.run("login", "--pool", address, "--user", "anna", "--password-file", str(password))
    assert done.returncode == 0, done.stderr
    app.until("registered")
