"""A table of ready words: rows of cells, updated in place, copied as text. For up to some thousand rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from hivemind_worker.ui.icons import icon
from hivemind_worker.ui.theme import appearance, theme

Index = QModelIndex | QPersistentModelIndex
LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
WORDS = (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole)
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its words, an icon with the token of its colour, the kind of type, the colour's token.

    `said` is read out and in the tooltip where the icon tells more than the words.
    """

    text: str
    icon: str = ""
    ink: str = "text-2"
    kind: str = "body"
    colour: str = "text"
    said: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its head, whether it holds numbers (right), and whether it takes the room that is left."""

    head: str
    numbers: bool = False
    wide: bool = False


class RowsModel(QAbstractTableModel):
    """The rows; a change of the same number of rows keeps selection and place."""

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__()
        self.columns = tuple(columns)
        self.rows: list[tuple[Cell, ...]] = []

    def show_rows(self, rows: Sequence[tuple[Cell, ...]]) -> None:
        """Show exactly these."""
        if list(rows) == self.rows:
            return
        if len(rows) == len(self.rows):
            self.rows = list(rows)
            self.dataChanged.emit(self.index(0, 0), self.index(len(rows) - 1, len(self.columns) - 1))
            return
        self.beginResetModel()
        self.rows = list(rows)
        self.endResetModel()

    def show_columns(self, columns: Sequence[Column]) -> None:
        """Take other heads; the rows follow."""
        if tuple(columns) != self.columns:
            self.beginResetModel()
            self.columns, self.rows = tuple(columns), []
            self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        cell = self.rows[index.row()][index.column()]
        if role in WORDS:
            return cell.text if role == Qt.ItemDataRole.DisplayRole else cell.said or cell.text
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return RIGHT if self.columns[index.column()].numbers else LEFT
        if role == Qt.ItemDataRole.DecorationRole and cell.icon:
            return icon(cell.icon, cell.ink, theme().icon_px("icon_small"))
        if role == Qt.ItemDataRole.FontRole and cell.kind != "body":
            return theme().font(cell.kind)
        if role == Qt.ItemDataRole.ForegroundRole and cell.colour != "text":
            return theme().colour(cell.colour)
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> object:
        if orientation is Qt.Orientation.Vertical:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self.columns[section].head
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return RIGHT if self.columns[section].numbers else LEFT
        return None


class EdgeDelegate(QStyledItemDelegate):
    """Tells the style sheet which cells are at an edge: their words stand off it as the heads' do."""

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        super().initStyleOption(option, index)
        last = index.column() == index.model().columnCount() - 1
        place = QStyleOptionViewItem.ViewItemPosition
        option.viewItemPosition = (
            place.Beginning if index.column() == 0 else place.End if last else place.Middle
        )


class RowsTable(QTableView):
    """The table. Ctrl+C copies the selected rows; `opened` tells the row of Enter or a double click."""

    opened = Signal(int)

    def __init__(self, columns: Sequence[Column], name: str) -> None:
        super().__init__()
        self.rows_model = RowsModel(columns)
        self.setModel(self.rows_model)
        self.setItemDelegate(EdgeDelegate(self))
        self.setAccessibleName(name)
        self.setProperty("inset", "true")
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.verticalHeader().hide()
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().setMinimumSectionSize(40)
        self.activated.connect(lambda index: self.opened.emit(index.row()))
        appearance().changed.connect(self._restyle)
        self._restyle()

    def show_rows(self, rows: Sequence[tuple[Cell, ...]], columns: Sequence[Column] | None = None) -> None:
        """Show exactly these rows, with other heads when they are given."""
        if columns is not None:
            self.rows_model.show_columns(columns)
        self.rows_model.show_rows(rows)
        self._fit()

    def _restyle(self) -> None:
        self.verticalHeader().setDefaultSectionSize(theme().row())
        self._fit()

    def _fit(self) -> None:
        head = self.horizontalHeader()
        for number, column in enumerate(self.rows_model.columns):
            wide = QHeaderView.ResizeMode.Stretch if column.wide else QHeaderView.ResizeMode.ResizeToContents
            head.setSectionResizeMode(number, wide)

    def fit_height(self, most: int) -> None:
        """Be as high as the rows, at most so many; for a table inside a page that scrolls."""
        shown = min(most, len(self.rows_model.rows))
        head = self.horizontalHeader().sizeHint().height()
        self.setFixedHeight(head + max(1, shown) * self.verticalHeader().defaultSectionSize() + 2)

    def texts(self) -> list[tuple[str, ...]]:
        """What is shown, row by row."""
        return [tuple(cell.text for cell in row) for row in self.rows_model.rows]

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            QGuiApplication.clipboard().setText(self._selected())
            return
        super().keyPressEvent(event)

    def _selected(self) -> str:
        numbers = sorted({index.row() for index in self.selectionModel().selectedRows()})
        return "\n".join("\t".join(cell.text for cell in self.rows_model.rows[n]) for n in numbers)
