"""The frame of the first run: the steps at the left, the one that is on, and where to go from it.

How far one got is remembered, so that a closed window goes on where it was; skipping leaves every
setting at its default, which lends something: nobody ends at nothing by accident.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QDialog, QStackedWidget, QWidget

from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.opening_words import PROGRAM
from hivemind_worker.presentation.setup_words import STEPS
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.focus_ring import FocusRing
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.panels import scrolled
from hivemind_worker.ui.parts.step import Step
from hivemind_worker.ui.parts.step_list import StepList, framed
from hivemind_worker.ui.setup.how_much import HowMuch
from hivemind_worker.ui.setup.steps import Join, ThisComputer, Welcome
from hivemind_worker.ui.setup.trial import Trial
from hivemind_worker.ui.theme import theme

STEP, DONE = "setup/step", "setup/done"
SIZE = (1000, 690)


class SetupWindow(QDialog):
    """Leads through the five steps; `finished` comes when the last one is done or all was skipped."""

    def __init__(self, bridge: Bridge, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.bridge, self.memory = bridge, bridge.memory
        self.setWindowTitle(_("Setting up {program}", program=PROGRAM))
        self.setAccessibleName(self.windowTitle())
        self.resize(*(round(length * min(1.2, theme().scale)) for length in SIZE))
        self.join = Join(bridge)
        self.trial = Trial(bridge)
        first = (Welcome(bridge), ThisComputer(bridge), HowMuch(bridge))
        self.steps: list[Step] = [*first, self.join, self.trial]
        self.pages, self.list = QStackedWidget(), StepList(STEPS, PROGRAM)
        for step in self.steps:
            self.pages.addWidget(scrolled(step))
            step.changed.connect(self._show_buttons)
            step.passed.connect(self._forward)
        self._build()
        self.ring = FocusRing(self)
        self.go(int(str(self.memory.value(STEP, 0))))

    def _build(self) -> None:
        self.skip = Button(_("Skip setting up"), kind="quiet", pressed=self._skip)
        self.back = Button(_("Back"), pressed=self._back)
        self.next = Button(_("Next"), kind="primary", pressed=self._next)
        self.next.setDefault(True)
        self.setLayout(framed(self.list, self.pages, self.skip, (self.back, self.next)))

    # --- from step to step --------------------------------------------------------------------

    def go(self, number: int) -> None:
        """Show a step, and remember that."""
        number = min(max(0, number), len(self.steps) - 1)
        self.pages.setCurrentIndex(number)
        self.memory.setValue(STEP, number)
        self.list.take(number)
        self.trial.keep_demo = self.join.demo.isChecked()
        self.steps[number].opened()
        self._show_buttons()
        self.next.setFocus()

    @property
    def number(self) -> int:
        """The step that is shown, from 0."""
        return self.pages.currentIndex()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.list.fit(event.size().width())

    def _show_buttons(self) -> None:
        step = self.steps[self.number]
        self.next.set_text(step.next_words())
        self.next.setEnabled(step.ready())
        self.skip.setVisible(self.number < len(self.steps) - 1 or not step.ready())
        self.back.setVisible(self.number > 0)
        self.back.setEnabled(step.ready())
        if step.ready() and self.focusWidget() is None:
            self.next.setFocus()

    def _next(self) -> None:
        if self.steps[self.number].take():
            self._forward()

    def _forward(self) -> None:
        if self.number == len(self.steps) - 1:
            self._skip()
        else:
            self.go(self.number + 1)

    def _back(self) -> None:
        self.go(self.number - 1)

    def _skip(self) -> None:
        self.memory.setValue(DONE, True)
        self.accept()


def show_setup(
    bridge: Bridge, parent: QWidget | None, done: Callable[[], object] = lambda: None
) -> SetupWindow:
    """Open the first run where it was left."""
    window = SetupWindow(bridge, parent)
    window.finished.connect(lambda _code: done())
    window.open()
    window.raise_()
    window.activateWindow()
    return window
