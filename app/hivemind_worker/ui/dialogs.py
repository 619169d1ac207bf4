"""Questions: a window that is opened, never executed, so that everything beside it goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QWidget

from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.panels import box, column, row
from hivemind_worker.ui.parts.text import Label
from hivemind_worker.ui.theme import theme

WIDTH = 460


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One way to answer; `note` says what it means. The first is what Enter takes."""

    key: str
    label: str
    icon: str = ""
    kind: str = ""
    note: str = ""


class Dialog(QDialog):
    """A titled window with content and a row of buttons; deleted when it is closed."""

    def __init__(self, parent: QWidget | None, title: str) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setAccessibleName(title)
        self.setWindowTitle(title)
        self.setMinimumWidth(round(WIDTH * theme().scale))
        self.content = column(8, margins=(20, 18, 20, 16))
        self.foot = row(8, margins=(20, 10, 20, 10))
        self.foot.addStretch(1)
        whole = column()
        whole.addLayout(self.content)
        whole.addWidget(box("action-bar", self.foot))
        self.setLayout(whole)
        self.content.addWidget(Label(title, "title", wrap=True))


class Question(Dialog):
    """Asks; `answered` gets the key of the choice, or "" when the question was put away."""

    def __init__(
        self, parent: QWidget | None, title: str, text: str, choices: Sequence[Choice],
        answered: Callable[[str], object],
    ) -> None:  # fmt: skip
        super().__init__(parent, title)
        self._answered = answered
        self._key = ""
        said = Label(text, "second", wrap=True)
        self.content.addWidget(said)
        self.setAccessibleDescription(text)
        self.buttons: dict[str, Button] = {}
        for choice in choices:
            take = partial(self._take, choice.key)
            button = Button(choice.label, choice.icon, choice.kind, take)
            button.setToolTip(choice.note)
            button.setAccessibleDescription(choice.note)
            self.buttons[choice.key] = button
            self.foot.addWidget(button)
        first = next(iter(self.buttons.values()))
        first.setDefault(True)
        first.setFocus()
        self.finished.connect(lambda _code: self._answered(self._key))

    def _take(self, key: str) -> None:
        self._key = key
        self.accept()
