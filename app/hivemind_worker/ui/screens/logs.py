"""Logs: what the worker itself has to say, filtered, searched, held still while new lines wait."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QRect, Qt, QTimer
from PySide6.QtGui import QColor, QGuiApplication, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLineEdit,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from hivemind_worker.model.machine import LogEntry
from hivemind_worker.presentation.catalogue import _, mark, translate_many
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.plain_text import shown_line
from hivemind_worker.presentation.window_words import held_at
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.icons import pixmap
from hivemind_worker.ui.parts.buttons import Button, Segments
from hivemind_worker.ui.parts.flow import flowing
from hivemind_worker.ui.parts.panels import box, column, row
from hivemind_worker.ui.parts.text import Figure, Label, Sentence, Shape
from hivemind_worker.ui.screens import Screen
from hivemind_worker.ui.task_models import AnyIndex
from hivemind_worker.ui.text_file import save_text
from hivemind_worker.ui.theme import appearance, theme

KEPT, LOOK_MS = 5000, 500
SEARCH_PX = 120
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
WORDS = (mark("Debug"), mark("Info"), mark("Warning"), mark("Error"))
LOOKS = {
    "DEBUG": Look(tone="offline", icon="dash", word=mark("debug")),
    "INFO": Look(tone="offline", icon="info", word=mark("info")),
    "WARNING": Look(tone="warning", icon="warning", word=mark("warning")),
    "ERROR": Look(tone="error", icon="cross", word=mark("error")),
    "CRITICAL": Look(tone="error", icon="cross", word=mark("error")),
}
TITLES = (mark("Time"), mark("Level"), mark("Source"), mark("Task"), mark("What happened"))
TIME, LEVEL, SOURCE, TASK, TEXT = range(5)
WIDTHS = {TIME: (20, 30), LEVEL: (11, 16), SOURCE: (11, 16), TASK: (8, 16)}
"""Of each column in digits, and pixels around them."""
QUIET = (TIME, SOURCE, TASK)
KEY_DIGITS, LEAST_TEXT = 8, 40
"""Digits of a task's key that are shown; digits of text below which source and task make room for it."""
ROOT = QModelIndex()
_SELECTED = QStyle.StateFlag.State_Selected


class Lines(QAbstractTableModel):
    """The lines of a level and above; of more than 5,000 the oldest go."""

    def __init__(self) -> None:
        super().__init__()
        self._all: list[LogEntry] = []
        self._shown: list[LogEntry] = []
        self._least = 1

    def rowCount(self, parent: AnyIndex = ROOT) -> int:
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: AnyIndex = ROOT) -> int:
        return 0 if parent.isValid() else len(TITLES)

    def entry(self, number: int) -> LogEntry:
        return self._shown[number]

    @property
    def count(self) -> int:
        """All lines that are kept, of any level."""
        return len(self._all)

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        entry = self._shown[index.row()]
        texts = (
            entry.timestamp, _(LOOKS[entry.level].word), entry.source, entry.task[:KEY_DIGITS],
            shown_line(entry.message),
        )  # fmt: skip
        if role == Qt.ItemDataRole.DisplayRole:
            return texts[index.column()]
        if role == Qt.ItemDataRole.AccessibleTextRole and texts[index.column()]:
            return f"{_(TITLES[index.column()])}: {texts[index.column()]}"
        if role == Qt.ItemDataRole.ToolTipRole and index.column() == TEXT:
            return texts[TEXT]
        if role == Qt.ItemDataRole.ToolTipRole and index.column() == TASK:
            return entry.task
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if role == Qt.ItemDataRole.DisplayRole and orientation is Qt.Orientation.Horizontal:
            return _(TITLES[section])
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        return None

    def add(self, entries: Sequence[LogEntry]) -> None:
        """Newer lines."""
        self._all += entries
        new = [entry for entry in entries if self._passes(entry)]
        if new:
            first = len(self._shown)
            self.beginInsertRows(ROOT, first, first + len(new) - 1)
            self._shown += new
            self.endInsertRows()
        over = len(self._all) - KEPT
        if over > 0:
            self._drop(over)

    def _drop(self, over: int) -> None:
        gone = sum(self._passes(entry) for entry in self._all[:over])
        del self._all[:over]
        if gone:
            self.beginRemoveRows(ROOT, 0, gone - 1)
            del self._shown[:gone]
            self.endRemoveRows()

    def show_level(self, level: str) -> None:
        """This level and those above it."""
        self._least = LEVELS.index(level)
        self.beginResetModel()
        self._shown = [entry for entry in self._all if self._passes(entry)]
        self.endResetModel()

    def _passes(self, entry: LogEntry) -> bool:
        level = entry.level if entry.level in LEVELS else "ERROR"
        return LEVELS.index(level) >= self._least

    def find(self, text: str) -> list[int]:
        """The rows with this text, from this source, or of this task."""
        wanted = text.lower()
        return [
            row for row, entry in enumerate(self._shown)
            if any(wanted in part.lower() for part in (entry.message, entry.source, entry.task))
        ]  # fmt: skip


class LineDelegate(QStyledItemDelegate):
    """Draws a line: the level by shape and word, what was found on its soft ground."""

    def __init__(self, parent: QTableView) -> None:
        super().__init__(parent)
        self.wanted = ""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: AnyIndex) -> None:
        look, box_ = theme(), QRect(option.rect)
        model = index.model()
        assert isinstance(model, Lines)
        kind = LOOKS[model.entry(index.row()).level]
        selected = bool(option.state & _SELECTED)
        if selected:
            painter.fillRect(box_, look.colour("select"))
        inside = box_.adjusted(look.size("gutter") if index.column() == TIME else 8, 0, -8, 0)
        ink = look.colour(f"state-{kind.tone}-ink" if kind.tone != "offline" else "text")
        if index.column() in QUIET or (index.column() == LEVEL and kind.tone == "offline"):
            ink = look.colour("text-2")
        if selected:
            ink = look.colour("on-select")
        if index.column() == LEVEL:
            px = look.icon_px("icon_small") - 3
            name = f"state-{kind.tone}-ink"
            painter.drawPixmap(inside.left(), inside.center().y() - px // 2 + 1, pixmap(kind.icon, name, px))
            inside.adjust(px + 6, 0, 0, 0)
        self._draw_text(painter, inside, str(index.data()), ink, index.column() == TEXT)

    def _draw_text(self, painter: QPainter, inside: QRect, text: str, ink: QColor, searched: bool) -> None:
        painter.setFont(theme().font("mono"))
        metrics = painter.fontMetrics()
        shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, inside.width())
        at = shown.lower().find(self.wanted) if searched and self.wanted else -1
        if at >= 0:
            left = inside.left() + metrics.horizontalAdvance(shown[:at])
            width = metrics.horizontalAdvance(shown[at : at + len(self.wanted)])
            mark_box = QRect(left, inside.top() + 2, width, inside.height() - 4)
            painter.fillRect(mark_box, theme().colour("accent-soft"))
        painter.setPen(ink)
        painter.drawText(inside, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, shown)


class Logs(Screen):
    """The worker's own log."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self.model, self.table = Lines(), QTableView()
        self._last, self._held_at_s = 0, None
        self._waiting: list[LogEntry] = []
        self._hits: list[int] = []
        self._timer = QTimer(self, interval=LOOK_MS)
        self._timer.timeout.connect(self._look)
        self._build_table()
        self._build()
        self._count()

    _held_at_s: float | None

    def _build_table(self) -> None:
        table = self.table
        table.setModel(self.model)
        self.delegate = LineDelegate(table)
        table.setItemDelegate(self.delegate)
        table.setAccessibleName(_("Log of the worker"))
        table.setShowGrid(False)
        table.setTabKeyNavigation(False)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setWordWrap(False)
        table.verticalHeader().hide()
        table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header = table.horizontalHeader()
        header.setStretchLastSection(True)
        header.setHighlightSections(False)
        self._restyle()
        appearance().changed.connect(self._restyle)

    def _restyle(self) -> None:
        digit = self._digit_px()
        self.table.verticalHeader().setDefaultSectionSize(theme().row("table_row") - 6)
        for number, (digits, around_px) in WIDTHS.items():
            self.table.horizontalHeader().resizeSection(number, digits * digit + around_px)
        self._make_room()

    def _digit_px(self) -> int:
        return max(7, self.table.fontMetrics().horizontalAdvance("0"))

    def _make_room(self) -> None:
        """Source and task stand where what happened has room enough beside them."""
        digit = self._digit_px()
        others = sum(digits * digit + around_px for digits, around_px in WIDTHS.values())
        for number in (SOURCE, TASK):
            self.table.setColumnHidden(number, self.width() - others < LEAST_TEXT * digit)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._make_room()

    def _build(self) -> None:
        gutter = theme().size("gutter")
        self.levels = Segments(list(zip(LEVELS, (_(word) for word in WORDS), strict=True)), _("Level"))
        self.levels.choose("INFO")
        self.search = QLineEdit()
        self.search.setPlaceholderText(_("Search"))
        self.search.setAccessibleName(_("Search the log"))
        self.search.setClearButtonEnabled(True)
        self.hits = Figure("", "small")
        self.hold = Button(_("Hold"), "pause")
        self.hold.setCheckable(True)
        self.hold.setToolTip(_("Stand still while new lines wait"))
        copy = Button(_("Copy"), "copy", pressed=self._copy)
        save = Button(_("Save…"), "download", pressed=self._save)
        self.search.setMinimumWidth(round(SEARCH_PX * theme().scale))
        edges = (gutter, 6, gutter, 6)
        tools = flowing(
            self.levels, self.search, self.hits, None, self.hold, copy, save, spacing=8, margins=edges
        )
        self.waiting_words, self._still = Label("", "second"), Label("", "strong")
        pause_shape = Shape("tray-paused", "state-paused-ink")
        held = row(10, margins=(gutter, 5, gutter, 5))
        for widget in (pause_shape, self._still, self.waiting_words):
            held.addWidget(widget)
        held.addStretch(1)
        held.addWidget(
            Button(_("Show new lines"), "chevron-down", "small", lambda: self.hold.setChecked(False))
        )
        self.held = box("action-bar", held)
        self.held.hide()
        self.foot, where = (
            Sentence("", "caption"),
            Sentence(
                _("On disk: worker.log, and up to 10 older files · keys and passwords are never written"),
                "caption",
            ),
        )
        where.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        foot = row(12, margins=(gutter, 4, gutter, 4))
        foot.addWidget(self.foot, 2)
        foot.addWidget(where, 3)
        whole = column()
        whole.addWidget(box("bar", tools))
        whole.addWidget(self.table, 1)
        whole.addWidget(self.held)
        whole.addWidget(box("foot", foot))
        self.setLayout(whole)
        self.levels.chosen.connect(self._level_chosen)
        self.search.textChanged.connect(self._find)
        self.search.returnPressed.connect(self._next)
        self.hold.toggled.connect(self._hold)

    # --- lines come ---------------------------------------------------------------------------

    def opened(self) -> None:
        self._timer.start()
        self._look()

    def closed(self) -> None:
        self._timer.stop()

    def look_for(self) -> None:
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def _look(self) -> None:
        node = self.bridge.node
        entries = node.log_entries(self._last) if node is not None else ()
        if not entries:
            return
        self._last = entries[-1].number
        if self._held_at_s is not None:
            self._waiting = [*self._waiting, *entries][-KEPT:]
            self._say_waiting()
            return
        self._add(entries)

    def _add(self, entries: Sequence[LogEntry]) -> None:
        bar = self.table.verticalScrollBar()
        at_end = bar.value() >= bar.maximum() - 1
        self.model.add(entries)
        if at_end:
            self.table.scrollToBottom()
        self._find(self.search.text())
        self._count()

    def _hold(self, on: bool) -> None:
        self._held_at_s = time.time() if on else None
        self.held.setVisible(on)
        self.hold.set_text(_("Held") if on else _("Hold"))
        if on:
            self._still.setText(held_at(time.time()))
            self._say_waiting()
        elif self._waiting:
            waiting, self._waiting = self._waiting, []
            self._add(waiting)

    def _say_waiting(self) -> None:
        count = len(self._waiting)
        self.waiting_words.setText(
            translate_many(
                "{count} new line waits, none is lost", "{count} new lines wait, none is lost", count
            )
        )

    def _level_chosen(self, level: str) -> None:
        self.model.show_level(level)
        self._find(self.search.text())
        self.table.scrollToBottom()
        self._count()

    def _count(self) -> None:
        said = _("{shown} of {kept} lines shown · times are this computer’s",
                 shown=f"{self.model.rowCount():,}", kept=f"{self.model.count:,}")  # fmt: skip
        self.foot.setText(said)

    # --- looking for something ----------------------------------------------------------------

    def _find(self, text: str) -> None:
        wanted = text.strip().lower()
        self.delegate.wanted = wanted
        self._hits = self.model.find(wanted) if wanted else []
        self.hits.setText(translate_many("{count} line", "{count} lines", len(self._hits)) if wanted else "")
        self.table.viewport().update()

    def _next(self) -> None:
        if not self._hits:
            return
        current = self.table.currentIndex().row()
        earlier = [hit for hit in self._hits if hit < current] or self._hits
        self.table.selectRow(earlier[-1])

    # --- taking lines away --------------------------------------------------------------------

    def _text(self) -> str:
        rows = sorted({index.row() for index in self.table.selectionModel().selectedRows()})
        entries = [self.model.entry(row) for row in rows or range(self.model.rowCount())]
        return "".join(f"[{e.timestamp}] {e.level}: {shown_line(e.message)}\n" for e in entries)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._text())

    def _save(self) -> None:
        save_text(self, self._text(), "worker.log")
