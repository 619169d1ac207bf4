"""Real sources of facts for tests: an X server without a screen, D-Bus services played by python-dbusmock."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hivemind_worker.machine.probes.bus import Bus

PACKAGES = {"Xvfb": "xvfb", "dbus-daemon": "dbus-daemon"}
SYSTEM_PYTHON = "/usr/bin/python3"
START_LIMIT_S = 20.0


@functools.cache
def missing_desk() -> str:
    """Why there is no X server or bus here, "" when there is. Installs Debian's where that can be done."""
    if (absent := _absent()) and hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", *absent]):
            subprocess.run(command, env=environment, capture_output=True, check=False, timeout=400)
    return f"not installed: {', '.join(absent)}" if (absent := _absent()) else ""


def _absent() -> list[str]:
    absent = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if (
        not Path(SYSTEM_PYTHON).exists()
        or subprocess.run(
            [SYSTEM_PYTHON, "-c", "import dbusmock"], capture_output=True, check=False
        ).returncode
    ):
        absent.append("python3-dbusmock")
    return absent


def until(holds: Callable[[], Any], limit_s: float = START_LIMIT_S) -> Any:
    """Wait for it; what it gave."""
    ends_s = time.monotonic() + limit_s
    while not (found := holds()):
        assert time.monotonic() < ends_s, "it never came"
        time.sleep(0.005)
    return found


@contextmanager
def x_server() -> Iterator[str]:
    """An X server; its display's name."""
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp", "-noreset"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            yield f":{server.stdout.readline().strip()}"
        finally:
            server.terminate()
            server.wait(10)


class Person:
    """Somebody at the keyboard and mouse of an X server: the server cannot tell it from a real one."""

    def __init__(self, display_name: str) -> None:
        from Xlib import display

        self.display = display.Display(display_name)
        self._at = 0

    def move(self) -> float:
        """Move the mouse; the steady time just before."""
        from Xlib import X

        self._at = (self._at + 7) % 500
        before = time.monotonic()
        self.display.xtest_fake_input(X.MotionNotify, x=self._at, y=self._at)
        self.display.flush()
        return before

    def press(self) -> float:
        """Press and release a key."""
        from Xlib import X

        before = time.monotonic()
        self.display.xtest_fake_input(X.KeyPress, 38)
        self.display.xtest_fake_input(X.KeyRelease, 38)
        self.display.flush()
        return before

    def rested_s(self) -> float:
        """For how long the server has seen no input."""
        return float(self.display.screen().root.screensaver_query_info().idle) / 1000

    def close(self) -> None:
        self.display.close()


CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:tmpdir={folder}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>"""


class Town:
    """A private bus that serves as session and as system bus, and the mocks on it."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address = folder, address
        self.environment = os.environ | {
            "DBUS_SESSION_BUS_ADDRESS": address, "DBUS_SYSTEM_BUS_ADDRESS": address,
        }  # fmt: skip
        self._mocks: list[subprocess.Popen[bytes]] = []

    def bus(self, which: str = "SYSTEM") -> Bus:
        return Bus(which)

    def template(self, name: str, service: str, parameters: str = "{}") -> None:
        """One of python-dbusmock's own templates."""
        self._start(["--system", "--template", name, "--parameters", parameters], service)

    def service(self, service: str, path: str, interface: str, method: str, answers: str, code: str) -> None:
        """A service with one method."""
        self._start(["--session", service, path, interface], service)
        bus = Bus("SESSION")
        bus.call(
            service, path, "org.freedesktop.DBus.Mock", "AddMethod", sends="sssss",
            body=(interface, method, "", answers, code),
        )  # fmt: skip
        bus.close()

    def add(self, service: str, path: str, interface: str, name: str, value: tuple[str, Any]) -> None:
        """Give the service a property that its template lacks."""
        bus = Bus("SYSTEM")
        bus.call(
            service, path, "org.freedesktop.DBus.Mock", "AddProperty", sends="ssv",
            body=(interface, name, value),
        )  # fmt: skip
        bus.close()

    def set(self, service: str, path: str, interface: str, name: str, value: tuple[str, Any]) -> None:
        """Give a property another value: (signature, value)."""
        bus = Bus("SYSTEM")
        bus.call(
            service, path, "org.freedesktop.DBus.Mock", "UpdateProperties", sends="sa{sv}",
            body=(interface, {name: value}),
        )  # fmt: skip
        bus.close()

    def _start(self, arguments: list[str], service: str) -> None:
        command = [SYSTEM_PYTHON, "-m", "dbusmock", *arguments]
        mock = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._mocks.append(mock)
        bus = Bus("SYSTEM")
        until(
            lambda: bus.call(
                "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner",
                sends="s", body=(service,),
            )
        )  # fmt: skip
        bus.close()

    def close(self) -> None:
        for mock in self._mocks:
            mock.terminate()
            mock.wait(10)


@contextmanager
def town(folder: Path, monkeypatch: Any) -> Iterator[Town]:
    """A bus of its own; this process finds it as both buses."""
    config = folder / "bus.conf"
    config.write_text(CONFIG.format(folder=folder))
    command = ["dbus-daemon", "--nofork", "--print-address=1", f"--config-file={config}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as daemon:
        assert daemon.stdout is not None
        address = daemon.stdout.readline().strip()
        found = Town(folder, address)
        for name in ("DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS"):
            monkeypatch.setenv(name, address)
        try:
            yield found
        finally:
            found.close()
            daemon.terminate()
            daemon.wait(10)
