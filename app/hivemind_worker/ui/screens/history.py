"""History: what was done by day, pool or image, what it earned and took, how trust came about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QWidget

from hivemind_worker.model.days import day_of
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.model.task import Problem, Task, TaskState
from hivemind_worker.model.worked import WorkHistory
from hivemind_worker.presentation.catalogue import _, mark, translate_many
from hivemind_worker.presentation.ledger import TrustLine, culprits, signed, trust_lines
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.moments import day_number, weekday
from hivemind_worker.presentation.page_words import trust
from hivemind_worker.presentation.work_history import (
    By,
    Days,
    HistoryRow,
    HistoryTable,
    by_words,
    cells,
    csv_text,
    energy_shown,
    energy_sum,
    has_something,
    head,
    history_table,
    name_of,
    report,
    total_name,
)
from hivemind_worker.ui.bars import Bar, DayBars
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.parts.buttons import Button, Segments
from hivemind_worker.ui.parts.flow import Columns, flowing
from hivemind_worker.ui.parts.panels import FactLine, FactRows, Panel, column, fill_page, row
from hivemind_worker.ui.parts.rows_table import Cell, Column, RowsTable
from hivemind_worker.ui.parts.side_by_side import SideBySide
from hivemind_worker.ui.parts.text import Figure, Label
from hivemind_worker.ui.screens import Screen
from hivemind_worker.ui.theme import theme

LENGTHS = (("7", mark("7 days")), ("14", mark("14 days")), ("30", mark("30 days")))
MOST_TASKS = 5000
LEDGER_ROWS = 300
MOST_BARS = 8
"""Of pools or images."""
AGAIN_S = 30.0
"""Running tasks go on using energy."""
RIGHT_PX = 440


class BarsPart(QWidget):
    """A title, its sum at the right, and the lines of the table as bars."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title, self.sum, self.bars = Label(title, "strong"), Figure("", "strong"), DayBars(title)
        self.empty = Label("", "hint", wrap=True)
        head = row(8)
        head.addWidget(self.title)
        head.addStretch(1)
        head.addWidget(self.sum)
        inside = column(8, margins=(16, 10, 16, 8))
        inside.addLayout(head)
        inside.addWidget(self.bars)
        inside.addWidget(self.empty)
        inside.addStretch(1)
        self.setLayout(inside)

    def show_bars(self, bars: Sequence[Bar], total: str, empty: str, every_name: bool) -> None:
        """Show these, or why there is nothing to show."""
        known = any(bar.value for bar in bars)
        self.sum.setText(total if known else "")
        self.bars.show_bars(bars if known else (), every_name)
        self.bars.setVisible(known)
        self.empty.setText("" if known else empty)
        self.empty.setVisible(not known)
        self.bars.setAccessibleDescription(", ".join(f"{bar.name}: {bar.value or 0:g}" for bar in bars))


class History(Screen):
    """Read from what the worker keeps, so it is there after a restart."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self.length, self.by = 14, By.DAY
        self.table: HistoryTable | None = None
        self._ended: tuple[Task, ...] = ()
        self._work: WorkHistory | None = None
        self._asked_s = 0.0
        self.ways = Segments([(by.value, word) for by, word in by_words().items()], _("A line for each"))
        self.ways.chosen.connect(self.choose_by)
        self.lengths = Segments([(key, _(word)) for key, word in LENGTHS], _("How far back"))
        self.lengths.choose(str(self.length))
        self.lengths.chosen.connect(self.choose)
        self.credits, self.energy = BarsPart(_("Credits")), BarsPart(_("Energy"))
        self.lines = RowsTable((), _("History"))
        self.lines.setProperty("kind", "panel")
        self.notes = Label("", "small", wrap=True)
        self.culprits, self.culprit_rows = Panel(_("Whose fault were the failures?")), FactRows(left=40)
        self.culprits.body.addWidget(self.culprit_rows)
        self.score = Label("", "strong", wrap=True)
        self.score.setContentsMargins(16, 8, 16, 8)
        self.ledger_panel = Panel(_("Trust ledger"))
        self.ledger_panel.body.addWidget(self.score)
        self.ledger = RowsTable(_ledger_columns(), _("Trust ledger"))
        self.nothing = Label(_("No task has ended yet."), "hint")
        self.nothing.setContentsMargins(16, 12, 16, 12)
        rule = _("+2 when a task completes, −5 when it fails, 0 when it is stopped.")
        self.rule = Label(rule, "small", wrap=True)
        self.rule.setContentsMargins(16, 10, 16, 10)
        for part in (self.ledger, self.nothing, self.rule):
            self.ledger_panel.body.addWidget(part)
        self.csv = Button(_("Save as CSV…"), "download", pressed=lambda: self._choose_file("csv"))
        self.json = Button(_("Save as JSON…"), pressed=lambda: self._choose_file("json"))
        self._lay_out()

    def _lay_out(self) -> None:
        gutter = theme().size("gutter")
        title = Label(_("History"), "title")
        top = flowing(title, self.ways, self.lengths, None, self.csv, self.json)
        both = SideBySide(right_px=RIGHT_PX, least_left_px=380)
        both.add((self.culprits,), (self.ledger_panel,))
        inside = column(12, margins=(gutter, 12, gutter, gutter))
        inside.addLayout(top)
        inside.addWidget(Columns(self.credits, self.energy))
        inside.addWidget(self.lines)
        inside.addWidget(self.notes)
        inside.addWidget(both)
        fill_page(self, inside)

    # --- what is asked ------------------------------------------------------------------------

    def opened(self) -> None:
        self.bridge.query("history", lambda node: node.ended_tasks(MOST_TASKS), self._got_tasks)
        if (days := self._days()) is not None and self.bridge.snapshot is not None:
            self._asked_s = self.bridge.snapshot.at_s
            self.bridge.query("work", lambda node: node.work_history(days.first, days.last), self._got_work)

    def _days(self) -> Days | None:
        if self.bridge.snapshot is None:
            return None
        today = day_of(self.bridge.snapshot.at_s)
        return Days(today - timedelta(days=self.length - 1), today)

    def choose(self, length: str) -> None:
        """Look so many days back."""
        self.length = int(length)
        self.lengths.choose(length)
        self.opened()

    def choose_by(self, by: str) -> None:
        """Show a line for each of these."""
        self.by = By(by)
        self.ways.choose(by)
        self._draw_work()

    def _got_tasks(self, ended: tuple[Task, ...]) -> None:
        self._ended = ended
        self._draw_trust()

    def _got_work(self, work: WorkHistory) -> None:
        self._work = work
        self._draw_work()

    # --- what is shown ------------------------------------------------------------------------

    def render_picture(self, snapshot: Snapshot) -> None:
        """A task that has ended since is asked for, and what running ones have used; the rest stays."""
        newest = max((task.ended_at_s or 0.0 for task in snapshot.tasks), default=0.0)
        known = max((task.ended_at_s or 0.0 for task in self._ended), default=0.0)
        score = trust(snapshot)
        self.score.setText(f"{score.score}, {score.group} · {score.next_step}")
        self.score.setToolTip(score.against_mark)
        if newest > known or abs(snapshot.at_s - self._asked_s) > AGAIN_S:
            self.opened()

    def _draw_trust(self) -> None:
        snapshot = self.bridge.snapshot
        if snapshot is None:
            return
        since = day_number(snapshot.at_s) - self.length
        ended = [task for task in self._ended if day_number(task.ended_at_s or 0.0) > since]
        found = culprits(ended)
        failures = sum(task.state is TaskState.FAILED for task in ended)
        title = translate_many(
            "Whose fault was the {count} failure?", "Whose fault were the {count} failures?", failures
        )
        self.culprits.title.setText(title)
        self.culprits.setVisible(bool(failures))
        self.culprit_rows.show_lines([
            FactLine(look=Look(tone="offline" if not each.count else "waiting", icon=each.icon, word=""),
                     text=f"{each.name}: {each.detail}", right=f"{each.count} · {signed(each.trust)}")
            for each in found
        ])  # fmt: skip
        lines = trust_lines(self._ended, snapshot.node.trust_score)[:LEDGER_ROWS]
        self.ledger.show_rows(_ledger_rows(lines, snapshot.at_s))
        self.ledger.fit_height(16)
        self.ledger.setVisible(bool(lines))
        self.nothing.setVisible(not lines)

    def _draw_work(self) -> None:
        days = self._days()
        if self._work is None or days is None:
            return
        self.table = table = history_table(self._work, self.by, days)
        self._draw_bars(table, self._work.today)
        rows = [_cells(each, table, name_of(each, table.by, self._work.today)) for each in table.rows]
        rows.append(_cells(table.total, table, total_name(table), "strong"))
        self.lines.show_rows(rows, _columns(table))
        self.lines.fit_height(32)
        self.notes.setText(" ".join(table.notes))
        for button in (self.csv, self.json):
            button.setEnabled(has_something(table.total))

    def _draw_bars(self, table: HistoryTable, today: date) -> None:
        shown = table.rows[::-1] if table.by is By.DAY else table.rows[:MOST_BARS]
        names = [name_of(each, table.by, today) for each in shown]
        credits = [Bar(each.credits, name) for each, name in zip(shown, names, strict=True)]
        self.credits.show_bars(
            credits,
            _("{amount} CPT in {days} days", amount=f"{table.total.credits or 0:,.0f}", days=self.length),
            _("Nothing is known yet: the balance is noted from now on."), table.by is not By.DAY,
        )  # fmt: skip
        energy = [Bar(energy_shown(each, table), name) for each, name in zip(shown, names, strict=True)]
        nothing = _("No task has run in this time.")
        self.energy.show_bars(energy, energy_sum(table), nothing, table.by is not By.DAY)

    # --- saving -------------------------------------------------------------------------------

    def _choose_file(self, kind: str) -> None:
        chooser = QFileDialog(self, _("Save history"))
        chooser.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        chooser.setDefaultSuffix(kind)
        chooser.selectFile(f"hivemind-history.{kind}")
        chooser.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        chooser.fileSelected.connect(lambda path: self.save(Path(path), kind))
        chooser.open()

    def save(self, path: Path, kind: str) -> None:
        """Write the table that is shown."""
        if self.table is None:
            return
        text = csv_text(self.table) if kind == "csv" else json.dumps(report(self.table), indent=1)
        try:
            path.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            about = f"{path}: {error.strerror}"
            self.bridge.refused.emit(Problem(code=FaultCode.NO_PERMISSION, about=about))


def _columns(table: HistoryTable) -> tuple[Column, ...]:
    first, *rest = head(table)
    return (Column(first, wide=True), *(Column(word, numbers=True) for word in rest))


def _cells(each: HistoryRow, table: HistoryTable, name: str, kind: str = "body") -> tuple[Cell, ...]:
    return tuple(Cell(text, kind=kind) for text in cells(each, table, name))


def _ledger_columns() -> tuple[Column, ...]:
    return (
        Column(_("Ended")), Column(_("Task")), Column(_("What happened"), wide=True),
        Column(_("Change"), numbers=True), Column(_("Trust"), numbers=True),
    )  # fmt: skip


def _ledger_rows(lines: Sequence[TrustLine], now_s: float) -> list[tuple[Cell, ...]]:
    """Of today the time, of other days the day."""
    rows: list[tuple[Cell, ...]] = []
    for each in lines:
        today = day_number(each.at_s) == day_number(now_s)
        ink = f"state-{each.look.tone}-ink" if each.look.tone != "offline" else "text-2"
        rows.append((
            Cell(each.time if today else weekday(each.at_s), colour="text-2"), Cell(each.name, kind="mono"),
            Cell(each.why, each.look.icon, ink),
            Cell(signed(each.change), kind="strong" if each.change else "body"),
            Cell(str(each.after), colour="text-2"),
        ))  # fmt: skip
    return rows
