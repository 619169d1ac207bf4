"""Window, tray, dialogs and keys as one: who shows up when, what closing means, what is said on bad days."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSettings

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.faults import words
from hivemind_worker.presentation.page_words import Look
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.main_window import MainWindow
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.panels import Callout

TROUBLE = ("warning", "warning")


class Shell:
    """`quit` asks the application to end in order."""

    def __init__(self, bridge: Bridge, memory: QSettings, *, quit: Callable[[], None]) -> None:
        self.bridge, self.memory, self.quit = bridge, memory, quit
        self.window = MainWindow(bridge, memory, on_close=self._close_asked)
        self._ending = False
        bridge.refused.connect(self._refused)
        bridge.bug.connect(self._bug)

    def start(self, *, hidden: bool) -> bool:
        """Show the window; whether there is anything to be painted."""
        self.window.show()
        return True

    def started(self) -> None:
        """The worker is up."""

    def cannot_start(self, problem: Problem) -> None:
        """The worker did not start: say why, and leave quitting."""
        sentence, next_step = words(problem)
        self._say(sentence, next_step, ("error", "cross"), Button(_("Quit"), pressed=self.quit))

    def stopping(self) -> None:
        """The worker is being stopped."""
        self._ending = True
        self.window.remember()
        self.window.setEnabled(False)

    def use_language(self, language: str) -> None:
        """Another language: everything that has words is made anew."""

    def close(self) -> None:
        """The very last: let go of all widgets."""
        self.window.close()
        self.window.deleteLater()

    def _close_asked(self) -> bool:
        if not self._ending:
            self.quit()
        return self._ending

    def _refused(self, problem: Problem) -> None:
        sentence, next_step = words(problem)
        self._say(sentence, next_step, TROUBLE)

    def _bug(self, about: str) -> None:
        sentence, next_step = words(Problem(code=FaultCode.BUG, about=about))
        self._say(sentence, next_step, TROUBLE)

    def _say(self, title: str, text: str, kind: tuple[str, str], *buttons: Button) -> None:
        banner = Callout(*buttons)
        close = Button(_("Close"), kind="small", pressed=banner.deleteLater)
        if not buttons:
            banner.layout().addWidget(close)  # type: ignore[union-attr]
        banner.say(Look(tone=kind[0], icon=kind[1], word=""), title, text)
        self.window.add_banner(banner)
