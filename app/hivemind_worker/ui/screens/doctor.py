"""Doctor: every check with what to do, the report for support with a preview, about this app."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QFileDialog, QPlainTextEdit, QWidget

from hivemind_worker.model.checkup import Check, CheckState
from hivemind_worker.model.machine import Sample
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.model.task import Problem
from hivemind_worker.model.yields import YieldTimes
from hivemind_worker.presentation.amounts import size_words
from hivemind_worker.presentation.catalogue import _, translate_many
from hivemind_worker.presentation.fault_details import check_told
from hivemind_worker.presentation.gpu import can_use_a_gpu, gpu_words
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.moments import clock_time
from hivemind_worker.presentation.page_facts import Fact, sandbox
from hivemind_worker.presentation.rule_rows import yield_spread, yield_words
from hivemind_worker.presentation.troubles import check_look
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.dialogs import Dialog
from hivemind_worker.ui.fault_details import show_details
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.facts import Facts
from hivemind_worker.ui.parts.flow import flowing
from hivemind_worker.ui.parts.learn_more import LearnMore
from hivemind_worker.ui.parts.panels import FactLine, FactRows, Panel, column, fill_page, line, row
from hivemind_worker.ui.parts.side_by_side import SideBySide
from hivemind_worker.ui.parts.text import Label, Shape
from hivemind_worker.ui.screens import Screen
from hivemind_worker.ui.theme import theme

RIGHT_PX, NAME_PX = 356, 128
UNKNOWN = Look(tone="offline", icon="dash", word="")
REPAIR_AUTOSTART = "repair_autostart"


def summary(checks: tuple[Check, ...]) -> str:
    """How many fail, could be better, are fine."""
    counts = {state: sum(check.state is state for check in checks) for state in CheckState}
    failing, better = counts[CheckState.FAIL], counts[CheckState.WARN]
    parts = (
        translate_many("{count} fails", "{count} fail", failing) if failing else "",
        translate_many("{count} could be better", "{count} could be better", better) if better else "",
        translate_many("{count} fine", "{count} fine", counts[CheckState.OK]),
    )
    return ", ".join(part for part in parts if part)


def _gpu(sample: Sample) -> Fact:
    """The cards, or that there is none."""
    look = check_look(CheckState.OK if can_use_a_gpu(sample.gpus) else CheckState.NOT_NEEDED)
    return Fact(name=_("GPU"), text=gpu_words(sample.gpus), look=replace(look, word=""))


class CheckRow(QWidget):
    """One finding: its shape, what was looked at, what was found, and what to do."""

    def __init__(self, repair: Callable[[], object], details: Callable[[Check | None], object]) -> None:
        super().__init__()
        self.check: Check | None = None
        self.details = Button(_("Details"), kind="link", pressed=lambda: details(self.check))
        self.mark, self.name = Shape(), Label("", "body", wrap=True)
        self.text, self.next_step = Label("", "second", wrap=True), Label("", "small", wrap=True)
        self.button = Button(_("Repair"), kind="small", pressed=repair)
        self.name.setFixedWidth(round(NAME_PX * min(1.5, theme().scale)))
        words = column(1)
        words.addWidget(self.text)
        words.addWidget(self.next_step)
        inside = row(10, margins=(16, 6, 16, 6))
        top = Qt.AlignmentFlag.AlignTop
        inside.addWidget(self.mark, 0, top)
        inside.addWidget(self.name, 0, top)
        inside.addLayout(words, 1)
        inside.addWidget(self.details)
        inside.addWidget(self.button)
        self.setLayout(inside)

    def show_check(self, check: Check) -> None:
        """Take the values of a finding."""
        look = check_look(check.state)
        ink = "text-2" if look.tone == "offline" else f"state-{look.tone}-ink"
        self.mark.show_icon(look.icon, ink, look.word)
        self.name.setText(check.name)
        self.text.setText(check.text)
        self.next_step.setText(check.next_step)
        self.next_step.setVisible(bool(check.next_step))
        self.button.setVisible(check.remedy == REPAIR_AUTOSTART)
        self.check = check
        self.details.setVisible(check.state in (CheckState.WARN, CheckState.FAIL))
        self.setAccessibleName(f"{look.word}: {check.name}: {check.text} {check.next_step}")


class Preview(Dialog):
    """The report, file by file, exactly as it would be saved."""

    def __init__(self, parent: QWidget, files: Mapping[str, str], save: Button) -> None:
        super().__init__(parent, _("Report for support"))
        said = _("Keys, names and addresses are removed. Nothing is sent: you save a file and decide.")
        self.content.addWidget(Label(said, "second", wrap=True))
        self.files, self.names, self.text = files, QComboBox(), QPlainTextEdit()
        self.names.addItems(list(files))
        self.names.setAccessibleName(_("File of the report"))
        self.names.currentTextChanged.connect(self._show)
        self.text.setReadOnly(True)
        self.text.setProperty("kind", "log")
        self.text.setMinimumSize(640, 360)
        self.text.setAccessibleName(_("What this file holds"))
        self.content.addWidget(self.names)
        self.content.addWidget(self.text)
        self.foot.addWidget(Button(_("Close"), pressed=self.reject))
        self.foot.addWidget(save)
        self._show(self.names.currentText())

    def _show(self, name: str) -> None:
        self.text.setPlainText(self.files.get(name, ""))


class Doctor(Screen):
    """Runs the checks when it is first opened, and when asked."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self.checks: tuple[Check, ...] = ()
        self.dialog: Dialog | None = None
        self._running, self._ran = False, False
        self._costs: tuple[float, float] | None = None
        self._yields = YieldTimes()
        self.last_run = Label("", "small")
        self.run_button = Button(_("Run all checks"), "doctor", "primary", self.run)
        self.panel, self.rows = Panel(_("Checks")), list[CheckRow]()
        self._list = column()
        self.waiting = Label(_("A test program runs in the sandbox. This takes some seconds."), "hint")
        self.waiting.setContentsMargins(16, 12, 16, 12)
        self.panel.body.addWidget(self.waiting)
        self.panel.body.addLayout(self._list)
        self.live, self.live_rows = Panel(_("Now")), FactRows(left=40)
        self.live.body.addWidget(self.live_rows)
        self.report = self._report_panel()
        self.about, self.about_facts = Panel(_("About this app")), Facts()
        self.about.body.addWidget(self.about_facts)
        self._lay_out()

    def _report_panel(self) -> Panel:
        panel = Panel(_("Report for support"))
        inside = column(8, margins=(16, 12, 16, 12))
        said = _("Versions, checks, settings, log. Keys, names and addresses are removed; you see it first.")
        inside.addWidget(Label(said, "small", wrap=True))
        buttons = row(8)
        self.preview_button = Button(_("Preview…"), pressed=self.preview)
        self.save_button = Button(_("Save…"), "download", pressed=self._make_and_save)
        buttons.addWidget(self.preview_button)
        buttons.addWidget(self.save_button)
        buttons.addStretch(1)
        inside.addLayout(buttons)
        panel.body.addLayout(inside)
        return panel

    def _lay_out(self) -> None:
        gutter = theme().size("gutter")
        title, more = Label(_("Doctor"), "title"), LearnMore(self.bridge)
        head = flowing(title, self.last_run, None, self.run_button, more, spacing=12)
        both = SideBySide(right_px=RIGHT_PX)
        both.add((self.panel,), (self.live, self.report, self.about))
        inside = column(12, margins=(gutter, 12, gutter, gutter))
        inside.addLayout(head)
        inside.addWidget(both)
        fill_page(self, inside)

    # --- what is asked ------------------------------------------------------------------------

    def opened(self) -> None:
        self.bridge.query("yield times", lambda node: node.rules.yield_times(), self._got_yields)
        if not self._ran:
            self.run()

    def _got_yields(self, times: YieldTimes) -> None:
        self._yields = times

    def refresh(self) -> None:
        self.run()

    def run(self) -> None:
        """Look at everything anew."""
        if self._running or self.bridge.node is None:
            return
        self._running = True
        self.run_button.setEnabled(False)
        self.waiting.show()
        began_s = time.monotonic()
        self.bridge.query(
            "checkup", lambda node: node.care.checkup(), lambda found: self._found(found, began_s)
        )

    def _found(self, checks: tuple[Check, ...], began_s: float) -> None:
        self._running, self._ran, self.checks = False, True, checks
        self.run_button.setEnabled(True)
        self.waiting.hide()
        self.panel.note.setText(summary(checks))
        self.last_run.setText(_(
            "last run {time}, took {seconds} s", time=clock_time(time.time(), seconds=True),
            seconds=f"{time.monotonic() - began_s:.1f}",
        ))  # fmt: skip
        self._show_checks(checks)

    # --- what is shown ------------------------------------------------------------------------

    def _show_checks(self, checks: tuple[Check, ...]) -> None:
        while len(self.rows) < len(checks):
            made = CheckRow(self._repair, self._show_details)
            self._list.addWidget(line())
            self._list.addWidget(made)
            self.rows.append(made)
        for number, made in enumerate(self.rows):
            made.setVisible(number < len(checks))
            if number < len(checks):
                made.show_check(checks[number])

    def render_picture(self, snapshot: Snapshot) -> None:
        sample = self.bridge.sample
        facts = [sandbox(snapshot), *([_gpu(sample)] if sample is not None else [])]
        self.live_rows.show_lines([
            FactLine(look=fact.look or UNKNOWN, text=f"{fact.name}: {fact.text}")
            for fact in facts
        ])  # fmt: skip
        self._show_about(snapshot)

    def _show_about(self, snapshot: Snapshot) -> None:
        """The version, what the app itself takes, and how fast it gives the computer back."""
        node = self.bridge.node
        if node is None:
            return
        cpu_s, memory_bytes = node.care.own_costs()
        now_s = snapshot.at_s
        before, self._costs = self._costs, (now_s, cpu_s)
        share = _("measuring")
        if before is not None and now_s > before[0]:
            percent = max(0.0, 100 * (cpu_s - before[1]) / (now_s - before[0]))
            share = _("{percent} % of a core", percent=f"{percent:.1f}")
        facts = [
            (_("Version"), snapshot.version), (_("Processor"), share),
            (_("Memory"), size_words(memory_bytes)), (_("Giving way"), yield_words(self._yields)),
            (_("Each time"), yield_spread(self._yields)),
        ]  # fmt: skip
        self.about_facts.show_facts([(name, text) for name, text in facts if text])

    # --- what is done -------------------------------------------------------------------------

    def _repair(self) -> None:
        self.bridge.query("repair autostart", lambda node: node.care.set_autostart(True), self._repaired)

    def _show_details(self, check: Check | None) -> None:
        if check is not None:
            show_details(self, self.bridge, check_told(check, time.time()))

    def _repaired(self, problem: Problem | None) -> None:
        if problem is not None:
            self.bridge.refused.emit(problem)
        self.run()

    def preview(self) -> None:
        """Show the report before anything is saved."""
        self.bridge.query("report", lambda node: node.care.report(), self._show_preview)

    def _show_preview(self, files: Mapping[str, str]) -> None:
        save = Button(_("Save…"), "download", "primary", lambda: self.choose_file(files))
        self.dialog = Preview(self, files, save)
        self.dialog.finished.connect(self._forget_dialog)
        self.dialog.open()

    def _forget_dialog(self) -> None:
        self.dialog = None

    def _make_and_save(self) -> None:
        self.bridge.query("report", lambda node: node.care.report(), self.choose_file)

    def choose_file(self, files: Mapping[str, str]) -> None:
        """The system's own window to save in."""
        chooser = QFileDialog(self, _("Save the report"))
        chooser.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        chooser.setDefaultSuffix("zip")
        chooser.selectFile("hivemind-report.zip")
        chooser.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        chooser.fileSelected.connect(lambda path: self.save(files, Path(path)))
        chooser.open()

    def save(self, files: Mapping[str, str], target: Path) -> None:
        """Write it as it was shown."""
        self.bridge.query("save report", lambda node: node.care.save_report(files, target), self._saved)

    def _saved(self, problem: Problem | None) -> None:
        if problem is not None:
            self.bridge.refused.emit(problem)
