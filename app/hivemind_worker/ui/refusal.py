"""Why something is not taken, in words beside its field, with all that is known of it behind a link."""

from __future__ import annotations

import time

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.fault_details import problem_told
from hivemind_worker.presentation.faults import words
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.fault_details import show_details
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.panels import row
from hivemind_worker.ui.parts.text import Label


class Refusal(QWidget):
    """Hidden while there is nothing to say."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge, self._problem, self._at_s = bridge, None, 0.0
        self.words = Label("", "refused", wrap=True)
        self.details = Button(_("Details"), kind="link", pressed=self._show_details)
        inside = row(8)
        inside.addWidget(self.words, 1)
        inside.addWidget(self.details, 0, Qt.AlignmentFlag.AlignTop)
        self.setLayout(inside)
        self.hide()

    _problem: Problem | None

    def say(self, problem: Problem | None) -> None:
        """Tell a problem in the words that it has everywhere; None takes it back."""
        self._show(" ".join(words(problem)) if problem is not None else "", problem)

    def say_setting(self, name: str, reason: str) -> None:
        """Tell why a value was not even tried; "" takes it back."""
        about = f"{name}: {reason.rstrip('.。')}"
        self._show(reason, Problem(code=FaultCode.BAD_SETTING, about=about) if reason else None)

    def say_words(self, text: str) -> None:
        """Say what is left to do; nothing more is known of it."""
        self._show(text, None)

    def _show(self, text: str, problem: Problem | None) -> None:
        if problem != self._problem:
            self._problem, self._at_s = problem, time.time()
        self.words.setText(text)
        self.setVisible(bool(text))
        self.details.setVisible(problem is not None)

    def text(self) -> str:
        """What is said."""
        return self.words.text()

    def _show_details(self) -> None:
        if self._problem is not None:
            show_details(self, self._bridge, problem_told(self._problem, self._at_s))
