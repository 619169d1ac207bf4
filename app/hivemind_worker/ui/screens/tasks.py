"""Tasks: those that run, wait and have ended; what can be done with them; the details of one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence

from PySide6.QtCore import QPoint, QSettings, Qt, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QLineEdit, QMenu, QStackedWidget, QTabBar, QWidget

from hivemind_worker.model.events import StopAsked, TaskPauseAsked
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.model.task import Problem, StopReason, Task, TaskState
from hivemind_worker.nursery import NamedThread
from hivemind_worker.presentation.catalogue import _, translate_many
from hivemind_worker.presentation.faults import words
from hivemind_worker.presentation.health import unended
from hivemind_worker.presentation.page_tasks import hold_label
from hivemind_worker.presentation.page_words import cores_of
from hivemind_worker.presentation.rows import v1_task
from hivemind_worker.presentation.task_columns import (
    ENDED,
    OPEN,
    Facts,
    as_tsv,
    can_pause,
    can_resume,
    can_stop,
    is_waiting,
)  # fmt: skip
from hivemind_worker.presentation.task_use import TaskUse
from hivemind_worker.presentation.window_words import nothing_here, stop_loss, stop_question
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.dialogs import Choice, Question
from hivemind_worker.ui.icons import icon
from hivemind_worker.ui.parts.action_bar import ActionBar
from hivemind_worker.ui.parts.buttons import Button, ToolButton
from hivemind_worker.ui.parts.divided import Divided
from hivemind_worker.ui.parts.panels import box, column, row
from hivemind_worker.ui.parts.text import Label, Sentence
from hivemind_worker.ui.receipt_view import ReceiptView
from hivemind_worker.ui.screens import Screen
from hivemind_worker.ui.task_models import EndedTasks, OpenTasks, Sorted
from hivemind_worker.ui.task_pane import TaskPane
from hivemind_worker.ui.task_table import TaskTable
from hivemind_worker.ui.text_file import save_copy
from hivemind_worker.ui.theme import theme

RUNNING, WAITING, FINISHED = 0, 1, 2
FEW_ROWS, LOW_PX, TABLE_PART = 3, 400, 0.45
"""Rows that the details leave to the table, below which height one less, and its part of the height."""
HOUR_S = 3600


class Tasks(Screen):
    """Three tables behind tabs, one bar of actions, one pane of details."""

    def __init__(self, bridge: Bridge, memory: QSettings | None = None) -> None:
        super().__init__(bridge)
        self._memory = memory or bridge.memory
        self._thread = NamedThread("window-files")
        self._unended: frozenset[str] = frozenset()
        self._question: Question | None = None
        self._receipt: ReceiptView | None = None
        self.running, self.waiting = OpenTasks(OPEN), OpenTasks(OPEN)
        self.ended = EndedTasks(ENDED, bridge)
        self.sorted = Sorted(self.running), Sorted(self.waiting)
        self.tables = (
            TaskTable(self.running, self.sorted[0], self._memory, "running"),
            TaskTable(self.waiting, self.sorted[1], self._memory, "waiting"),
            TaskTable(self.ended, self.ended, self._memory, "ended"),
        )
        self.tables[FINISHED].sortByColumn(3, Qt.SortOrder.DescendingOrder)
        for table in self.tables[:FINISHED]:
            table.sortByColumn(3, Qt.SortOrder.DescendingOrder)
        self.stack, self.use = QStackedWidget(), TaskUse()
        self.pane = TaskPane(bridge, self._thread, self.close_pane, self._hold)
        self.empty = _Empty()
        self._build()
        for table in self.tables:
            self._connect(table)
        self.ended.told = self._ended_told
        self.pane.hide()
        self.destroyed.connect(lambda *_gone, thread=self._thread: thread.close(wait=False))

    def _connect(self, table: TaskTable) -> None:
        table.chosen.connect(self._chosen)
        table.opened.connect(self.open_pane)
        table.hold.connect(self.hold)
        table.stop.connect(self.ask_to_stop)
        table.copy.connect(self.copy_rows)
        table.customContextMenuRequested.connect(lambda at, table=table: self._menu(table, at))

    # --- made of ------------------------------------------------------------------------------

    def _build(self) -> None:
        gutter = theme().size("gutter")
        self.tabs = QTabBar()
        self.tabs.setAccessibleName(_("Which tasks"))
        self.tabs.setExpanding(False)
        self._tab_words = (_("Running"), _("Waiting"), _("Finished"))
        for word in self._tab_words:
            self.tabs.addTab(word)
        self.filter = QLineEdit()
        self._say_what_is_looked_for(0)
        self.filter.setAccessibleName(_("Show only tasks with this text"))
        self.filter.setClearButtonEnabled(True)
        self.filter.setMaximumWidth(round(216 * theme().scale))
        self.columns = Button(_("Columns"), "columns", pressed=self._choose_columns)
        top = row(8, margins=(10, 5, gutter, 5))
        top.addWidget(self.tabs)
        top.addStretch(1)
        top.addWidget(self.filter, 2)
        top.addWidget(self.columns)
        pages = column()
        for table in self.tables:
            self.stack.addWidget(table)
        self.body = QStackedWidget()
        self.body.addWidget(self.stack)
        self.body.addWidget(self.empty)
        edge = _("Height of the details")
        self.splitter = Divided(self.body, self.pane, edge=edge, memory=self._memory, key="tasks/edge")
        self.selection, self.given = Sentence("", "caption"), Sentence("", "caption")
        self.given.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        foot = row(12, margins=(gutter, 4, gutter, 4))
        foot.addWidget(self.selection, 1)
        foot.addWidget(self.given, 3)
        pages.addWidget(box("bar", top))
        pages.addWidget(self._made_actions())
        pages.addWidget(self.splitter, 1)
        pages.addWidget(box("foot", foot))
        self.setLayout(pages)
        self.tabs.currentChanged.connect(self._tab_changed)
        self.tabs.currentChanged.connect(self.tabs.updateGeometry)  # the word in front is bold: it is wider
        self.filter.textChanged.connect(self._filter)

    def _made_actions(self) -> ActionBar:
        self.buttons = {
            key: ToolButton(word, icon_name, "quiet", pressed)
            for key, word, icon_name, pressed in self._action_table()
        }
        return ActionBar(tuple(self.buttons.values()))

    def _action_table(self) -> tuple[tuple[str, str, str, Callable[[], object]], ...]:
        return (
            ("hold", *hold_label(()), self.hold),
            ("stop", _("Stop…"), "stop", self.ask_to_stop),
            ("details", _("Details"), "logs", self.open_pane),
            ("folder", _("Open folder"), "folder", self.open_folder),
            ("receipt", _("Receipt"), "receipt", self.show_receipt),
            ("result", _("Save result…"), "download", self.save_result),
            ("copy", _("Copy as JSON"), "copy", self.copy_json),
        )

    # --- pictures -----------------------------------------------------------------------------

    def opened(self) -> None:
        self.ended.read_anew()
        self.pane.wake()

    def closed(self) -> None:
        self.pane.rest()
        for table in self.tables:
            table.remember()

    def look_for(self) -> None:
        self.filter.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.filter.selectAll()

    def render_picture(self, snapshot: Snapshot) -> None:
        facts = self._facts(snapshot)
        tasks = unended(snapshot)
        self.running.show_tasks([task for task in tasks if not is_waiting(task)], facts)
        self.waiting.show_tasks([task for task in tasks if is_waiting(task)], facts)
        self.ended.facts = facts
        keys = frozenset(task.key for task in tasks)
        if self._unended - keys:
            self.ended.read_anew()
        self._unended = keys
        self._show_counts()
        self._show_pane(snapshot)
        self._show_actions(snapshot)
        self._show_empty(snapshot)

    def _facts(self, snapshot: Snapshot) -> Facts:
        node = self.bridge.node
        limit_h = node.settings.task_time_limit_h if node is not None else 0.0
        uses = {} if node is None else {
            task.key: figures for task in snapshot.tasks
            if task.state is TaskState.RUNNING and (figures := node.task_figures(task)) is not None
        }  # fmt: skip
        self.use.note(snapshot, uses)
        return Facts(now_s=snapshot.at_s, time_limit_s=limit_h * HOUR_S, uses=uses)

    def _ended_told(self, _total: int) -> None:
        self._show_counts()
        if self.bridge.snapshot is not None:
            self._show_empty(self.bridge.snapshot)
            self._show_pane(self.bridge.snapshot)

    def _show_counts(self) -> None:
        counts = (self.running.rowCount(), self.waiting.rowCount(), self.ended.rowCount())
        for number, (word, count) in enumerate(zip(self._tab_words, counts, strict=True)):
            text = f"{word}  {count:,}" if count else word
            if self.tabs.tabText(number) != text:
                self.tabs.setTabText(number, text)

    def _show_empty(self, snapshot: Snapshot) -> None:
        empty = self.table().model().rowCount() == 0
        self.body.setCurrentWidget(self.empty if empty else self.stack)
        if empty:
            self.empty.say(self.tabs.currentIndex(), bool(self.filter.text()), snapshot)

    def _show_actions(self, snapshot: Snapshot) -> None:
        chosen = self.table().selected()
        word, icon_name = hold_label(chosen)
        hold = self.buttons["hold"]
        hold.setText(word)
        hold.setAccessibleName(word)
        hold.set_icon(icon_name)
        hold.setEnabled(any(can_stop(task) for task in chosen))
        self.buttons["stop"].setEnabled(any(can_stop(task) for task in chosen))
        for key in ("details", "folder"):
            self.buttons[key].setEnabled(len(chosen) == 1)
        self.buttons["copy"].setEnabled(bool(chosen))
        for key in ("result", "receipt"):
            self.buttons[key].setEnabled(len(chosen) == 1 and chosen[0].state.has_ended)
        total = self.table().model().rowCount()
        said = _("{count} of {total} selected", count=f"{len(chosen):,}", total=f"{total:,}")
        self.selection.setText(said)
        taken = snapshot.total.minus(snapshot.available)
        lent = _("Cores {cores} of {all_cores} given · memory {memory} of {all_memory} GiB",
                 cores=cores_of(taken.cpu), all_cores=cores_of(snapshot.total.cpu),
                 memory=f"{taken.memory_gb:g}", all_memory=f"{snapshot.total.memory_gb:g}")  # fmt: skip
        loss = stop_loss(snapshot) if self.tabs.currentIndex() == RUNNING and unended(snapshot) else ""
        self.given.setText(" · ".join(part for part in (loss, lent) if part))

    def _show_pane(self, snapshot: Snapshot) -> None:
        node, shown = self.bridge.node, self.pane.task
        if self.pane.isHidden() or shown is None or node is None:
            return
        task = next((task for task in snapshot.tasks if task.key == shown.key), None)
        if task is None:
            row_number = self.ended.row_of(shown.key)
            task = self.ended.task_at(row_number) if row_number is not None else shown
        self.pane.show_task(task or shown, node.settings, snapshot.at_s)
        self.pane.show_use(self.use.graph(shown.key, snapshot.at_s), self.running.facts)

    # --- what is chosen -----------------------------------------------------------------------

    def table(self) -> TaskTable:
        """The table in front."""
        return self.tables[self.tabs.currentIndex()]

    def _say_what_is_looked_for(self, tab: int) -> None:
        """The many that have ended are looked through by name and state alone."""
        self.filter.setPlaceholderText(_("Task or state") if tab == FINISHED else _("Task, state or image"))

    def _tab_changed(self, number: int) -> None:
        self._say_what_is_looked_for(number)
        self.stack.setCurrentIndex(number)
        self._chosen()

    def _filter(self, text: str) -> None:
        for proxy in self.sorted:
            proxy.look_for(text)
        self.ended.look_for(text)
        self._chosen()

    def _chosen(self) -> None:
        snapshot = self.bridge.snapshot
        if snapshot is None:
            return
        task = self.table().current_task()
        if task is not None and not self.pane.isHidden():
            self._open(task)
        self._show_actions(snapshot)
        self._show_empty(snapshot)

    def open_pane(self) -> None:
        """Show the details of the current task."""
        task = self.table().current_task()
        if task is not None:
            if self.pane.isHidden():
                self.pane.show()
                self._divide()
            self._open(task)

    def _divide(self) -> None:
        """All rows of a short table, of a long one as many as leave the details the larger part."""
        table, half = self.table(), round(self.splitter.height() * TABLE_PART)
        rows = table.model().rowCount()
        self.splitter.divide(max(table.least_height(FEW_ROWS), min(table.least_height(rows + 1), half)))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._keep_rows()

    def _keep_rows(self) -> None:
        """However the edge is moved, a few rows can be seen: in a very low window one less."""
        table = self.tables[RUNNING]
        few = FEW_ROWS if self.height() >= LOW_PX * theme().scale else FEW_ROWS - 1
        self.body.setMinimumHeight(table.least_height(few))

    def _open(self, task: Task) -> None:
        node, snapshot = self.bridge.node, self.bridge.snapshot
        if node is not None and snapshot is not None:
            self.pane.show_task(task, node.settings, snapshot.at_s)
            self.pane.show_use(self.use.graph(task.key, snapshot.at_s), self.running.facts)

    def close_pane(self) -> None:
        """Put the details away."""
        self.pane.put_away()
        self.pane.hide()
        self.table().setFocus()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and not self.pane.isHidden():
            self.close_pane()
        else:
            super().keyPressEvent(event)

    def _choose_columns(self) -> None:
        menu = self.table().column_menu()
        menu.popup(self.columns.mapToGlobal(self.columns.rect().bottomLeft()))

    def _menu(self, table: TaskTable, at: QPoint) -> None:
        if table.selected():
            table.menu_at(at, self._fill_menu)

    def _fill_menu(self, menu: QMenu) -> None:
        for key, usual, usual_icon, pressed in self._action_table():
            held = key == "hold"
            word, icon_name = hold_label(self.table().selected()) if held else (usual, usual_icon)
            if key == "copy":
                menu.addSeparator()
                rows = menu.addAction(_("Copy rows"))
                rows.triggered.connect(lambda _checked=False: self.copy_rows())
            action = menu.addAction(icon(icon_name), word)
            action.setEnabled(self.buttons[key].isEnabled())
            action.triggered.connect(lambda _checked=False, pressed=pressed: pressed())

    # --- what is done -------------------------------------------------------------------------

    def hold(self) -> None:
        """Pause the selected tasks, these alone; where all of them are paused so, let them go on."""
        self._hold(self.table().selected())

    def _hold(self, tasks: Sequence[Task]) -> None:
        pausing = any(can_pause(task) for task in tasks)
        for task in filter(can_pause if pausing else can_resume, tasks):
            self.bridge.ask(TaskPauseAsked(at_s=time.time(), key=task.key, paused=pausing))

    def show_receipt(self) -> None:
        """What ran here, signed."""
        task = self.table().current_task()
        if task is not None:
            self.bridge.query("receipt", lambda node: node.receipt(task.key), self._show_receipt)

    def _show_receipt(self, document: Mapping[str, object] | None) -> None:
        if document is None:
            self.selection.setText(words(Problem(code=FaultCode.NO_RECEIPT))[0])
        elif self._receipt is None:
            self._receipt = ReceiptView(self, document)
            self._receipt.finished.connect(self._forget_receipt)
            self._receipt.open()

    def _forget_receipt(self) -> None:
        self._receipt = None

    def ask_to_stop(self) -> None:
        """Stop the selected tasks, after saying what would be lost."""
        tasks = [task for task in self.table().selected() if can_stop(task)]
        if not tasks or self._question is not None or self.bridge.snapshot is None:
            return
        title, text = stop_question(tasks, self.bridge.snapshot.at_s)
        stop = translate_many("Stop it", "Stop {count}", len(tasks))
        choices = [
            Choice(key="", label=_("Keep running")),
            Choice(key="stop", label=stop, icon="stop", kind="danger"),
        ]
        self._question = Question(self, title, text, choices, lambda key: self._stop(tasks, key))
        self._question.open()

    def _stop(self, tasks: Sequence[Task], key: str) -> None:
        self._question = None
        for task in tasks if key == "stop" else ():
            self.bridge.ask(StopAsked(at_s=time.time(), key=task.key, reason=StopReason.OWNER))

    def open_folder(self) -> None:
        """The task's own folder where it is still there, else the one with its result."""
        task, node = self.table().current_task(), self.bridge.node
        if task is None or node is None:
            return
        own, result = node.output_log(task.key).parent, node.result_archive(task.key)
        found = own if own.is_dir() else result.parent
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(found)))

    def save_result(self) -> None:
        """A copy of what the task has left behind."""
        task, node = self.table().current_task(), self.bridge.node
        if task is None or node is None:
            return
        archive = node.result_archive(task.key)
        if archive.is_file():
            save_copy(self, archive, f"result-{task.key[:8]}.zip")
        else:
            self.selection.setText(_("The result of this task is not kept here any more."))

    def copy_rows(self) -> None:
        """The selected rows as a spreadsheet takes them."""
        table, snapshot = self.table(), self.bridge.snapshot
        if snapshot is not None and (tasks := table.selected()):
            text = as_tsv(table.source.columns, tasks, self._facts(snapshot))
            QGuiApplication.clipboard().setText(text)

    def copy_json(self) -> None:
        """All that is known of the selected tasks, as the API tells it."""
        snapshot, tasks = self.bridge.snapshot, self.table().selected()
        if snapshot is not None and tasks:
            rows = [v1_task(task, snapshot.at_s) for task in tasks]
            QGuiApplication.clipboard().setText(json.dumps(rows if len(rows) > 1 else rows[0], indent=2))


class _Empty(QWidget):
    """No row: why, and what next."""

    def __init__(self) -> None:
        super().__init__()
        self.title, self.text = Label("", "title"), Label("", "second", wrap=True)
        for label in (self.title, self.text):
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        inner = column(4, margins=(40, 0, 40, 0))
        inner.addStretch(2)
        inner.addWidget(self.title)
        inner.addWidget(self.text)
        inner.addStretch(3)
        self.setLayout(inner)

    def say(self, tab: int, filtered: bool, snapshot: Snapshot) -> None:
        """The words for an empty table."""
        title, text = nothing_here(tab, filtered, snapshot)
        self.title.setText(title)
        self.text.setText(text)
