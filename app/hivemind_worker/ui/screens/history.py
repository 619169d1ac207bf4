"""History: what was done day by day, what it earned, how trust came about, whose fault failures were."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QWidget

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.pools import Balance
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.model.task import Problem, Task
from hivemind_worker.presentation.amounts import DAY_S
from hivemind_worker.presentation.catalogue import _, mark, translate_many
from hivemind_worker.presentation.ledger import (
    Day,
    TrustLine,
    amount,
    csv_rows,
    culprits,
    days,
    signed,
    trust_lines,
)
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.moments import day_number, weekday
from hivemind_worker.presentation.page_words import trust
from hivemind_worker.ui.bars import Bar, DayBars
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.parts.buttons import Button, Segments
from hivemind_worker.ui.parts.panels import Columns, FactLine, FactRows, Panel, column, fill_page, row
from hivemind_worker.ui.parts.rows_table import Cell, Column, RowsTable
from hivemind_worker.ui.parts.side_by_side import SideBySide
from hivemind_worker.ui.parts.text import Figure, Label
from hivemind_worker.ui.screens import Screen
from hivemind_worker.ui.theme import theme

LENGTHS = (("7", mark("7 days")), ("14", mark("14 days")), ("30", mark("30 days")))
MOST_TASKS = 5000
LEDGER_ROWS = 300
RIGHT_PX = 440


class BarsPart(QWidget):
    """A title, its sum at the right, and the days as bars."""

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
        self.setLayout(inside)

    def show_days(self, bars: Sequence[Bar], total: str, empty: str) -> None:
        """Show these, or why there is nothing to show."""
        known = any(bar.value for bar in bars)
        self.sum.setText(total if known else "")
        self.bars.show_bars(bars if known else ())
        self.bars.setVisible(known)
        self.empty.setText("" if known else empty)
        self.empty.setVisible(not known)
        self.bars.setAccessibleDescription(", ".join(f"{bar.name}: {bar.value or 0:g}" for bar in bars))


class History(Screen):
    """Read from the journal, so it is there after a restart."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self.length = 14
        self._ended: tuple[Task, ...] = ()
        self._balances: tuple[Balance, ...] = ()
        self.lengths = Segments([(key, _(word)) for key, word in LENGTHS], _("How far back"))
        self.lengths.choose(str(self.length))
        self.lengths.chosen.connect(self.choose)
        self.credits, self.hours = BarsPart(_("Credits")), BarsPart(_("Hours of work"))
        self.days = RowsTable(_day_columns(), _("Days"))
        self.days.setProperty("kind", "panel")
        self.culprits, self.culprit_rows = Panel(_("Whose fault were the failures?")), FactRows(left=40)
        self.culprits.body.addWidget(self.culprit_rows)
        self.score = Figure("", "strong")
        self.ledger_panel = Panel(_("Trust ledger"), self.score)
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
        head = row(12)
        head.addWidget(Label(_("History"), "title"))
        head.addWidget(self.lengths)
        head.addStretch(1)
        head.addWidget(self.csv)
        head.addWidget(self.json)
        both = SideBySide(right_px=RIGHT_PX, least_left_px=380)
        both.add((self.days, self.culprits), (self.ledger_panel,))
        inside = column(12, margins=(gutter, 12, gutter, gutter))
        inside.addLayout(head)
        inside.addWidget(Columns(self.credits, self.hours))
        inside.addWidget(both)
        fill_page(self, inside)

    # --- what is asked ------------------------------------------------------------------------

    def opened(self) -> None:
        self.bridge.query("history", lambda node: node.ended_tasks(MOST_TASKS), self._got_tasks)
        snapshot = self.bridge.snapshot
        if snapshot is not None:
            pool, from_s = snapshot.pool, snapshot.at_s - 31 * DAY_S
            self.bridge.query(
                "balances",
                lambda node: node.pools.balances(pool.address, pool.user, from_s),
                self._got_balances,
            )

    def choose(self, length: str) -> None:
        """Look so many days back."""
        self.length = int(length)
        self.lengths.choose(length)
        self._draw()

    def _got_tasks(self, ended: tuple[Task, ...]) -> None:
        self._ended = ended
        self._draw()

    def _got_balances(self, balances: tuple[Balance, ...]) -> None:
        self._balances = balances
        self._draw()

    # --- what is shown ------------------------------------------------------------------------

    def render_picture(self, snapshot: Snapshot) -> None:
        """A task that has ended since is asked for; the rest stays."""
        newest = max((task.ended_at_s or 0.0 for task in snapshot.tasks), default=0.0)
        known = max((task.ended_at_s or 0.0 for task in self._ended), default=0.0)
        score = trust(snapshot)
        self.score.setText(f"{score.score}, {score.group} · {score.next_step}")
        if newest > known:
            self.opened()

    def _draw(self) -> None:
        snapshot = self.bridge.snapshot
        if snapshot is None:
            return
        since = day_number(snapshot.at_s) - self.length
        ended = [task for task in self._ended if day_number(task.ended_at_s or 0.0) > since]
        found = days(ended, self._balances, snapshot.at_s, self.length)
        self._draw_bars(found)
        self._draw_days(found)
        failures = sum(each.failed for each in found)
        title = translate_many(
            "Whose fault was the {count} failure?", "Whose fault were the {count} failures?", failures
        )
        self.culprits.title.setText(title)
        self.culprits.setVisible(bool(failures))
        self.culprit_rows.show_lines([
            FactLine(look=Look(tone="offline" if not each.count else "waiting", icon=each.icon, word=""),
                     text=f"{each.name}: {each.detail}", right=f"{each.count} · {signed(each.trust)}")
            for each in culprits(ended)
        ])  # fmt: skip
        lines = trust_lines(self._ended, snapshot.node.trust_score)[:LEDGER_ROWS]
        self.ledger.show_rows(_ledger_rows(lines, snapshot.at_s))
        self.ledger.fit_height(16)
        self.ledger.setVisible(bool(lines))
        self.nothing.setVisible(not lines)
        for button in (self.csv, self.json):
            button.setEnabled(bool(ended))

    def _draw_bars(self, found: tuple[Day, ...]) -> None:
        oldest_first = found[::-1]
        earned = [
            Bar(None if each.earned is None else float(each.earned), each.title) for each in oldest_first
        ]
        total = sum(each.earned or 0 for each in found)
        self.credits.show_days(
            earned, _("{amount} CPT in {days} days", amount=f"{total:,}", days=self.length),
            _("Nothing is known yet: the balance is noted from now on."),
        )  # fmt: skip
        hours = [Bar(round(each.run_s / 3600, 2), each.title) for each in oldest_first]
        whole = sum(each.run_s for each in found) / 3600
        self.hours.show_days(
            hours, _("{hours} h in {days} days", hours=f"{whole:.1f}", days=self.length),
            _("No task has run in this time."),
        )  # fmt: skip

    def _draw_days(self, found: tuple[Day, ...]) -> None:
        rows = [_day_cells(each) for each in found]
        done, failed = sum(each.done for each in found), sum(each.failed for each in found)
        hours, earned = sum(each.run_s for each in found) / 3600, [each.earned for each in found]
        known = [value for value in earned if value is not None]
        rows.append((
            Cell(_("{days} days", days=self.length), kind="strong"), Cell(str(done), kind="strong"),
            Cell(str(failed), kind="strong"), Cell(f"{hours:.1f}", kind="strong"),
            Cell(amount(sum(known) if known else None), kind="strong"),
        ))  # fmt: skip
        self.days.show_rows(rows)
        self.days.fit_height(32)

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
        """Write the ended tasks of the range."""
        snapshot = self.bridge.snapshot
        since = day_number(snapshot.at_s) - self.length if snapshot is not None else 0
        rows = csv_rows([task for task in self._ended if day_number(task.ended_at_s or 0.0) > since])
        try:
            with path.open("w", encoding="utf-8", newline="") as file:
                if kind == "csv":
                    csv.writer(file).writerows(rows)
                else:
                    json.dump([dict(zip(rows[0], line, strict=True)) for line in rows[1:]], file, indent=1)
        except OSError as error:
            about = f"{path}: {error.strerror}"
            self.bridge.refused.emit(Problem(code=FaultCode.NO_PERMISSION, about=about))


def _day_columns() -> tuple[Column, ...]:
    return (
        Column(_("Day"), wide=True), Column(_("Done"), numbers=True), Column(_("Failed"), numbers=True),
        Column(_("Hours"), numbers=True), Column(_("CPT"), numbers=True),
    )  # fmt: skip


def _day_cells(day: Day) -> tuple[Cell, ...]:
    return (
        Cell(day.title), Cell(str(day.done) if day.done else "–"),
        Cell(str(day.failed) if day.failed else "–"), Cell(day.hours), Cell(amount(day.earned)),
    )  # fmt: skip


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
