"""Names and values below one another."""

from __future__ import annotations

from PySide6.QtWidgets import QGridLayout, QWidget

from hivemind_worker.ui.parts.text import Label, Sentence


class Pairs(QWidget):
    """Names and values in two columns, filled anew in place."""

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(3)
        self._grid.setColumnStretch(1, 1)
        self._rows: list[tuple[Label, Sentence]] = []
        self.setLayout(self._grid)

    def show_rows(self, rows: tuple[tuple[str, str], ...]) -> None:
        """Show exactly these."""
        while len(self._rows) < len(rows):
            made = (Label("", "second"), Sentence())
            for number, widget in enumerate(made):
                self._grid.addWidget(widget, len(self._rows), number)
            self._rows.append(made)
        for number, (name, text) in enumerate(self._rows):
            there = number < len(rows)
            name.setVisible(there)
            text.setVisible(there)
            if there:
                name.setText(rows[number][0])
                text.setText(rows[number][1])

    def shown(self) -> tuple[tuple[str, str], ...]:
        """The rows that are shown."""
        return tuple((name.text(), text.whole()) for name, text in self._rows if not name.isHidden())
