"""The application: the window painted first, then one loop for Qt and everything else, and the worker on it.

Here is what comes before the first paint, with as few imports as that needs. Counterparts: `ui.life`, which
takes over, and `commands.gui`, the `Host`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication

from hivemind_worker.presentation.opening_words import PROGRAM
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.shell import Shell
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


def make_application(arguments: Sequence[str]) -> QApplication:
    """The Qt application, undressed; the one that is there already, where there is one.

    It never ends by itself when the last window closes.
    """
    QApplication.setApplicationName(PROGRAM)
    QApplication.setApplicationDisplayName(PROGRAM)
    QApplication.setDesktopFileName("hivemind-worker")
    there = QApplication.instance()
    app = there if isinstance(there, QApplication) else QApplication([PROGRAM, *arguments])
    app.setStyle("Fusion")
    app.setQuitOnLastWindowClosed(False)
    return app


def run(host: Host, *, hidden: bool = False, qt_arguments: Sequence[str] = ()) -> int:
    """Show the window and serve until quit; the exit code. `hidden`: begin in the tray where there is one."""
    app = make_application(qt_arguments)
    opening = Opening(host, hidden=hidden)
    opening.paint(app)
    from hivemind_worker.ui.life import serve  # noqa: PLC0415 - asyncio and the like: after the first paint

    return serve(app, host, opening)


class Opening:
    """The window as it is before anything runs in it: made and painted with the fewest imports."""

    def __init__(self, host: Host, *, hidden: bool) -> None:
        settings = host.settings
        appearance().start(host.state / "look", settings.theme, settings.text_scale / 100)
        self.memory = QSettings(str(host.state / "window.ini"), QSettings.Format.IniFormat)
        self.bridge = Bridge(None, self.memory)
        self.shell = Shell(self.bridge, self.memory)
        self._hidden = hidden

    def paint(self, app: QApplication) -> None:
        """Show the window, and return when it is on the screen; at once where it begins hidden."""
        if not self.shell.start(hidden=self._hidden):
            return
        end_s = time.monotonic() + PAINT_LIMIT_S
        while not self.shell.window.has_painted and time.monotonic() < end_s:
            app.processEvents()  # no loop runs yet: nothing can be entered twice
            time.sleep(PAINT_WAIT_S)
