"""The frame of the set-up of the pool's network: the steps at the left, and the one that is on."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QDialog, QStackedWidget, QWidget

from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.vpn_setup import STEPS
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.focus_ring import FocusRing
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.panels import scrolled
from hivemind_worker.ui.parts.step import Step
from hivemind_worker.ui.parts.step_list import StepList, framed
from hivemind_worker.ui.theme import theme
from hivemind_worker.ui.vpn_setup.source import Source
from hivemind_worker.ui.vpn_setup.steps import Connect, Finished, Permission, ReviewStep

SIZE = (1000, 690)


class VpnSetup(QDialog):
    """Leads through the five steps; `finished` comes when the last one is done or the window is closed."""

    def __init__(self, bridge: Bridge, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(_("The pool's network"))
        self.setAccessibleName(self.windowTitle())
        self.resize(*(round(length * min(1.2, theme().scale)) for length in SIZE))
        self.source = Source(bridge)
        self.review = ReviewStep(bridge, self.source)
        self.permission = Permission(bridge, self.review)
        self.connecting = Connect(bridge, self.permission)
        self.done_step = Finished(bridge)
        self.steps: list[Step] = [self.source, self.review, self.permission, self.connecting, self.done_step]
        self.pages = QStackedWidget()
        self.list = StepList(STEPS, self.windowTitle())
        for step in self.steps:
            self.pages.addWidget(scrolled(step))
            step.changed.connect(self._show_buttons)
            step.passed.connect(self._forward)
        self._build()
        self.ring = FocusRing(self)
        self.go(0)

    def _build(self) -> None:
        self.close_it = Button(_("Close"), kind="quiet", pressed=self.reject)
        self.back = Button(_("Back"), pressed=lambda: self.go(self.number - 1))
        self.next = Button(_("Next"), kind="primary", pressed=self._next)
        self.next.setDefault(True)
        self.setLayout(framed(self.list, self.pages, self.close_it, (self.back, self.next)))

    @property
    def number(self) -> int:
        """The step that is shown, from 0."""
        return self.pages.currentIndex()

    def go(self, number: int) -> None:
        """Show a step."""
        self.pages.setCurrentIndex(number)
        self.list.take(number)
        self.steps[number].opened()
        self._show_buttons()
        first = self.source.paste if number == 0 else self.next
        first.setFocus()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.list.fit(event.size().width())

    def _show_buttons(self) -> None:
        step = self.steps[self.number]
        self.next.set_text(step.next_words())
        was_ready, ready = self.next.isEnabled(), step.ready()
        self.next.setEnabled(ready)
        self.back.setVisible(0 < self.number < len(self.steps) - 1)
        if ready and not was_ready and self.number:  # what was waited for has come: Enter goes on
            self.next.setFocus()

    def _next(self) -> None:
        if self.steps[self.number].take():
            self._forward()

    def _forward(self) -> None:
        if self.number == len(self.steps) - 1:
            self.accept()
        else:
            self.go(self.number + 1)
