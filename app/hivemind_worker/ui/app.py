"""The application: the window painted first, then one loop for Qt and everything else, and the worker on it.

Here is what comes before the first paint, with as few imports as that needs. Counterparts: `ui.curtain`, that
is painted, `ui.life`, which takes over, and `commands.gui`, the `Host`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication

from hivemind_worker.presentation.opening_words import PROGRAM
from hivemind_worker.ui.main_window import MainWindow
from hivemind_worker.ui.theme import appearance

if TYPE_CHECKING:
    from hivemind_worker.engine.face import NodeFace
    from hivemind_worker.model.settings import Settings
    from hivemind_worker.model.task import Problem

PAINT_LIMIT_S, PAINT_WAIT_S = 2.0, 0.001


class Host(Protocol):
    """The process around the window: it has the worker made, started and stopped."""

    settings: Settings
    state: Path

    def listen(self, ask: Callable[[], None]) -> None:
        """Have `ask` called when the system wants the process to end."""
        ...

    async def start(self) -> NodeFace | Problem:
        """Bring the worker up, or say why not."""
        ...

    async def ended(self) -> None:
        """Return when the worker itself wants to end."""
        ...

    async def stop(self) -> None:
        """End the worker in order."""
        ...

    def over(self, *, again: bool) -> None:
        """Everything has ended in order; `again`: the program is to be started anew."""
        ...


def make_application(arguments: Sequence[str] = ()) -> QApplication:
    """The Qt application, undressed; the one that is there already, where there is one.

    It never ends by itself when the last window closes.
    """
    QApplication.setApplicationName(PROGRAM)
    QApplication.setApplicationDisplayName(PROGRAM)
    QApplication.setDesktopFileName("hivemind-worker")
    there = QApplication.instance()
    app = there if isinstance(there, QApplication) else QApplication([PROGRAM, *arguments])
    app.setQuitOnLastWindowClosed(False)
    return app


def run(host: Host, *, opening: Opening | None = None, hidden: bool = False) -> int:
    """Serve until quit; the exit code. `opening` may be on the screen already. `hidden`: begin in the tray
    where there is one."""
    settings = host.settings
    opening = opening or Opening(host.state, theme=settings.theme, scale_percent=settings.text_scale)
    if not hidden:
        opening.paint()
    from hivemind_worker.ui.life import serve  # noqa: PLC0415 - asyncio and the like: after the first paint

    return serve(host, opening, hidden=hidden)


class Opening:
    """The application and its window before anything runs in them. `state` is the worker's folder."""

    def __init__(self, state: Path, *, theme: str, scale_percent: int) -> None:
        self.app = make_application()
        appearance().begin(state / "look", theme, scale_percent / 100)
        self.memory = QSettings(str(state / "window.ini"), QSettings.Format.IniFormat)
        self.window = MainWindow(self.memory)

    def paint(self) -> None:
        """Show the window, and return when its first picture is on the screen."""
        self.window.show()
        end_s = time.monotonic() + PAINT_LIMIT_S
        while not self.window.curtain.has_painted and time.monotonic() < end_s:
            self.app.processEvents()  # no loop runs yet: nothing can be entered twice
            time.sleep(PAINT_WAIT_S)
