"""All pictures of the documentation: `python -m tests.screens.pictures docs/pictures`.

The screens offscreen and from the scenes of the tests, the first steps from the running app under Xvfb, so
that they can be made again anywhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication

from hivemind_worker.model.resources import Resources
from hivemind_worker.model.work import RunFigures
from hivemind_worker.places import resources
from hivemind_worker.presentation.catalogue import use_language
from hivemind_worker.ui.app import make_application
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.main_window import MainWindow
from hivemind_worker.ui.screens import Screen
from hivemind_worker.ui.screens.tasks import Tasks
from hivemind_worker.ui.theme import appearance
from tests.fakes.node import NOW_S, FakeNode, make_task
from tests.screens.scenes import busy
from tests.screens.stand import AtOnce
from tests.ui.screen import xvfb

GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A screen as it is shown in the documentation, and the file's name there."""

    name: str
    place: str
    theme: str = "light"
    language: str = "en"
    scene: Callable[[FakeNode], None] = busy
    prepared: Callable[[Screen, FakeNode], None] = lambda _screen, _node: None


def three_tasks(node: FakeNode) -> None:
    """A busy worker whose tasks use what tasks use."""
    busy(node)
    demand = Resources(cpu=100.0, memory_gb=2.0)
    tasks = tuple(
        make_task(name, demand=demand, started_at_s=NOW_S - ran_s, accepted_at_s=NOW_S - ran_s - 2)
        for name, ran_s, _cores, _gb in TASKS
    )
    node.uses = {
        task.key: RunFigures(
            at_s=NOW_S, cores=cores, memory_bytes=round(gb * GIB), memory_limit_bytes=2 * GIB, disk_bytes=0
        )
        for task, (_name, _ran_s, cores, gb) in zip(tasks, TASKS, strict=True)
    }  # fmt: skip
    total = Resources(cpu=400.0, memory_gb=15.5)
    left = Resources(cpu=100.0, memory_gb=9.5)
    node.picture = replace(node.picture, tasks=tasks, total=total, available=left)


def with_details(screen: Screen, _node: FakeNode) -> None:
    """The first task's details, its log as it would be read from its file."""
    assert isinstance(screen, Tasks)
    screen.pane._follow = lambda _task: None  # type: ignore[method-assign]
    screen.tables[0].selectRow(0)
    screen.open_pane()
    screen.pane.log.view.add("\n".join(LOG))


TASKS = (
    ("7f3a9c1e-52d0-4b8e", 2811.0, 0.78, 1.42), ("b21d04f8-77aa-4c10", 740.0, 0.99, 0.21),
    ("e90c55a2-0d3f-4e51", 185.0, 0.64, 0.88),
)  # fmt: skip
LOG = tuple(
    f"step {109_270 + 60 * n}/150000  loss {0.42 - 0.0006 * n:.4f}  41.{n % 10} it/s" for n in range(40)
)
WANTED = (
    Picture(name="home", place="home", scene=three_tasks),
    Picture(name="tasks", place="tasks", scene=three_tasks, prepared=with_details),
    Picture(name="resources", place="resources"),
    Picture(name="pools-light-en", place="pools"),
    Picture(name="rules-light-en", place="rules"),
    Picture(name="history-light-en", place="history"),
    Picture(name="settings-light-zh_TW", place="settings", language="zh_TW"),
    Picture(name="doctor-dark-en", place="doctor", theme="dark"),
    Picture(name="account-light-en", place="account"),
    Picture(name="network-light-en", place="network"),
)
FIRST_STEPS = tuple(f"first-{number}" for number in range(1, 6))
"""Made by `tests.ui.first_steps`, from the running app."""


def take(wanted: Picture, target: Path) -> None:
    """One screen in the whole window."""
    use_language(resources() / "locale", wanted.language)
    appearance().choose(wanted.theme, 1.0)
    with tempfile.TemporaryDirectory() as folder:
        node = FakeNode(Path(folder))
        wanted.scene(node)
        memory = QSettings(f"{folder}/window.ini", QSettings.Format.IniFormat)
        bridge = Bridge(AtOnce("pictures"), memory)
        bridge.attach(node)
        window = MainWindow(memory)
        window.furnish(bridge)
        window.resize(1100, 720)
        window.show()
        window.complete()
        screen = window.open(wanted.place)
        settle(bridge)
        wanted.prepared(screen, node)
        settle(bridge)
        window.grab().save(str(target / f"{wanted.name}.png"))
        bridge.detach()
        window.close()
        window.deleteLater()
        QApplication.processEvents()


def settle(bridge: Bridge) -> None:
    """Layouts settle by and by."""
    for _round in range(8):
        bridge._tell()
        bridge.query("sample", lambda node: node.sample(), bridge._sampled)
        QApplication.processEvents()


def first_steps(target: Path) -> None:
    """The set-up of the running app, on a display of its own."""
    with xvfb() as (display, _process):
        around = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
        subprocess.run([sys.executable, "-m", "tests.ui.first_steps", str(target)], env=around, check=True)


def main() -> None:
    """Make them all."""
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    make_application([])
    with tempfile.TemporaryDirectory() as look:
        appearance().start(Path(look), "light", 1.0)
        for wanted in WANTED:
            take(wanted, target)
            print(wanted.name)
    first_steps(target)


if __name__ == "__main__":
    main()
