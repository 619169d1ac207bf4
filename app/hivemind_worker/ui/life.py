"""The window's life after its first paint: one loop for Qt and all else, the worker on it, an orderly end.

The worker is started (its imports are slow) while the window is there, until somebody wants to quit; then it
is stopped in order while the window says so, and only then does Qt end. Nothing here calls `exec()`: inside a
task it would stop every other one. Counterpart: `ui.app`, which has painted the window.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from types import TracebackType
from typing import TYPE_CHECKING

import qasync
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import Nursery
from hivemind_worker.ui import icons
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.first_instance import FirstInstance
from hivemind_worker.ui.shell import Shell
from hivemind_worker.ui.theme import appearance

if TYPE_CHECKING:
    from hivemind_worker.ui.app import Host, Opening

log = logging.getLogger(__name__)
LOST = 1
"""Exit code where the loop was taken away, e.g. with the display: the next start recovers."""


def serve(host: Host, opening: Opening, *, hidden: bool) -> int:
    """Run until somebody wants to quit and everything has ended; the exit code."""
    loop = qasync.QEventLoop(opening.app)
    runner = asyncio.Runner(loop_factory=lambda: loop)
    try:
        runner.run(_Running(host, opening, hidden=hidden).serve())
    except RuntimeError as error:
        # Qt has ended the loop under us: the display is gone. As after a crash, the next start recovers.
        log.critical("the window's loop was ended from outside: %s", error)
        return LOST
    runner.close()
    return 0


class _Running:
    """One life of the application."""

    def __init__(self, host: Host, opening: Opening, *, hidden: bool) -> None:
        self._host, self._opening, self._hidden = host, opening, hidden
        self._quit = asyncio.Event()

    async def serve(self) -> None:
        """From the first paint to the last word."""
        self._host.listen(self._quit.set)
        nursery, memory = Nursery("window"), self._opening.memory
        bridge = Bridge(nursery, memory)
        with _unexpected(bridge):
            appearance().dress()
            shell = Shell(bridge, memory, quit=self._quit.set, window=self._opening.window)
            bridge.settings_changed.connect(lambda: _dress_again(bridge, shell))
            if not self._opening.window.isVisible():
                shell.start(hidden=self._hidden)
            shell.complete()
            first = self._listen(shell)
            try:
                await self._work(nursery, bridge, shell)
            finally:
                first.close()
                await self._end(nursery, bridge, shell)

    def _listen(self, shell: Shell) -> FirstInstance:
        """A second start raises the window; the end of the session is an orderly one."""
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.commitDataRequest.connect(lambda _session: self._quit.set())
        return FirstInstance(self._host.state, shell.raise_window)

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
        self._host.over(again=shell.again)


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
