"""The list of steps at the left of a set-up: done, on, to come."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLayout, QWidget

from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.opening_words import PROGRAM
from hivemind_worker.ui.parts.panels import box, column, row
from hivemind_worker.ui.parts.text import Label, Sentence, Shape
from hivemind_worker.ui.theme import theme

SIDE, NARROW, BESIDE = 220, 60, 660
"""Widths: of the list, of its shapes alone, and of what must have room beside the whole list."""


class StepList(QWidget):
    """The steps: done, on, to come, each by its shape."""

    def __init__(self, steps: Sequence[tuple[str, str]], heading: str) -> None:
        """`steps`: name and note of each; `heading` stands above them."""
        super().__init__()
        self.setProperty("kind", "rail")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName(_("Steps"))
        mark = Shape("app", "text", "icon_grid")
        mark.show_icon("app", "text", PROGRAM)
        self.at = Sentence("", "caption")
        words = column()
        words.addWidget(Sentence(heading, "strong"))
        words.addWidget(self.at)
        self._words = [_holding(words)]
        head = row(12)
        head.addWidget(mark)
        head.addWidget(self._words[0], 1)
        whole = column(16)
        whole.addLayout(head)
        whole.addSpacing(8)
        self._rows: list[tuple[Shape, Label]] = []
        for title, text in steps:
            shape, name = Shape("tray-waiting", "text-2"), Label(_(title))
            line, words = row(14), column()
            words.addWidget(name)
            words.addWidget(Label(_(text), "caption"))
            self._words.append(_holding(words))
            line.addWidget(shape, 0, Qt.AlignmentFlag.AlignTop)
            line.addWidget(self._words[-1], 1)
            whole.addLayout(line)
            self._rows.append((shape, name))
        whole.addStretch(1)
        self._whole, self._narrow = whole, False
        self.setLayout(whole)
        self._turn(narrow=False)

    def fit(self, window_px: int) -> None:
        """Where the window is so narrow that the page would not fit beside it, the shapes stand alone."""
        narrow = window_px < (SIDE + BESIDE) * theme().scale
        if narrow is not self._narrow:
            self._turn(narrow=narrow)

    def _turn(self, *, narrow: bool) -> None:
        self._narrow = narrow
        self.setFixedWidth(round((NARROW if narrow else SIDE) * theme().scale))
        self._whole.setContentsMargins(*((16, 22, 16, 16) if narrow else (24, 22, 16, 16)))
        for words in self._words:
            words.setVisible(not narrow)

    def take(self, number: int) -> None:
        """Show which step is on."""
        self.at.setText(_("Setting up, step {number} of {count}", number=number + 1, count=len(self._rows)))
        for at, (shape, name) in enumerate(self._rows):
            look = ("check", "state-working-ink") if at < number else (
                ("tray-working", "accent-text") if at == number else ("tray-waiting", "text-2")
            )  # fmt: skip
            shape.show_icon(*look, _("done") if at < number else _("now") if at == number else _("to come"))
            name.setProperty("kind", "strong" if at == number else "body")
            name.style().polish(name)


def _holding(layout: QLayout) -> QWidget:
    made = QWidget()
    layout.setContentsMargins(0, 0, 0, 0)
    made.setLayout(layout)
    return made


def framed(steps: StepList, pages: QWidget, leave: QWidget, onward: Sequence[QWidget]) -> QLayout:
    """A set-up's window: its steps at the left, the page of one, and below it the way out and the ways on."""
    foot = row(8, margins=(40, 12, 40, 12))
    foot.addWidget(leave)
    foot.addStretch(1)
    for button in onward:
        foot.addWidget(button)
    right, whole = column(), row()
    right.addWidget(pages, 1)
    right.addWidget(box("action-bar", foot))
    whole.addWidget(steps)
    whole.addLayout(right, 1)
    return whole
