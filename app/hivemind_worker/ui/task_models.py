"""Task tables as models: the open ones, changed cell by cell, and the ended ones, fetched page by page.

Rows are told apart by the task's key, so that what is selected stays selected while others come and go.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSortFilterProxyModel, Qt

from hivemind_worker.model.metrics import TaskWindow
from hivemind_worker.model.task import Task, TaskKey
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.page_tasks import task_look
from hivemind_worker.presentation.task_columns import NAME, Column, Facts, states_named
from hivemind_worker.ui.bridge import Bridge

AnyIndex = QModelIndex | QPersistentModelIndex
TASK, ORDER = Qt.ItemDataRole.UserRole, Qt.ItemDataRole.UserRole + 1
PAGE, PAGES_KEPT = 128, 24
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
ROOT = QModelIndex()


class TaskModel(QAbstractTableModel):
    """What both tables share: columns, headings, and what a cell says for the eye and for the ear."""

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__()
        self.columns = tuple(columns)
        self.facts = Facts(now_s=0.0, time_limit_s=0.0)

    def task_at(self, row: int) -> Task | None:
        """The task of a row; None while it is on its way."""
        raise NotImplementedError

    def columnCount(self, parent: AnyIndex = ROOT) -> int:
        return 0 if parent.isValid() else len(self.columns)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation is Qt.Orientation.Vertical:
            return None
        column = self.columns[section]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return _(column.title)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(RIGHT if column.figure else LEFT)
        return None

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role not in _ROLES:
            return None
        column = self.columns[index.column()]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(RIGHT if column.figure else LEFT)
        task = self.task_at(index.row())
        if task is None:
            return "…" if role == Qt.ItemDataRole.DisplayRole else None
        return self._of_task(task, column, role)

    def _of_task(self, task: Task, column: Column, role: int) -> Any:
        match role:
            case Qt.ItemDataRole.UserRole:
                return task
            case Qt.ItemDataRole.ToolTipRole:
                return task.task_id[:200] if column is NAME else None
            case Qt.ItemDataRole.DisplayRole:
                return column.text(task, self.facts)
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{_(column.title)}: {column.text(task, self.facts)}"
        return column.order(task, self.facts)


_ROLES = frozenset({
    int(Qt.ItemDataRole.DisplayRole), int(Qt.ItemDataRole.TextAlignmentRole), int(TASK), int(ORDER),
    int(Qt.ItemDataRole.ToolTipRole), int(Qt.ItemDataRole.AccessibleTextRole),
})  # fmt: skip


class OpenTasks(TaskModel):
    """Tasks that run or are about to: a few. Only what has changed is told to the view."""

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__(columns)
        self._tasks: list[Task] = []
        self._texts: list[tuple[str, ...]] = []

    def rowCount(self, parent: AnyIndex = ROOT) -> int:
        return 0 if parent.isValid() else len(self._tasks)

    def task_at(self, row: int) -> Task | None:
        return self._tasks[row] if 0 <= row < len(self._tasks) else None

    def show_tasks(self, tasks: Sequence[Task], facts: Facts) -> None:
        """Take these: those that have gone are removed, new ones added, changed cells told."""
        self.facts = facts
        wanted = {task.key: task for task in tasks}
        for row in reversed(range(len(self._tasks))):
            if self._tasks[row].key not in wanted:
                self.beginRemoveRows(ROOT, row, row)
                del self._tasks[row], self._texts[row]
                self.endRemoveRows()
        for row, old in enumerate(self._tasks):
            self._replace(row, wanted.pop(old.key))
        if wanted:
            first = len(self._tasks)
            self.beginInsertRows(ROOT, first, first + len(wanted) - 1)
            self._tasks += wanted.values()
            self._texts += [self._cells(task) for task in wanted.values()]
            self.endInsertRows()

    def _replace(self, row: int, task: Task) -> None:
        before, now = self._texts[row], self._cells(task)
        self._tasks[row], self._texts[row] = task, now
        changed = [number for number, text in enumerate(now) if text != before[number]]
        if changed:
            self.dataChanged.emit(self.index(row, changed[0]), self.index(row, changed[-1]))

    def _cells(self, task: Task) -> tuple[str, ...]:
        return tuple(column.text(task, self.facts) for column in self.columns)


class Sorted(QSortFilterProxyModel):
    """The open tasks in the order of a column, those alone whose name or state has the text."""

    def __init__(self, source: OpenTasks) -> None:
        super().__init__()
        self._source = source
        self._text = ""
        self.setSourceModel(source)
        self.setSortRole(ORDER)
        self.setDynamicSortFilter(True)

    def look_for(self, text: str) -> None:
        """Show those with this text."""
        self._text = text.strip().lower()
        self.invalidate()

    def filterAcceptsRow(self, row: int, _parent: AnyIndex) -> bool:
        task = self._source.task_at(row)
        if task is None or not self._text:
            return True
        words = (task.task_id, task.key, task_look(task).word, task.runtime, task.image)
        return any(self._text in word.lower() for word in words)

    def lessThan(self, left: AnyIndex, right: AnyIndex) -> bool:
        mine, other = self._source.data(left, ORDER), self._source.data(right, ORDER)
        return bool(mine < other)


class EndedTasks(TaskModel):
    """Ended tasks by number: only the pages that are looked at are in memory, in the order of their end."""

    @property
    def sorted_by(self) -> int:
        """The one column that they are sorted by."""
        return next(number for number, column in enumerate(self.columns) if column.key == "ended")

    @property
    def order(self) -> Qt.SortOrder:
        """Which end of it comes first."""
        return Qt.SortOrder.AscendingOrder if self._oldest_first else Qt.SortOrder.DescendingOrder

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if role == Qt.ItemDataRole.ToolTipRole and section != self.sorted_by:
            return _("Ended tasks stay in the order of their end.")
        return super().headerData(section, orientation, role)

    def __init__(self, columns: Sequence[Column], bridge: Bridge, name: str = "ended") -> None:
        super().__init__(columns)
        self._bridge, self._name = bridge, name
        self._pages: OrderedDict[int, tuple[Task | None, ...]] = OrderedDict()
        self._wanted: list[int] = []
        self._total = 0
        self._text, self._oldest_first = "", False
        self.told: Callable[[int], None] = lambda _total: None

    def rowCount(self, parent: AnyIndex = ROOT) -> int:
        return 0 if parent.isValid() else self._total

    def task_at(self, row: int) -> Task | None:
        number, inside = divmod(row, PAGE)
        page = self._pages.get(number)
        if page is None:
            self._want(number)
            return None
        self._pages.move_to_end(number)
        return page[inside] if inside < len(page) else None

    def look_for(self, text: str) -> None:
        """Those with this text in their name or in the word of their state."""
        if text.strip() != self._text:
            self._text = text.strip()
            self.read_anew()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """By their end, which is how they are kept; other columns keep the order that is."""
        oldest_first = order is Qt.SortOrder.AscendingOrder
        if self.columns[column].key == "ended" and oldest_first != self._oldest_first:
            self._oldest_first = oldest_first
            self.read_anew()

    def read_anew(self) -> None:
        """Something may have ended: count again, and fetch what is seen."""
        self._wanted = list(reversed(self._pages))[:1] or [0]
        self._fetch(self._wanted[0], renewing=True)

    def _want(self, number: int) -> None:
        if number in self._wanted:
            return
        self._wanted.append(number)
        if len(self._wanted) == 1:
            self._fetch(number)
        else:
            self._wanted = self._wanted[-3:]  # those that were flung past need no fetching

    def _fetch(self, number: int, *, renewing: bool = False) -> None:
        text, oldest_first = self._text, self._oldest_first
        self._bridge.query(
            self._name,
            lambda node: node.ended_window(number * PAGE, PAGE, text, oldest_first, states_named(text)),
            lambda window: self._take(number, window, renewing=renewing),
        )

    def _take(self, number: int, window: TaskWindow, *, renewing: bool) -> None:
        if renewing:
            for other in [kept for kept in self._pages if kept != number]:
                del self._pages[other]
        self._resize(window.total)
        self._pages[number] = window.tasks
        while len(self._pages) > PAGES_KEPT:
            self._pages.popitem(last=False)
        last = min(self._total, (number + 1) * PAGE) - 1
        if last >= number * PAGE:
            self.dataChanged.emit(self.index(number * PAGE, 0), self.index(last, len(self.columns) - 1))
        self.told(self._total)
        self._wanted = [other for other in self._wanted if other != number and other not in self._pages]
        if self._wanted:
            self._fetch(self._wanted[-1])

    def _resize(self, total: int) -> None:
        """Rows come and go at the end: numbers stay what they are, and so does the place of the eye."""
        if total > self._total:
            self.beginInsertRows(ROOT, self._total, total - 1)
            self._total = total
            self.endInsertRows()
        elif total < self._total:
            self.beginRemoveRows(ROOT, total, self._total - 1)
            self._total = total
            self.endRemoveRows()

    def row_of(self, key: TaskKey) -> int | None:
        """The row of a task that is in memory."""
        for number, page in self._pages.items():
            for inside, task in enumerate(page):
                if task is not None and task.key == key:
                    return number * PAGE + inside
        return None
