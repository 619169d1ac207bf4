"""The details of a fault: everything that is known of it, to be read and copied, without what is private."""

from __future__ import annotations

import time

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.fault_details import Told, details_text, problem_told
from hivemind_worker.presentation.faults import words
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.support import Private
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.dialogs import Dialog
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.panels import Callout
from hivemind_worker.ui.parts.text import Label
from hivemind_worker.ui.theme import theme

WARNING = ("warning", "warning")


class FaultDetails(Dialog):
    """Code, moment, cause and cure of one fault."""

    def __init__(self, parent: QWidget | None, text: str) -> None:
        super().__init__(parent, _("Details of the fault"))
        said = _("Keys, names and addresses are removed, so that it can be sent to somebody who helps.")
        self.content.addWidget(Label(said, "second", wrap=True))
        self.text = QPlainTextEdit(text)
        self.text.setReadOnly(True)
        self.text.setProperty("kind", "log")
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName(_("Details of the fault"))
        self.text.setMinimumHeight(round(150 * theme().scale))
        self.content.addWidget(self.text)
        self.foot.addWidget(Button(_("Close"), pressed=self.reject))
        self.copy = Button(_("Copy"), "copy", "primary", self._copy)
        self.foot.addWidget(self.copy)
        self.copy.setDefault(True)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.text.toPlainText())


def show_details(parent: QWidget, bridge: Bridge, told: Told) -> FaultDetails:
    """Open them above the window that told the fault."""
    text, node = details_text(told), bridge.node
    redacted = node.care.redacted(text) if node is not None else Private(words=()).removed_from(text)
    shown = FaultDetails(parent.window(), redacted)
    shown.open()
    return shown


def say_problem(
    callout: Callout, bridge: Bridge, problem: Problem, look: Look | None = None, at_s: float | None = None
) -> None:
    """Tell a problem in a callout, with its details behind a link. `at_s`: when it came, now without."""
    told = problem_told(problem, time.time() if at_s is None else at_s)
    icon = look or Look(tone=WARNING[0], icon=WARNING[1], word=_("trouble"))
    callout.say(icon, *words(problem), details=lambda: show_details(callout, bridge, told))
