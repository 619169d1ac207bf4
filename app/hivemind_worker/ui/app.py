"""The application: one loop for Qt and everything else, the window first and the worker after it.

The order is: window painted, worker started (its imports are slow), until somebody wants to quit;
then the worker is stopped in order while the window says so, and only then does Qt end. Nothing here
calls `exec()`: inside a task it would stop every other one. Counterpart: `commands.gui`, the `Host`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

import qasync
from PySide6.QtCore import QSettings, QTimer
from PySide6.QtWidgets import QApplication

from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import Nursery
from hivemind_worker.presentation.window_words import PROGRAM
from hivemind_worker.ui import icons
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.shell import Shell
from hivemind_worker.ui.theme import appearance

if TYPE_CHECKING:
    from hivemind_worker.engine.face import NodeFace
    from hivemind_worker.model.settings import Settings
    from hivemind_worker.ui.first_instance import FirstInstance

log = logging.getLogger(__name__)
PAINT_LIMIT_S = 2.0
LOST = 1
"""Exit code where the loop was taken away, e.g. with the display: the next start recovers."""


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

    def over(self) -> None:
        """Everything has ended in order."""
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
    loop = qasync.QEventLoop(app)
    runner = asyncio.Runner(loop_factory=lambda: loop)
    try:
        runner.run(_Running(host, hidden=hidden).serve())
    except RuntimeError as error:
        # Qt has ended the loop under us: the display is gone. As after a crash, the next start recovers.
        log.critical("the window's loop was ended from outside: %s", error)
        return LOST
    runner.close()
    return 0


class _Running:
    """One life of the application."""

    def __init__(self, host: Host, *, hidden: bool) -> None:
        self._host, self._hidden = host, hidden
        self._quit = asyncio.Event()

    async def serve(self) -> None:
        """From the first paint to the last word."""
        host = self._host
        host.listen(self._quit.set)
        nursery = Nursery("window")
        memory = QSettings(str(host.state / "window.ini"), QSettings.Format.IniFormat)
        bridge = Bridge(nursery, memory)
        with _unexpected(bridge):
            _dress(host.settings, host.state / "look")
            shell = Shell(bridge, memory, quit=self._quit.set)
            bridge.settings_changed.connect(lambda: _dress_again(bridge, shell))
            await self._show(shell)
            shell.complete()
            first = self._listen(shell)
            try:
                await self._work(nursery, bridge, shell)
            finally:
                first.close()
                await self._end(nursery, bridge, shell)

    def _listen(self, shell: Shell) -> FirstInstance:
        """A second start raises the window; the end of the session is an orderly one."""
        from hivemind_worker.ui.first_instance import FirstInstance  # noqa: PLC0415 - after the first paint

        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.commitDataRequest.connect(lambda _session: self._quit.set())
        return FirstInstance(self._host.state, shell.raise_window)

    async def _show(self, shell: Shell) -> None:
        painted = asyncio.Event()
        shell.window.painted.connect(painted.set)
        if shell.start(hidden=self._hidden):
            _quiet(await asyncio.wait({asyncio.ensure_future(painted.wait())}, timeout=PAINT_LIMIT_S))

    async def _work(self, nursery: Nursery, bridge: Bridge, shell: Shell) -> None:
        """Start the worker and serve; a start that is under way when quit is wanted is broken off."""
        starting = nursery.start("start", self._host.start())
        quitting = nursery.start("quit", self._quit.wait())
        await asyncio.wait({starting, quitting}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            return
        node = starting.result()
        if isinstance(node, Problem):
            shell.cannot_start(node)
        else:
            bridge.attach(node)
            shell.started()
            ending = nursery.start("ended", self._host.ended())
            ending.add_done_callback(lambda _task: self._quit.set())
        await self._quit.wait()

    async def _end(self, nursery: Nursery, bridge: Bridge, shell: Shell) -> None:
        shell.stopping()
        bridge.detach()
        await self._host.stop()
        await nursery.close()
        shell.close()
        icons.forget()
        self._host.over()


def _quiet(_answer: object) -> None:
    """The window was painted, or nobody can see it: both are fine."""


def _dress(settings: Settings, folder: Path) -> None:
    appearance().start(folder, settings.theme, settings.text_scale / 100)


def _dress_again(bridge: Bridge, shell: Shell) -> None:
    if bridge.node is not None:
        settings = bridge.node.settings
        appearance().choose(settings.theme, settings.text_scale / 100)
        shell.use_language()


class _unexpected:  # noqa: N801 - reads as what it is: with _unexpected(bridge)
    """While it holds, an unexpected error reaches the log and a quiet notice, and the window lives on."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._before = sys.excepthook

    def __enter__(self) -> None:
        sys.excepthook = self._caught

    def __exit__(self, *_ending: object) -> None:
        sys.excepthook = self._before

    def _caught(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, Exception):
            self._before(kind, error, trace)
            return
        log.error("bug in the window: %r", error, exc_info=(kind, error, trace))
        QTimer.singleShot(0, lambda: self._bridge.bug.emit(kind.__name__))
