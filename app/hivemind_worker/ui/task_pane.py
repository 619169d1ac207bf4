"""The details of one task: what went wrong, its log as it grows, its limits, what happened to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QSize
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QCheckBox, QLineEdit, QStackedWidget, QTabBar, QWidget

from hivemind_worker.model.history import StoryLine
from hivemind_worker.model.settings import Settings
from hivemind_worker.model.task import Task
from hivemind_worker.nursery import NamedThread
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.fault_details import task_told
from hivemind_worker.presentation.graphs import Graph
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.moments import when
from hivemind_worker.presentation.page_tasks import hold_label, task_look
from hivemind_worker.presentation.plain_text import shown_line
from hivemind_worker.presentation.story import story_report
from hivemind_worker.presentation.task_columns import Facts, can_stop, use_rows
from hivemind_worker.presentation.task_details import about, limits, outcome, permissions, trouble
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.fault_details import show_details
from hivemind_worker.ui.graphs import GraphView
from hivemind_worker.ui.log_view import Follower, LogView
from hivemind_worker.ui.parts.buttons import ToolButton
from hivemind_worker.ui.parts.flow import flowing
from hivemind_worker.ui.parts.pairs import Pairs
from hivemind_worker.ui.parts.panels import Callout, FactLine, FactRows, box, column, line, row, scrolled
from hivemind_worker.ui.parts.text import Figure, Label, Sentence, Shape
from hivemind_worker.ui.text_file import save_copy
from hivemind_worker.ui.theme import theme

SIDE_PX, WIDE_PX, GRAPH_PX, LOW_PX, LEAST_LINES = 336, 860, 96, 190, 3


class LogPane(QWidget):
    """The log with its tools: search, follow, wrap, copy, save."""

    def __init__(self, bridge: Bridge, thread: NamedThread) -> None:
        super().__init__()
        self.view = LogView(_("Log of the task"))
        self.follower = Follower(bridge, self.view, thread)
        self._path: Path | None = None
        self.search = QLineEdit()
        self.search.setPlaceholderText(_("Search the log"))
        self.search.setAccessibleName(_("Search the log"))
        self.search.setClearButtonEnabled(True)
        self.search.setFixedWidth(round(190 * theme().scale))
        self.hits = Figure("", "small")
        self.follow, self.wrap = QCheckBox(_("Follow")), QCheckBox(_("Wrap"))
        self.follow.setChecked(True)
        self.copy = ToolButton(_("Copy"), "copy", "icon", self._copy)
        self.save = ToolButton(_("Save…"), "download", "icon", self._save)
        edges = (theme().size("gutter"), 5, 8, 5)
        shown = (self.search, self.hits, None, self.follow, self.wrap, self.copy, self.save)
        self.tools, tools = QWidget(), column()
        tools.addLayout(flowing(*shown, margins=edges))
        tools.addWidget(line())
        self.tools.setLayout(tools)
        whole = column()
        whole.addWidget(self.tools)
        whole.addWidget(self.view, 1)
        self.setLayout(whole)
        self.search.textChanged.connect(self.view.look_for)
        self.search.returnPressed.connect(lambda: self.view.step(-1))
        self.view.hits_changed.connect(self._count)
        self.follow.toggled.connect(self.view.set_follow)
        self.view.held.connect(lambda: self.follow.setChecked(False))
        self.wrap.toggled.connect(self.view.set_wrap)

    def show_file(self, path: Path | None, *, grows: bool) -> None:
        """Follow this file."""
        self._path = path
        self.follower.follow(path, grows=grows)

    def _count(self) -> None:
        at, count = self.view.hits()
        wanted = self.search.text()
        self.hits.setText(_("{at} of {count}", at=at, count=count) if wanted else "")

    def _copy(self) -> None:
        chosen = self.view.textCursor().selection().toPlainText() or self.view.toPlainText()
        QGuiApplication.clipboard().setText(chosen)

    def _save(self) -> None:
        if self._path is not None:
            save_copy(self, self._path, "output.log")


class TaskPane(QWidget):
    """Shows one task; `closed` puts it away, `hold` pauses it alone or lets it go on."""

    def __init__(
        self, bridge: Bridge, thread: NamedThread, closed: Callable[[], object],
        hold: Callable[[Sequence[Task]], object],
    ) -> None:  # fmt: skip
        super().__init__()
        self.bridge = bridge
        self.task: Task | None = None
        self._hold = hold
        self.log = LogPane(bridge, thread)
        self._build_head(closed)
        self.callout = Callout()
        self.story = FactRows(left=30, lines=False)
        self.limits, self.outcome, self.may = Pairs(), Pairs(), FactRows(left=16, lines=False)
        self.side = self._made_side()
        self.tabs = QTabBar()
        self.tabs.setAccessibleName(_("Details"))
        self.tabs.setExpanding(False)
        for word in (_("Log"), _("Limits and use"), _("What happened")):
            self.tabs.addTab(word)
        self.pages = QStackedWidget()
        for page in (self.log, self._padded(), scrolled(self._story_page())):
            self.pages.addWidget(page)
        self.tabs.currentChanged.connect(self.pages.setCurrentIndex)
        self.tabs.currentChanged.connect(self.tabs.updateGeometry)  # the word in front is bold: it is wider
        middle = column()
        tab_row = row(margins=(10, 0, 12, 0))
        tab_row.addWidget(self.tabs)
        tab_row.addStretch(1)
        self._tab_row = tab_row
        middle.addLayout(tab_row)
        middle.addWidget(line())
        middle.addWidget(self.pages, 1)
        self._middle = row()
        self._middle.addLayout(middle, 1)
        self._split = line(upright=True)
        self._middle.addWidget(self._split)
        self._middle.addWidget(self.side)
        gutter = theme().size("gutter")
        self._trouble = QWidget()
        padded = column(margins=(gutter, 10, gutter, 2))
        padded.addWidget(self.callout)
        self._trouble.setLayout(padded)
        self._low = False
        whole = column()
        whole.addWidget(self._head)
        whole.addWidget(self._below_head)
        whole.addWidget(self._trouble)
        whole.addLayout(self._middle, 1)
        self.setLayout(whole)

    def _build_head(self, closed: Callable[[], object]) -> None:
        self.shape, self.name, self.about = Shape(), Sentence("", "mono"), Sentence("", "small")
        self.copy_id = ToolButton(_("Copy the task's name"), "copy", "icon", self._copy_name)
        self.hold_button = ToolButton(*hold_label(()), "quiet", self._pressed_hold)
        self.close_button = ToolButton(_("Close the details"), "cross", "icon", closed)
        inner = row(10, margins=(theme().size("gutter"), 4, 12, 4))
        inner.addWidget(self.shape)
        inner.addWidget(self.name, 2)
        inner.addWidget(self.copy_id)
        inner.addWidget(self.about, 3)
        inner.addWidget(self.hold_button)
        inner.addWidget(self.close_button)
        self._head, self._below_head, self._in_head = box("clear", inner), line(), inner

    def _made_side(self) -> QWidget:
        inner = column(6, margins=(16, 12, 16, 12))
        self._use_title, self.graph, self.now = Label(_("CPU of limit"), "section"), GraphView(), Pairs()
        self.graph.setFixedHeight(round(GRAPH_PX * theme().scale))
        for part in (self._use_title, self.graph, self.now):
            inner.addWidget(part)
        inner.addSpacing(8)
        inner.addWidget(Label(_("Limits in force"), "section"))
        inner.addWidget(self.limits)
        inner.addSpacing(8)
        inner.addWidget(Label(_("What it may do"), "section"))
        inner.addWidget(self.may)
        inner.addSpacing(8)
        self._outcome_title = Label(_("What it used and left"), "section")
        inner.addWidget(self._outcome_title)
        inner.addWidget(self.outcome)
        inner.addStretch(1)
        page = QWidget()
        page.setLayout(inner)
        area = scrolled(page)
        area.setFixedWidth(round(SIDE_PX * theme().scale))
        return area

    def _padded(self) -> QWidget:
        self._narrow_side = QWidget()
        self._narrow_side.setLayout(column())
        return self._narrow_side

    def _story_page(self) -> QWidget:
        page = QWidget()
        inner = column(margins=(4, 8, 4, 8))
        inner.addWidget(self.story)
        inner.addStretch(1)
        page.setLayout(inner)
        return page

    # --- what it shows ------------------------------------------------------------------------

    def show_task(self, task: Task, settings: Settings, now_s: float) -> None:
        """Show this task; the same one is only brought up to date."""
        fresh = self.task is None or self.task.key != task.key
        ended_now = self.task is not None and self.task.state is not task.state
        self.task = task
        look = task_look(task)
        self.shape.show_icon(look.icon, f"state-{look.tone}-ink", look.word)
        self.name.setText(shown_line(task.task_id))
        self.about.setText(about(task, now_s))
        self._show_hold(task)
        self.limits.show_rows(limits(task, settings, now_s))
        found = outcome(task, now_s)
        self.outcome.show_rows(found)
        self.may.show_lines([FactLine(look=look, text=text) for look, text in permissions(task, settings)])
        said = trouble(task)
        self._trouble.setVisible(said is not None)
        if said is not None:
            self.callout.say(*said, details=self._show_details)
        if fresh or ended_now:
            self._follow(task)
            self.bridge.query("story", lambda node: node.story(task.key), self._tell)

    def _show_hold(self, task: Task) -> None:
        word, icon_name = hold_label((task,))
        self.hold_button.setVisible(can_stop(task))
        self.hold_button.setText(word)
        self.hold_button.setAccessibleName(word)
        self.hold_button.set_icon(icon_name)

    def show_use(self, graph: Graph, facts: Facts) -> None:
        """What it uses now and used in the last two minutes, while it runs."""
        runs = self.task is not None and not self.task.state.has_ended
        for part in (self._use_title, self.graph, self.now):
            part.setVisible(runs)
        if self.task is not None and runs:
            self.graph.set_graph(graph)
            self.now.show_rows(use_rows(self.task, facts))

    def _show_details(self) -> None:
        told = task_told(self.task, time.time()) if self.task is not None else None
        if told is not None:
            show_details(self, self.bridge, told)

    def _pressed_hold(self) -> None:
        if self.task is not None:
            self._hold((self.task,))

    def _follow(self, task: Task) -> None:
        node = self.bridge.node
        if node is not None:
            self.log.show_file(node.output_log(task.key), grows=not task.state.has_ended)

    def _tell(self, lines: tuple[StoryLine, ...]) -> None:
        task, snapshot = self.task, self.bridge.snapshot
        if task is None or snapshot is None:
            return
        told = story_report(task, lines, snapshot.at_s, "")["lines"]
        assert isinstance(told, list)
        plain = Look(tone="offline", icon="dash", word="")
        self.story.show_lines([
            FactLine(look=plain, text=shown_line(row["sentence"]), right=when(at.at_s, snapshot.at_s))
            for at, row in zip(lines, told, strict=True)
        ])  # fmt: skip

    def put_away(self) -> None:
        """Show no task."""
        self.task = None
        self.log.show_file(None, grows=False)

    def rest(self) -> None:
        """Nobody looks."""
        self.log.follower.stop()

    def wake(self) -> None:
        """Somebody looks again."""
        if self.task is not None:
            self._follow(self.task)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_side(wide=self.width() >= WIDE_PX * theme().scale)
        low = self.height() < LOW_PX * theme().scale
        if low is not self._low:
            self._turn(low=low)

    def minimumSizeHint(self) -> QSize:
        """The tabs and a few lines: the window may be small, and the rest is found by making it higher."""
        lines = LEAST_LINES * self.fontMetrics().lineSpacing()
        return QSize(super().minimumSizeHint().width(), self.tabs.sizeHint().height() + lines)

    def _turn(self, *, low: bool) -> None:
        """Where it is low, its head and the log's tools make room for what they are about."""
        self._low = low
        for part in (self._head, self._below_head, self.log.tools):
            part.setVisible(not low)
        for button in (self.hold_button, self.close_button):
            (self._tab_row if low else self._in_head).addWidget(button)

    def _place_side(self, *, wide: bool) -> None:
        """Beside the log where there is room, else behind a tab."""
        self.tabs.setTabVisible(1, not wide)
        self._split.setVisible(wide)
        narrow = self._narrow_side.layout()
        assert narrow is not None
        if wide and self._middle.indexOf(self.side) < 0:
            self.side.setFixedWidth(round(SIDE_PX * theme().scale))
            self._middle.addWidget(self.side)
        elif not wide and narrow.indexOf(self.side) < 0:
            self.side.setMinimumWidth(0)
            self.side.setMaximumWidth(16_777_215)
            narrow.addWidget(self.side)

    def _copy_name(self) -> None:
        if self.task is not None:
            QGuiApplication.clipboard().setText(self.task.task_id)
