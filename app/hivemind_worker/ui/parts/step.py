"""What the steps of a set-up share."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from hivemind_worker.presentation.catalogue import _
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.parts.panels import column
from hivemind_worker.ui.parts.text import Label


class Step(QWidget):
    """One step: a title, a sentence, and what is to be done. `ready` may change while it is shown."""

    changed = Signal()
    """`ready` or `next_words` has changed."""
    passed = Signal()
    """The step is done: go on."""

    def __init__(self, bridge: Bridge, title: str, text: str) -> None:
        super().__init__()
        self.bridge = bridge
        self.title, self.text = Label(title, "headline", wrap=True), Label(text, "second", wrap=True)
        self.body = column(12)
        whole = column(4, margins=(40, 24, 40, 16))
        whole.addWidget(self.title)
        whole.addWidget(self.text)
        whole.addSpacing(12)
        whole.addLayout(self.body)
        whole.addStretch(1)
        self.setLayout(whole)

    def opened(self) -> None:
        """The step is shown."""

    def ready(self) -> bool:
        """Whether one can go on."""
        return True

    def next_words(self) -> str:
        """What the main button says."""
        return _("Next")

    def take(self) -> bool:
        """Next was pressed: do what the step is for. False: `passed` will say when to go on."""
        return True
