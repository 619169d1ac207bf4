"""A task table on the screen: shape and word of the state, hairlines, columns to choose, rows to copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QEvent, QItemSelection, QObject, QPoint, QRect, QSettings, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from hivemind_worker.model.task import Task
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.page_tasks import RUNTIMES, task_look
from hivemind_worker.ui.icons import pixmap
from hivemind_worker.ui.task_models import TASK, AnyIndex, EndedTasks, TaskModel
from hivemind_worker.ui.theme import appearance, theme

EDGE, PAD, BAR_PX = 20, 8, 54
CHOSEN = "-chosen"
"""Ends the name under which it is kept that the owner has chosen the columns."""
_SELECTED = QStyle.StateFlag.State_Selected


class TaskDelegate(QStyledItemDelegate):
    """Draws a cell: text in the theme's colours, and the shape before a state or a runtime."""

    def __init__(self, model: TaskModel, parent: QObject) -> None:
        super().__init__(parent)
        self._model = model
        self._last: int | None = None
        self._restyle()

    def columns_changed(self, *_told: object) -> None:
        """Columns were moved, hidden or shown: another may be the last."""
        self._last = None

    def _restyle(self) -> None:
        self._body, self._mono = theme().font("body"), theme().font("mono")

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: AnyIndex) -> None:
        look = theme()
        box: QRect = option.rect
        selected = bool(option.state & _SELECTED)
        if selected:
            painter.fillRect(box, look.colour("select"))
        painter.setPen(look.colour("line"))
        painter.drawLine(box.bottomLeft(), box.bottomRight())
        column = self._model.columns[index.column()]
        task: Task | None = index.data(TASK)
        right = EDGE if index.column() == self._last_shown() else PAD
        inside = box.adjusted(EDGE if index.column() == 0 else PAD, 0, -right, -1)
        if task is not None and column.key in ("status", "runtime"):
            inside = self._draw_shape(painter, inside, task, column.key, selected=selected)
        if task is not None and column.share is not None:
            self._draw_share(painter, inside, column.share(task, self._model.facts))
        painter.setFont(self._mono if column.mono else self._body)
        painter.setPen(look.colour("on-select" if selected else "text"))
        text = str(index.data() or "")
        if not column.figure:
            text = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, inside.width())
        flag = Qt.AlignmentFlag.AlignRight if column.figure else Qt.AlignmentFlag.AlignLeft
        painter.drawText(inside, flag | Qt.AlignmentFlag.AlignVCenter, text)

    def _last_shown(self) -> int:
        """The column at the right edge; looked for when the columns have changed, not for each cell."""
        if self._last is None:
            self._last = self._look_for_last()
        return self._last

    def _look_for_last(self) -> int:
        table = self.parent()
        assert isinstance(table, QTableView)
        header = table.horizontalHeader()
        shown = (header.logicalIndex(at) for at in reversed(range(header.count())))
        return next((number for number in shown if not header.isSectionHidden(number)), -1)

    def _draw_share(self, painter: QPainter, inside: QRect, share: float | None) -> None:
        if share is None:
            return
        look = theme()
        bar = QRect(inside.left(), inside.center().y() - 2, min(BAR_PX, inside.width() // 2), 5)
        painter.fillRect(bar, look.colour("line"))
        bar.setWidth(round(bar.width() * min(1.0, share)))
        painter.fillRect(bar, look.colour("accent-edge"))

    def _draw_shape(self, painter: QPainter, inside: QRect, task: Task, key: str, *, selected: bool) -> QRect:
        look, px = theme(), theme().icon_px("icon_small") - 2
        if key == "status":
            state = task_look(task)
            name, ink = state.icon, f"state-{state.tone}-ink"
        else:
            name, ink = RUNTIMES.get(task.runtime, ("", ""))[0], "on-select" if selected else "text-2"
        if not name:
            return inside
        picture = pixmap(name, ink, px, painter.device().devicePixelRatio())
        painter.drawPixmap(inside.left(), inside.center().y() - px // 2 + 1, picture)
        return inside.adjusted(px + look.size("radius_control") + 3, 0, 0, 0)


class TaskTable(QTableView):
    """Selects whole rows; keys act as the shortcuts say. `name` is where its columns are remembered."""

    chosen = Signal()
    """Another row is current, or others are selected."""
    opened = Signal()
    """Enter or a double click: the details are wanted."""
    hold = Signal()
    """Space."""
    stop = Signal()
    """Delete."""
    copy = Signal()
    """Ctrl+C."""

    def __init__(self, model: TaskModel, shown: Any, memory: QSettings, name: str) -> None:
        super().__init__()
        self.source, self._memory = model, memory
        # With their number: what was kept for other columns would show and hide the wrong ones.
        self._key = f"columns/{name}-{len(model.columns)}"
        self._chosen = bool(self._memory.value(self._key + CHOSEN, False, bool))
        self.setModel(shown)
        self.setItemDelegate(TaskDelegate(model, self))
        self.setAccessibleName(_("Tasks"))
        self.setShowGrid(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self._build_header()
        self._restyle()
        appearance().changed.connect(self._restyle)
        self.doubleClicked.connect(lambda _index: self.opened.emit())
        self.selectionModel().selectionChanged.connect(self._selection_changed)
        self.setSortingEnabled(True)
        self.horizontalHeader().sortIndicatorChanged.connect(self._keep_mark)

    def _keep_mark(self, column: int, _order: Qt.SortOrder) -> None:
        """Ended tasks are kept in one order: the mark stays where it is true."""
        if isinstance(self.source, EndedTasks) and column != self.source.sorted_by:
            self.horizontalHeader().setSortIndicator(self.source.sorted_by, self.source.order)

    def _build_header(self) -> None:
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionsMovable(True)
        header.setStretchLastSection(True)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(lambda at: self.column_menu().popup(header.mapToGlobal(at)))
        header.setAccessibleName(_("Columns"))
        kept = self._memory.value(self._key)
        if kept is not None:
            header.restoreState(kept)
        for told in (header.sectionMoved, header.sectionResized, header.sectionCountChanged):
            told.connect(self._delegate().columns_changed)

    def _delegate(self) -> TaskDelegate:
        delegate = self.itemDelegate()
        assert isinstance(delegate, TaskDelegate)
        return delegate

    def _restyle(self) -> None:
        delegate = self._delegate()
        delegate._restyle()
        self.verticalHeader().setDefaultSectionSize(theme().row("table_row"))
        self._fit()
        self.viewport().update()

    def least_height(self, rows: int) -> int:
        """Room for the headings and so many rows."""
        header = self.horizontalHeader().sizeHint().height()
        return header + rows * self.verticalHeader().defaultSectionSize() + 2 * self.frameWidth()

    # --- columns ------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Until the owner has chosen columns, show those of the usual ones that have room."""
        if self._chosen:
            return
        shown = self._those_with_room()
        header = self.horizontalHeader()
        for number in range(len(self.source.columns)):
            header.setSectionHidden(number, number not in shown)
            if number in shown:
                header.resizeSection(number, self._usual_px(number))

    def _those_with_room(self) -> set[int]:
        columns = self.source.columns
        shown = {number for number, column in enumerate(columns) if column.shown}
        while sum(map(self._usual_px, shown)) > self.viewport().width():
            leaving = max(shown, key=lambda number: columns[number].leaves)
            if not columns[leaving].leaves:
                break
            shown.remove(leaving)
        return shown

    def _usual_px(self, number: int) -> int:
        digit = self.fontMetrics().horizontalAdvance("0")
        return self.source.columns[number].chars * digit + 2 * PAD + (EDGE if number == 0 else 4)

    def column_menu(self) -> QMenu:
        """The columns to choose from; the first two always stay. The last entry takes the choice back."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        header = self.horizontalHeader()
        for number, column in enumerate(self.source.columns):
            action = menu.addAction(_(column.title))
            action.setCheckable(True)
            action.setChecked(not header.isSectionHidden(number))
            action.setEnabled(number > 1)
            action.toggled.connect(lambda on, number=number: self._show_column(number, on))
        menu.addSeparator()
        fit = menu.addAction(_("Those that fit the window"))
        fit.setEnabled(self._chosen)
        fit.triggered.connect(lambda _checked=False: self._choose(False))
        return menu

    def _show_column(self, number: int, on: bool) -> None:
        self._choose(True)
        header = self.horizontalHeader()
        header.setSectionHidden(number, not on)
        if on:
            header.resizeSection(number, self._usual_px(number))
        self.remember()

    def _choose(self, chosen: bool) -> None:
        """Whether the columns are the owner's choice from here on."""
        self._chosen = chosen
        self._memory.setValue(self._key + CHOSEN, chosen)
        self._fit()

    def remember(self) -> None:
        """Keep which columns are shown, how wide and in which order."""
        self._memory.setValue(self._key, self.horizontalHeader().saveState())

    # --- rows ---------------------------------------------------------------------------------

    def selected(self) -> list[Task]:
        """The selected tasks from top to bottom; those not fetched yet are left out."""
        rows = sorted(self.selectionModel().selectedRows(), key=lambda index: index.row())
        return [task for index in rows if (task := index.data(TASK)) is not None]

    def current_task(self) -> Task | None:
        """The one that the details are about."""
        index = self.selectionModel().currentIndex()
        if not index.isValid() or not self.selectionModel().isRowSelected(index.row()):
            return None
        found = index.data(TASK)
        return found if isinstance(found, Task) else None

    def _selection_changed(self, _on: QItemSelection, _off: QItemSelection) -> None:
        self.chosen.emit()

    def menu_at(self, at: QPoint, fill: Callable[[QMenu], None]) -> None:
        """A menu about the rows, filled by who knows what can be done with them."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        fill(menu)
        menu.popup(self.viewport().mapToGlobal(at))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        signal = {
            int(Qt.Key.Key_Return): self.opened, int(Qt.Key.Key_Enter): self.opened,
            int(Qt.Key.Key_Space): self.hold, int(Qt.Key.Key_Delete): self.stop,
        }.get(event.key())  # fmt: skip
        if event.key() == Qt.Key.Key_C and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            signal = self.copy
        if signal is None:
            super().keyPressEvent(event)
        else:
            signal.emit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.FontChange:
            self.viewport().update()
