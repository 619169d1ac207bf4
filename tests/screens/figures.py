"""Where a window shows figures and words of state: every label, cell, menu line, and what a drawing says.

A *place* is a widget, or a column of a table; it holds a figure when its words have a digit in them, or
when they are others in another scene. Counterpart: test_figures, which has a row for each of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from PySide6.QtCore import QAbstractItemModel
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QTabBar,
    QTableView,
    QTextBrowser,
    QWidget,
)

from hivemind_worker.ui.parts.text import Sentence

Where = tuple[int, str]
"""A widget by its id, and which part of it."""
A_FIGURE = re.compile(r"\d")
MOST_ROWS = 100


def places(root: QWidget) -> Iterator[tuple[Where, str]]:
    """Everything that can be read below a widget, place by place; a column of a table once a cell."""
    for widget in (root, *root.findChildren(QWidget)):
        if widget.isVisible():
            yield from _said_by(widget)


def _said_by(widget: QWidget) -> Iterator[tuple[Where, str]]:
    own = id(widget)
    match widget:
        case Sentence():
            yield (own, "text"), widget.whole()
        case QLabel():
            yield (own, "text"), widget.text()
        case QCheckBox():
            yield (own, "text"), widget.text()
            yield (own, "on"), "on" if widget.isChecked() else "off"
        case QAbstractButton():
            yield (own, "text"), widget.text()
            yield (own, "description"), widget.accessibleDescription()
        case QComboBox():
            yield (own, "text"), widget.currentText()
        case QAbstractSpinBox() | QLineEdit():
            yield (own, "text"), widget.text()
        case QTabBar():
            yield from (((own, f"tab {n}"), widget.tabText(n)) for n in range(widget.count()))
        case QTableView():
            yield from _cells(own, widget)
        case QPlainTextEdit() | QTextBrowser():
            yield (own, "text"), widget.toPlainText()[-400:]
        case _ if "paintEvent" in vars(type(widget)):  # a drawing says in words what it shows
            yield (own, "name"), widget.accessibleName()
            yield (own, "description"), widget.accessibleDescription()


def _cells(own: int, table: QTableView) -> Iterator[tuple[Where, str]]:
    model: QAbstractItemModel = table.model()
    shown = [n for n in range(model.columnCount()) if not table.isColumnHidden(n)]
    for row in range(min(MOST_ROWS, model.rowCount())):
        yield from (((own, f"column {n}"), str(model.index(row, n).data() or "")) for n in shown)


def lines_of(menu: QMenu) -> Iterator[tuple[Where, str]]:
    """The lines of a menu that is not open."""
    for number, action in enumerate(menu.actions()):
        if action.isVisible():
            yield (id(menu), f"line {number}"), f"{action.text()}{' ✓' if action.isChecked() else ''}"
        inner = QAction.menu(action)
        if isinstance(inner, QMenu):
            yield from lines_of(inner)
