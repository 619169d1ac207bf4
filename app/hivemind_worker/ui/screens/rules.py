"""Rules: when this computer works and how much, each rule with what is measured now, and the day ahead."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QDoubleSpinBox, QGridLayout, QLineEdit, QMenu, QWidget

from hivemind_worker.model.events import RunModeAsked
from hivemind_worker.model.preview import Preview
from hivemind_worker.model.rules import DAYS, Level, level_rows, preset, rule_rows
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.amounts import unit_words
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.offer_words import card_offer_words, offer_words
from hivemind_worker.presentation.rule_rows import (
    PRESET_NAMES,
    RuleLine,
    level_lines,
    long_pause_words,
    preview_words,
    replay_words,
    rule_lines,
    span_words,
)
from hivemind_worker.presentation.rule_words import LEVELS
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.dialogs import Dialog
from hivemind_worker.ui.parts.buttons import Button, MenuButton, Segments, Switch
from hivemind_worker.ui.parts.flow import flowing
from hivemind_worker.ui.parts.learn_more import LearnMore
from hivemind_worker.ui.parts.panels import Panel, column, fill_page, line, row
from hivemind_worker.ui.parts.text import Label, Sentence, Shape
from hivemind_worker.ui.refusal import Refusal
from hivemind_worker.ui.screens import Screen
from hivemind_worker.ui.theme import theme
from hivemind_worker.ui.week_grid import DayStrip, LevelSwatch, Stretch, WeekGrid

BY_RULES, ALWAYS = "rules", "always"
ICONS = {"pointer": "idle", "thermometer": "temperature", "window": "apps"}
TONES = {
    "ok": ("check", "state-working-ink"), "blocks": ("pause", "state-paused-ink"),
    "ignored": ("warning", "state-warning-ink"), "off": ("dash", "text-3"),
    "unknown": ("info", "state-waiting-ink"),
}  # fmt: skip
PREVIEW_EVERY_S = 300
TITLE_PX, NOW_PX, VERDICT_PX, STATE_PX = 138, 150, 112, 190
STACKED_PX, BELOW_PX = 830, 430
"""A row below this width has too little room for its value beside all the others."""


class RuleRow(QWidget):
    """One rule: its switch, its value, what is measured now, and whether it allows work."""

    def __init__(
        self, first: RuleLine, turned: Callable[[str, bool], object], edit: Callable[[RuleLine], object]
    ) -> None:
        super().__init__()
        self.line = first
        self.switch, self.icon, self.title = Switch(), Shape(), Sentence("", "strong")
        self.switch.setAccessibleName(first.title)
        self.switch.setEnabled(bool(first.switch))
        self.switch.toggled.connect(lambda on: turned(self.line.switch, on))
        self.value, self.now = Sentence(""), Sentence("", "small")
        self.change = Button(_("Change…"), kind="link", pressed=lambda: edit(self.line))
        self.change.setAccessibleName(_("Change {rule}", rule=first.title))
        self.change.setVisible(bool(first.edits))
        self.mark, self.verdict = Shape(), Sentence("", "small")
        self._left, self._right = (QBoxLayout(QBoxLayout.Direction.LeftToRight) for _side in range(2))
        self._lay_out()

    def _lay_out(self) -> None:
        verdict, inside = row(10), row(10, margins=(16, 4, 16, 4))
        self._state = QWidget()
        self._state.setLayout(self._right)
        self._right.setContentsMargins(0, 0, 0, 0)
        verdict.addWidget(self.mark)
        verdict.addWidget(self.verdict)
        verdict.addStretch(1)
        self._left.setSpacing(10)
        self._left.addWidget(self.title)
        self._left.addWidget(self.value, 1)
        self._right.setSpacing(10)
        self._right.addWidget(self.now)
        self._right.addLayout(verdict)
        inside.addWidget(self.switch)
        inside.addWidget(self.icon)
        inside.addLayout(self._left, 1)
        inside.addWidget(self.change)
        self.setLayout(inside)
        self._inside = inside
        self._stack(stacked=False)

    def _stack(self, *, stacked: bool, below: bool = False) -> None:
        """Four columns where there is room for them, else two of two lines each, else one."""
        self._stacked, self._below, scale = stacked, below, min(1.5, theme().scale)
        (self._left if below else self._inside).addWidget(self._state)
        way = QBoxLayout.Direction.TopToBottom if stacked else QBoxLayout.Direction.LeftToRight
        for side in (self._left, self._right):
            side.setDirection(way)
            side.setSpacing(1 if stacked else 10)
        state_px = round(STATE_PX * scale)
        self._state.setMinimumWidth(state_px if stacked else 0)
        self.title.fix_width(None if stacked else round(TITLE_PX * scale))
        self.now.fix_width(None if below else state_px if stacked else round(NOW_PX * scale))
        self.verdict.fix_width(round(VERDICT_PX * scale))
        self.now.setVisible(bool(self.now.whole()) or not stacked)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        room = self.width() / theme().scale
        narrow, below = room < STACKED_PX, room < BELOW_PX
        if (narrow, below) != (self._stacked, self._below):
            self._stack(stacked=narrow, below=below)
            self._inside.activate()

    def show_line(self, shown: RuleLine) -> None:
        """Take the values of a line."""
        self.line = shown
        self.switch.blockSignals(True)
        self.switch.setChecked(shown.on)
        self.switch.blockSignals(False)
        self.icon.show_icon(ICONS.get(shown.icon, shown.icon), "text-2")
        self.title.setText(shown.title)
        self.value.setText(shown.value)
        self.now.setText(shown.now)
        self.now.setVisible(bool(shown.now) or not self._stacked)
        name, ink = TONES[shown.tone]
        self.mark.show_icon(name, ink, shown.verdict)
        self.verdict.setText(shown.verdict)
        self.switch.setAccessibleDescription(
            ", ".join(part for part in (shown.value, shown.now, shown.verdict) if part)
        )


class RuleEditor(Dialog):
    """The numbers and names of one rule, or of one level."""

    def __init__(self, screen: Rules, title: str, edits: Sequence[str], values: dict[str, Any]) -> None:
        super().__init__(screen, title)
        self._save = screen.change
        self.fields: dict[str, QWidget] = {}
        table = {each.name: each for each in rule_rows()}
        for name in edits:
            about = table[name].metadata
            said = Label(_(about["help"]), "small", wrap=True)
            field = self._field(values[name], about["unit"])
            field.setAccessibleName(said.text())
            said.setBuddy(field)
            self.fields[name] = field
            self.content.addWidget(said)
            self.content.addWidget(field)
        self.refused = Refusal(screen.bridge)
        self.content.addWidget(self.refused)
        self.foot.addWidget(Button(_("Cancel"), pressed=self.reject))
        self.foot.addWidget(Button(_("Use it"), kind="primary", pressed=self.take))

    def _field(self, value: Any, unit: str) -> QWidget:
        if isinstance(value, bool):
            switch = Switch()
            switch.setChecked(value)
            return switch
        if isinstance(value, str):
            return QLineEdit(value)
        spin = QDoubleSpinBox()
        spin.setRange(-1e6, 1e6)
        spin.setDecimals(0 if isinstance(value, int) else 1)
        spin.valueChanged.connect(lambda now: spin.setSuffix(f" {unit_words(now, unit)}".rstrip()))
        spin.setSuffix(f" {unit_words(value, unit)}".rstrip())
        spin.setValue(value)
        spin.lineEdit().setTextMargins(7, 0, 0, 0)
        return spin

    def values(self) -> dict[str, object]:
        """What the fields hold."""
        found: dict[str, object] = {}
        for name, field in self.fields.items():
            if isinstance(field, Switch):
                found[name] = field.isChecked()
            elif isinstance(field, QLineEdit):
                found[name] = field.text()
            elif isinstance(field, QDoubleSpinBox):
                found[name] = field.value()
        return found

    def take(self) -> None:
        """Have the rules changed."""
        self._save(self.values(), self._answered)

    def _answered(self, problems: tuple[Problem, ...]) -> None:
        if not problems:
            self.accept()
            return
        self.refused.say(problems[0])


class Rules(Screen):
    """Every change is kept at once and decides from then on; the last one can be undone."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self._undo: dict[str, object] = {}
        self._previewed_s = 0.0
        self.dialog: Dialog | None = None
        self.mode = Segments(
            [(BY_RULES, _("Run by my rules")), (ALWAYS, _("Run whatever they say"))], _("Run mode")
        )
        self.mode.chosen.connect(self._want)
        presets = QMenu(self)
        for key, title in PRESET_NAMES.items():
            presets.addAction(_(title)).triggered.connect(partial(self._preset, key))
        self.presets = MenuButton(_("Presets"), "", presets)
        self.undo = Button(_("Undo"), pressed=self.take_back)
        self.week = WeekGrid()
        self.week.painted.connect(self.change)
        self.levels = Segments([(str(int(each)), "") for each in reversed(Level)], _("Level to paint with"))
        self.levels.choose(str(int(Level.NORMAL)))
        self.levels.chosen.connect(self._pick)
        self.level = Button(_("Change this level…"), kind="link", pressed=self._edit_level)
        self.long_pause = Sentence("", "small")
        self.change_pause = Button(_("Change…"), kind="link", pressed=self._edit_pause)
        self.change_pause.setAccessibleName(_("Change how long a task may be paused"))
        self.legend = [Sentence("", "small") for _level in Level]
        self.swatches = [LevelSwatch(level) for level in reversed(Level)]
        self.offered = Label("", "hint", wrap=True)
        self.panel = Panel()
        self.rows: dict[str, RuleRow] = {}
        self.strip, self.ahead, self.replayed = DayStrip(), Label("", "small"), Label("", "hint")
        self._lay_out()

    def _lay_out(self) -> None:
        gutter = theme().size("gutter")
        title, more = Label(_("When to run, and how much"), "title"), LearnMore(self.bridge)
        head = flowing(title, None, self.presets, self.undo, more)
        plan = Panel(_("Week plan"), self.mode)
        grid = column(10, margins=(16, 10, 16, 12))
        grid.addWidget(self.week)
        how = Label(_("Paint, or arrows and 0 to 3"), "small")
        grid.addLayout(flowing(how, self.levels, self.level, spacing=12))
        legend = QGridLayout()
        legend.setHorizontalSpacing(24)
        for number, each in enumerate(self.legend):
            beside = row(8)
            beside.addWidget(self.swatches[number])
            beside.addWidget(each, 1)
            legend.addLayout(beside, number // 2, number % 2)
        grid.addLayout(legend)
        grid.addWidget(self.offered)
        plan.body.addLayout(grid)
        day = Panel(_("Next 24 hours, if they go as usual"), self.ahead)
        strip = column(6, margins=(16, 10, 16, 10))
        strip.addWidget(self.strip)
        strip.addWidget(self.replayed)
        day.body.addLayout(strip)
        inside = column(12, margins=(gutter, 12, gutter, gutter))
        inside.addLayout(head)
        inside.addWidget(plan)
        inside.addWidget(self.panel)
        inside.addLayout(flowing(self.long_pause, self.change_pause))
        inside.addWidget(day)
        fill_page(self, inside)

    # --- what is asked ------------------------------------------------------------------------

    def opened(self) -> None:
        self._previewed_s = 0.0
        if self.bridge.snapshot is not None:
            self.render_picture(self.bridge.snapshot)

    def _ask_previews(self, now_s: float) -> None:
        self._previewed_s = now_s
        self.bridge.query("next day", lambda node: node.rules.next_day(node.rules.current), self._show_day)
        self.bridge.query("replay", lambda node: node.rules.replay(node.rules.current), self._show_replay)

    # --- what is shown ------------------------------------------------------------------------

    def render_picture(self, snapshot: Snapshot) -> None:
        node = self.bridge.node
        if node is None:
            return
        rules = node.rules.current
        self.mode.choose(ALWAYS if snapshot.node.ignores_rules else BY_RULES)
        self.week.show_days({day: getattr(rules, day) for day in DAYS})
        for shown, label in zip(level_lines(rules), self.legend, strict=True):
            label.setText(f"{shown.title}: {shown.amount}")
            self.levels.rename(str(int(shown.level)), shown.title)
        self.offered.setText(f"{offer_words(snapshot.offer)} {card_offer_words(snapshot.offer)}")
        for shown_line in rule_lines(snapshot, rules):
            if shown_line.title not in self.rows:
                self._add(shown_line)
            self.rows[shown_line.title].show_line(shown_line)
        self.long_pause.setText(long_pause_words(rules))
        self.undo.setEnabled(bool(self._undo))
        if snapshot.at_s - self._previewed_s > PREVIEW_EVERY_S:
            self._ask_previews(snapshot.at_s)

    def _add(self, first: RuleLine) -> None:
        made = self.rows[first.title] = RuleRow(first, self._turn, self._edit)
        if len(self.rows) > 1:
            self.panel.body.addWidget(line())
        self.panel.body.addWidget(made)

    def _show_day(self, preview: Preview) -> None:
        self.ahead.setText(preview_words(preview))
        whole_s = preview.whole_s or 1.0
        begin_s = preview.spans[0].from_s if preview.spans else 0.0
        self.strip.show_parts([
            Stretch((span.from_s - begin_s) / whole_s, (span.to_s - begin_s) / whole_s, span.level,
                    span.works, span_words(span))
            for span in preview.spans
        ])  # fmt: skip
        self.strip.setVisible(bool(preview.spans))

    def _show_replay(self, preview: Preview) -> None:
        said = replay_words(preview)
        self.replayed.setText(_("Last 7 days: {said}", said=said) if preview.spans else said)

    # --- what is done -------------------------------------------------------------------------

    def _want(self, key: str) -> None:
        self.bridge.ask(RunModeAsked(at_s=time.time(), ignores_rules=key == ALWAYS))

    def _pick(self, key: str) -> None:
        self.week.level = Level(int(key))
        self.level.setEnabled(self.week.level is not Level.OFF)

    def _turn(self, name: str, on: bool) -> None:
        self.change({name: on})

    def _preset(self, key: str) -> None:
        self.change(asdict(preset(key)))

    def change(
        self, values: dict[str, object], then: Callable[[tuple[Problem, ...]], object] | None = None
    ) -> None:
        """Keep these rows; what they were before can be taken back."""
        node = self.bridge.node
        if node is None:
            return
        current = asdict(node.rules.current)
        before = {name: current[name] for name in values}

        def answered(problems: tuple[Problem, ...]) -> None:
            if not problems:
                self._undo, self._previewed_s = before, 0.0
            elif then is None:
                self.bridge.refused.emit(problems[0])
            if then is not None:
                then(problems)
            if self.bridge.snapshot is not None:
                self.render_picture(self.bridge.snapshot)

        self.bridge.query(f"rules {', '.join(values)}", lambda node: node.rules.change(values), answered)

    def take_back(self) -> None:
        """Undo the last change."""
        values, self._undo = self._undo, {}
        if values:
            self.change(values)

    def _edit(self, shown: RuleLine) -> None:
        self._open_editor(shown.title, shown.edits)

    def _edit_level(self) -> None:
        title = _("Level {level}", level=_(LEVELS[self.week.level]))
        self._open_editor(title, level_rows(self.week.level))

    def _edit_pause(self) -> None:
        self._open_editor(_("Long pauses"), ("pause_ends_task_h",))

    def _open_editor(self, title: str, edits: Sequence[str]) -> None:
        node = self.bridge.node
        if node is None:
            return
        self.dialog = RuleEditor(self, title, edits, asdict(node.rules.current))
        self.dialog.finished.connect(self._forget_dialog)
        self.dialog.open()

    def _forget_dialog(self) -> None:
        self.dialog = None
