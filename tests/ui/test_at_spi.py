"""What a screen reader on Linux gets of the window, asked from another process over AT-SPI.

The readers of Debian (python3-gi, gir1.2-atspi-2.0, installed by installer/system-packages.sh) belong to the
system's interpreter: that one asks, on a session bus of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ui.screen import App, xvfb

pytestmark = pytest.mark.release
SYSTEM_PYTHON = "/usr/bin/python3"
LIMIT_S = 30.0
READER = """
import json, sys
import gi
gi.require_version("Atspi", "2.0")
from gi.repository import Atspi
Atspi.init()

def walk(node, depth=0):
    if node is None or depth > 40:
        return
    try:
        if depth < 2 or node.get_state_set().contains(Atspi.StateType.SHOWING):
            yield node.get_role_name(), node.get_name() or ""
        count = node.get_child_count()
    except Exception:
        return
    for number in range(count):
        try:
            child = node.get_child_at_index(number)
        except Exception:
            continue
        yield from walk(child, depth + 1)

desktop = Atspi.get_desktop(0)
found = []
for number in range(desktop.get_child_count()):
    found += walk(desktop.get_child_at_index(number))
print(json.dumps(found))
"""


def _readable() -> bool:
    if shutil.which("dbus-daemon") is None or not Path(SYSTEM_PYTHON).exists():
        return False
    asked = "import gi; gi.require_version('Atspi', '2.0'); from gi.repository import Atspi"
    return subprocess.run([SYSTEM_PYTHON, "-c", asked], capture_output=True, check=False).returncode == 0


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[str]:
    """A session bus of its own, with everything on it ended at the end."""
    words = ["dbus-daemon", "--session", "--nofork", "--print-address=1", f"--address=unix:dir={tmp_path}"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        yield daemon.stdout.readline().strip()
        daemon.terminate()


def read(environment: dict[str, str]) -> list[list[str]]:
    """Role and name of everything that is on the bus."""
    words = [SYSTEM_PYTHON, "-c", READER]
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    return json.loads(done.stdout) if done.returncode == 0 else []


@pytest.mark.skipif(not _readable(), reason="this system has no AT-SPI to ask")
def test_a_screen_reader_hears_the_names_of_the_main_controls(tmp_path: Path, bus: str) -> None:
    home = tmp_path / "home"
    (home / "state").mkdir(parents=True)
    (home / "state" / "window.ini").write_text("[setup]\ndone=true\n")
    with xvfb() as (display, _server):
        asking = {**os.environ, "DISPLAY": display, "DBUS_SESSION_BUS_ADDRESS": bus}
        app = App(display, home, DBUS_SESSION_BUS_ADDRESS=bus, QT_LINUX_ACCESSIBILITY_ALWAYS_ON="1")
        try:
            app.until_up()
            found, end_s = [], time.monotonic() + LIMIT_S
            wanted = {"Home", "Tasks", "Resources", "Pools", "Rules", "Logs", "Settings", "Pause"}
            while not wanted <= {name for _role, name in found} and time.monotonic() < end_s:
                found = read(asking)
            names = {name for _role, name in found}
            assert wanted <= names, sorted(names)
            assert any(role == "frame" and name == "HiveMind Worker" for role, name in found)
            assert any(name.startswith("Run mode: ") for name in names)
            assert any(name.startswith("State: ") for name in names)
            buttons = [name for role, name in found if role in ("button", "push button", "toggle button")]
            assert [name for name in buttons if not name] == []
        finally:
            app.end()
