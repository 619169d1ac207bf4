"""Resources: how this computer is used, ours against others, from a minute to a month; and what is lent."""

from __future__ import annotations

import os

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QStackedWidget, QWidget

from hivemind_worker.model.machine import Sample
from hivemind_worker.model.metrics import KEPT, Point
from hivemind_worker.model.resources import CPU_SCORE_PER_CORE
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.presentation.amounts import cores_words
from hivemind_worker.presentation.catalogue import _, mark
from hivemind_worker.presentation.graphs import Graph, Limit, graph, headline, sliced, table_head, table_rows
from hivemind_worker.presentation.moments import day, day_number, when
from hivemind_worker.presentation.ranges import RANGES
from hivemind_worker.presentation.resource_shares import ShareWords, share_words
from hivemind_worker.presentation.task_use import gpu_by_task
from hivemind_worker.ui.bars import ShareBar
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.graphs import GraphView
from hivemind_worker.ui.parts.buttons import Segments, ToolButton
from hivemind_worker.ui.parts.flow import WANTS, Columns, flowing
from hivemind_worker.ui.parts.panels import Panel, box, column, row, scrolled
from hivemind_worker.ui.parts.rows_table import Cell, Column, RowsTable
from hivemind_worker.ui.parts.text import Figure, Label, Sentence
from hivemind_worker.ui.screens import Screen
from hivemind_worker.ui.theme import theme

KINDS = ("cpu", "memory", "gpu", "network", "disk", "temperature")
LENGTHS = (("1m", mark("1 min")), ("1h", mark("1 h")), ("24h", mark("24 h")), ("30d", mark("30 d")))
FRESH_EVERY_S = {"1m": 1, "1h": 10, "24h": 60, "30d": 600}
HEIGHTS = {"cpu": 188, "memory": 124, "gpu": 124, "network": 112, "disk": 112, "temperature": 112}
COMPUTER_CORES = os.cpu_count() or 1
MOST_SHARES = 4
"""Cores, memory, disk, and graphics cards where there are any."""

BAR_GAP = 12
PANEL_PX = 250
"""The room that a graph needs for its figures, beside others."""

IN_TWO_LINES = 0.62
"""The share of a sentence's length that its longer line takes."""


class Legend(QWidget):
    """What the colours of the graphs mean; each differs by more than its colour."""

    MARK, SPACE = 11, 12

    def __init__(self) -> None:
        super().__init__()
        self.parts = (
            ("ours", _("this app's tasks")), ("others", _("everything else")), ("band", _("paused")),
            ("limit", _("lent at most")),
        )  # fmt: skip
        self.setAccessibleName(", ".join(word for _kind, word in self.parts))
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)

    def minimumSizeHint(self) -> QSize:
        """It asks for no room of its own: where there is none it goes."""
        return QSize(0, self.sizeHint().height())

    def sizeHint(self) -> QSize:
        metrics = QFontMetrics(theme().font("caption"))
        width = sum(
            metrics.horizontalAdvance(word) + self.MARK + 7 + self.SPACE for _kind, word in self.parts
        )
        return QSize(width - self.SPACE + 2, metrics.height() + 2)

    def paintEvent(self, _event: QPaintEvent) -> None:
        look, painter, x = theme(), QPainter(self), 0
        painter.setFont(look.font("caption"))
        for kind, word in self.parts:
            y = (self.height() - self.MARK) // 2
            if kind == "limit":
                pen = painter.pen()
                pen.setColor(look.colour("chart-limit"))
                pen.setDashPattern([3, 2])
                painter.setPen(pen)
                painter.drawLine(x, self.height() // 2, x + self.MARK + 3, self.height() // 2)
            else:
                fill = "chart-band" if kind == "band" else f"chart-{kind}-fill"
                painter.setPen(look.colour("chart-band-hatch" if kind == "band" else f"chart-{kind}-line"))
                painter.setBrush(look.colour(fill))
                painter.drawRect(x, y, self.MARK - 1, self.MARK - 1)
                if kind == "band":
                    painter.setBrush(Qt.BrushStyle.BDiagPattern)
                    painter.drawRect(x, y, self.MARK - 1, self.MARK - 1)
            painter.setPen(look.colour("text-2"))
            x += self.MARK + 7
            painter.drawText(x, self.height() - painter.fontMetrics().descent() - 1, word)
            x += painter.fontMetrics().horizontalAdvance(word) + self.SPACE
        painter.end()


class GraphPanel(Panel):
    """One graph with its figures of now, or the same as a table."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.name, self.parts, self.whole = Label("", "strong"), Sentence("", "small"), Figure("", "strong")
        self.parts.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.view = GraphView()
        self.by_task = Sentence("", "small")
        self.by_task.hide()
        self.table = RowsTable((), "")
        self._graph: Graph | None = None
        self.stack = QStackedWidget()
        self.stack.addWidget(self.view)
        self.stack.addWidget(self.table)
        head = flowing(self.name, self.parts, self.whole, spacing=6)
        inside = column(6, margins=(16, 10, 14, 8))
        inside.addLayout(head)
        inside.addWidget(self.stack, 1)
        inside.addWidget(self.by_task)
        self.body.addLayout(inside)
        self.setMinimumHeight(round(HEIGHTS[kind] * theme().scale))

    def hasHeightForWidth(self) -> bool:
        """Its share of the page is its own: where its figures take two lines the graph is that much lower."""
        return False

    def show_graph(self, shown: Graph, title: str) -> None:
        """Show another picture, or its table."""
        self._graph = shown
        self.name.setText(title)
        parts, whole = headline(shown)
        self.parts.setText(f"{parts} ·" if parts and whole else parts)
        self.parts.setProperty(WANTS, self.parts.sizeHint().width() // 2 + 20)
        self.whole.setText(whole)
        self.view.set_graph(shown)
        self.table.setAccessibleName(title)
        if self.stack.currentWidget() is self.table:
            self._fill(shown)

    def show_tasks(self, text: str) -> None:
        """What each task takes of it, below the picture; "" where that is not asked."""
        self.by_task.setText(text)
        self.by_task.setVisible(bool(text))

    def as_table(self, wanted: bool) -> None:
        """Change between picture and table."""
        if wanted and self._graph is not None:
            self._fill(self._graph)
        self.stack.setCurrentWidget(self.table if wanted else self.view)

    def _fill(self, shown: Graph) -> None:
        head = table_head(shown)
        columns = [
            Column(word, numbers=0 < number < len(head) - 1, wide=number == len(head) - 1)
            for number, word in enumerate(head)
        ]
        rows = []
        for found in table_rows(shown):
            total = (Cell(found.total),) if shown.stacked else ()
            values = tuple(Cell(value) for _role, _name, value in found.rows)
            rows.append((Cell(when(found.at_s, shown.end_s)), *values, *total, Cell(found.note)))
        self.table.show_rows(rows, columns)


class SharePart(QWidget):
    """What of one thing is lent, how much of that tasks hold, and what stays the owner's."""

    def __init__(self) -> None:
        super().__init__()
        self.name, self.lent, self.bar = Label("", "section"), Figure(""), ShareBar()
        self.note = Figure("", "caption")
        head = row(8)
        head.addWidget(self.name)
        head.addStretch(1)
        head.addWidget(self.lent)
        inside = column(6, margins=(16, 10, 16, 10))
        inside.addLayout(head)
        inside.addWidget(self.bar)
        inside.addWidget(self.note)
        self.setLayout(inside)

    def show_words(self, words: ShareWords) -> None:
        """Show these."""
        self.name.setText(words.name)
        self.lent.setText(words.text)
        self.note.setText(words.note)
        self.bar.show_share(words.taken, words.lent, f"{words.name}: {words.text}, {words.note}")


class Resources(Screen):
    """The graphs. Points come from the kept history, so they survive a restart."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self.length = "1h"
        self._points: tuple[Point, ...] = ()
        self._asked_s = 0.0
        self._is_open = False
        self.lengths = Segments([(key, _(word)) for key, word in LENGTHS], _("How far back"))
        self.lengths.choose(self.length)
        self.lengths.chosen.connect(self.choose)
        self._range, self.shown_range = "", Sentence("", "small")
        self.table_button = ToolButton(_("As table"), "table", "")
        self.table_button.setCheckable(True)
        self.table_button.toggled.connect(self._as_table)
        self.shares = [SharePart() for _number in range(MOST_SHARES)]
        self.panels = {kind: GraphPanel(kind) for kind in KINDS}
        self._lay_out()
        bridge.sample_changed.connect(self._sampled)

    def _lay_out(self) -> None:
        gutter = theme().size("gutter")
        bar = row(BAR_GAP, margins=(gutter, 9, gutter, 9))
        bar.addWidget(self.lengths)
        bar.addWidget(self.shown_range, 1)
        self.legend = Legend()
        bar.addWidget(self.legend)
        bar.addWidget(self.table_button)
        self.shares_panel = Columns(*self.shares)
        self.shares_panel.show_part(self.shares[-1], False)  # until a card is seen
        grid = QGridLayout()
        grid.setSpacing(12)
        for number in range(6):
            grid.setColumnStretch(number, 1)
        self.grid = grid
        inside = column(12, margins=(gutter, 12, gutter, 12))
        inside.addWidget(self.shares_panel)
        inside.addLayout(grid, 1)
        page = QWidget()
        page.setLayout(inside)
        for panel in self.panels.values():
            panel.setParent(page)
        whole = column()
        whole.addWidget(box("bar", bar))
        whole.addWidget(scrolled(page), 1)
        self.setLayout(whole)
        self._placed: tuple[bool, bool, bool] | None = None
        self._place(has_gpu=False, has_heat=False)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._make_room()
        if self._placed is not None:
            self._place(has_gpu=self._placed[0], has_heat=self._placed[1])

    def _make_room(self) -> None:
        """In a narrow window the range goes first, as the axes say it as well; then the legend."""
        room = self.width() - 2 * theme().size("gutter") - 3 * BAR_GAP
        room -= sum(part.sizeHint().width() for part in (self.lengths, self.table_button))
        legend = self.legend.sizeHint().width()
        self.legend.setVisible(legend <= room)
        words = self.shown_range.fontMetrics().horizontalAdvance(self._range)
        has_room = words * IN_TWO_LINES <= (room - legend if legend <= room else room)
        self.shown_range.setText(self._range if has_room else "")

    def _place(self, *, has_gpu: bool, has_heat: bool) -> None:
        """What this computer does not have leaves its place to the others; beside one another with room."""
        narrow = self.width() < 3 * PANEL_PX * theme().scale
        if (has_gpu, has_heat, narrow) == self._placed:
            return
        self._placed = (has_gpu, has_heat, narrow)
        for panel in self.panels.values():
            self.grid.removeWidget(panel)
        there = ["cpu", "memory", *(["gpu"] if has_gpu else []), "network", "disk"]
        there += ["temperature"] if has_heat else []
        for kind, panel in self.panels.items():
            panel.setVisible(kind in there)
        if narrow:
            for number, kind in enumerate(there):
                self.grid.addWidget(self.panels[kind], number, 0, 1, 6)
                self.grid.setRowStretch(number, HEIGHTS[kind])
            return
        self.grid.addWidget(self.panels["cpu"], 0, 0, 1, 6)
        self.grid.addWidget(self.panels["memory"], 1, 0, 1, 3 if has_gpu else 6)
        if has_gpu:
            self.grid.addWidget(self.panels["gpu"], 1, 3, 1, 3)
        last = ["network", "disk", *(["temperature"] if has_heat else [])]
        for number, kind in enumerate(last):
            self.grid.addWidget(self.panels[kind], 2, number * 6 // len(last), 1, 6 // len(last))
        for line, stretch in enumerate((5, 3, 3, 0, 0, 0)):
            self.grid.setRowStretch(line, stretch)

    # --- what is asked ------------------------------------------------------------------------

    def opened(self) -> None:
        self._is_open = True
        self._ask()

    def closed(self) -> None:
        self._is_open = False

    def choose(self, length: str) -> None:
        """Look so far back."""
        self.length = length
        self.lengths.choose(length)
        self._ask()

    def _ask(self) -> None:
        snapshot = self.bridge.snapshot
        if snapshot is None:
            return
        span, now_s = RANGES[self.length], snapshot.at_s
        self._asked_s = now_s
        self.bridge.query(
            "graphs", lambda node: node.history(span.step, now_s - span.length_s, KEPT[span.step]), self._got
        )

    def _got(self, points: tuple[Point, ...]) -> None:
        self._points = points
        self._draw()

    def _sampled(self, _sample: Sample) -> None:
        snapshot = self.bridge.snapshot
        if self._is_open and snapshot is not None:
            if snapshot.at_s - self._asked_s >= FRESH_EVERY_S[self.length] - 0.5:
                self._ask()
            self._show_shares(snapshot)

    # --- what is shown ------------------------------------------------------------------------

    def render_picture(self, snapshot: Snapshot) -> None:
        self._show_shares(snapshot)
        node = self.bridge.node
        uses = {} if node is None else {
            task.key: figures for task in snapshot.tasks
            if task.demand.gpu and (figures := node.task_figures(task)) is not None
        }  # fmt: skip
        self.panels["gpu"].show_tasks(gpu_by_task(snapshot, uses))

    def _draw(self) -> None:
        snapshot, sample = self.bridge.snapshot, self.bridge.sample
        if snapshot is None:
            return
        memory_gb = sample.memory_total_gb if sample is not None else 0.0
        cut = sliced(self._points, RANGES[self.length], self._asked_s)
        made = {
            kind: graph(cut, kind, scale=memory_gb or 1.0, limit=limit_of(kind, snapshot)) for kind in KINDS
        }
        there = (not made["gpu"].is_empty, not made["temperature"].is_empty)
        if self._placed is None or there != self._placed[:2]:
            self._place(has_gpu=there[0], has_heat=there[1])
        for kind, shown in made.items():
            if not self.panels[kind].isHidden():
                self.panels[kind].show_graph(shown, _title(kind, shown, memory_gb, sample))
        self._range = _range_words(made["cpu"])
        self._make_room()

    def _show_shares(self, snapshot: Snapshot) -> None:
        node, sample = self.bridge.node, self.bridge.sample
        if node is None or sample is None:
            return
        found = share_words(snapshot, sample, node.settings, COMPUTER_CORES)
        for number, part in enumerate(self.shares):
            self.shares_panel.show_part(part, number < len(found))
            if number < len(found):
                part.show_words(found[number])

    def _as_table(self, wanted: bool) -> None:
        for panel in self.panels.values():
            panel.as_table(wanted)


def limit_of(kind: str, snapshot: Snapshot) -> Limit | None:
    """The line of what is lent at most."""
    if kind == "cpu":
        cores = snapshot.total.cpu / CPU_SCORE_PER_CORE
        name = _("lent to tasks: {cores}", cores=cores_words(cores))
        return Limit(value=min(100.0, 100 * cores / COMPUTER_CORES), name=name)
    if kind == "memory":
        name = _("lent: {memory} GiB", memory=f"{snapshot.total.memory_gb:g}")
        return Limit(value=snapshot.total.memory_gb, name=name)
    return None


def _title(kind: str, shown: Graph, memory_gb: float, sample: Sample | None) -> str:
    if kind == "cpu":
        return _("CPU, {cores}", cores=cores_words(COMPUTER_CORES))
    if kind == "memory" and memory_gb:
        return _("Memory, {memory} GiB", memory=f"{memory_gb:.1f}")
    if kind == "gpu" and sample is not None and sample.gpus:
        return _("GPU, {name}", name=sample.gpus[0].name)
    return shown.title


def _range_words(shown: Graph) -> str:
    begin, end = when(shown.begin_s, shown.end_s), when(shown.end_s, shown.end_s)
    if day_number(shown.begin_s) == day_number(shown.end_s):
        return _("Today, {begin} to {end}", begin=begin[:5], end=end[:5])
    if shown.end_s - shown.begin_s > 2 * 86_400:
        return _("{begin} to {end}", begin=day(shown.begin_s), end=day(shown.end_s))
    return _("{begin} to {end}", begin=begin, end=end[:5])
