"""A window on a fake worker, on the very loop that the app uses; whatever a test leaves behind fails it."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
import qasync
from PySide6.QtCore import QCoreApplication, QEvent, QSettings, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from hivemind_worker.nursery import Nursery
from hivemind_worker.ui.app import make_application
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.shell import Shell
from hivemind_worker.ui.theme import appearance
from tests.fakes.node import FakeNode

LIMIT_S = 10.0


class Loop(qasync.QEventLoop):  # type: ignore[misc]
    """The app's kind of loop, which a test runs in parts: its fixtures, itself, their ends. After each,
    qasync's own lets Qt work once more with no loop running: a timer of the open window that is due then
    would find none."""

    def run_until_complete(self, future: Any) -> Any:
        part = asyncio.ensure_future(future, loop=self)
        part.add_done_callback(lambda _part: self.stop())
        self.run_forever()
        return part.result()


def pytest_asyncio_loop_factories(config: Any, item: Any) -> dict[str, Callable[[], Any]]:
    """Every test here gets it."""
    return {"qt": lambda: Loop(QApplication.instance())}


@pytest.fixture(scope="session")
def qapp(tmp_path_factory: pytest.TempPathFactory) -> QApplication:
    """One dressed application for all."""
    app = make_application([])
    appearance().start(tmp_path_factory.mktemp("look"), "light", 1.0)
    return app


@pytest.fixture(autouse=True)
def nothing_ticks_between_the_parts_of_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest-qt lets Qt work after each part; a timer of the open window would find no loop there."""
    monkeypatch.setattr("pytestqt.plugin._process_events", lambda: None)


def _left_widgets() -> set[QWidget]:
    return set(QApplication.topLevelWidgets())


def _running_timers() -> list[str]:
    gc.collect()
    return [repr(found) for found in gc.get_objects() if isinstance(found, QTimer) and _is_active(found)]


def _is_active(timer: QTimer) -> bool:
    try:
        return timer.isActive()
    except RuntimeError:  # deleted by Qt
        return False


@pytest.fixture(autouse=True)
def nothing_is_left(qapp: QApplication) -> Iterator[None]:
    """Fails on windows, timers and threads that outlive their test; the look ends as it began."""
    windows, threads, timers = _left_widgets(), set(threading.enumerate()), _running_timers()
    yield
    appearance().choose("light", 1.0)
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QCoreApplication.processEvents()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    left = [repr(widget) for widget in _left_widgets() - windows]
    late = [each for each in set(threading.enumerate()) - threads if "_poll_wrapper" not in each.name]
    for each in late:  # told to end, and about to
        each.join(2.0)
    late = [each.name for each in late if each.is_alive()]
    ticking = [name for name in _running_timers() if name not in timers]
    assert (left, late, ticking) == ([], [], [])


class Desk:
    """A window and a tray on a fake worker."""

    def __init__(self, folder: Path, *, tray: bool = False, new: bool = False) -> None:
        self.node = FakeNode(folder)
        self.nursery = Nursery("window")
        self.memory = QSettings(str(folder / "window.ini"), QSettings.Format.IniFormat)
        self.memory.setValue("setup/done", not new)
        self.bridge = Bridge(self.nursery, self.memory)
        self.quits = 0
        self.shell = Shell(self.bridge, self.memory, quit=self._quit, tray_available=lambda: tray)

    def _quit(self) -> None:
        self.quits += 1

    @property
    def window(self) -> QWidget:
        return self.shell.window

    def open(self) -> None:
        """Show the window and let the worker be up."""
        self.shell.start(hidden=False)
        self.shell.complete()
        self.bridge.attach(self.node)
        self.shell.started()

    async def close(self) -> None:
        self.shell.stopping()
        self.bridge.detach()
        await self.nursery.close()
        self.shell.close()

    async def until(self, holds: Callable[[], object]) -> None:
        """Let the loop run until this holds."""
        async with asyncio.timeout(LIMIT_S):
            while not holds():
                await asyncio.sleep(0.005)

    async def settle(self) -> None:
        """Until the picture that the worker has now is shown."""
        shown: list[object] = []
        self.bridge.snapshot_changed.connect(shown.append)
        self.node.picture = self.node.picture
        await self.until(lambda: shown)
        self.bridge.snapshot_changed.disconnect(shown.append)

    def press(self, keys: str) -> None:
        """A key, e.g. "Ctrl+P", to whatever has the focus."""
        target = QApplication.focusWidget() or self.shell.window
        QTest.keySequence(target, keys)


@pytest.fixture
async def desk(tmp_path: Path, qapp: QApplication) -> AsyncIterator[Desk]:
    """An open window; the tests that need a tray make their own."""
    made = Desk(tmp_path)
    made.open()
    yield made
    await made.close()


__all__ = ["Desk", "Qt"]
