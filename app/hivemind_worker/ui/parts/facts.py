"""Small tables of facts: a name at the left, what is known at the right of it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QWidget

from hivemind_worker.ui.parts.flow import flowing
from hivemind_worker.ui.parts.panels import INSIDE, column
from hivemind_worker.ui.parts.text import Label


class Facts(QWidget):
    """Name and value, row by row; updated in place."""

    def __init__(self, *, kind: str = "body", columns: int = 1) -> None:
        super().__init__()
        self._kind, self._columns = kind, columns
        self._rows: list[tuple[Label, Label]] = []
        self._grid = QGridLayout()
        self._grid.setContentsMargins(INSIDE, 10, INSIDE, 10)
        self._grid.setHorizontalSpacing(18)
        self._grid.setVerticalSpacing(5)
        self._grid.setColumnStretch(1, 1)
        self.setLayout(self._grid)

    def show_facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Show exactly these."""
        while len(self._rows) < len(facts):
            self._add()
        for number, (name, value) in enumerate(self._rows):
            there = number < len(facts)
            name.setVisible(there)
            value.setVisible(there)
            if there:
                name.setText(facts[number][0])
                value.setText(facts[number][1])
                value.setAccessibleName(f"{facts[number][0]}: {facts[number][1]}")

    def _add(self) -> None:
        name, value = Label("", "second"), Label("", self._kind, wrap=True)
        value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        number = len(self._rows)
        self._grid.addWidget(name, number, 0, Qt.AlignmentFlag.AlignTop)
        self._grid.addWidget(value, number, 1)
        self._rows.append((name, value))


class FactColumns(QWidget):
    """Facts side by side: the name above, the value in bold below."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._parts = [(Label("", "caption"), Label("", "strong")) for _number in range(count)]
        columns = []
        for name, value in self._parts:
            both, one = column(1), QWidget()
            both.addWidget(name)
            both.addWidget(value)
            one.setLayout(both)
            columns.append(one)
        self.setLayout(flowing(*columns, spacing=18))

    def show_facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Show these, one a column."""
        for (name, value), (said, known) in zip(self._parts, facts, strict=True):
            name.setText(said)
            value.setText(known)
            value.setAccessibleName(f"{said}: {known}")
