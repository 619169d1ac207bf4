"""Rules: what the owner wants now, why work does or does not run, and the limits that always hold."""

from __future__ import annotations

import time

from PySide6.QtWidgets import QMenu, QWidget

from hivemind_worker.model.events import RunModeAsked
from hivemind_worker.model.snapshot import Mode, Snapshot
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.moments import moment_words
from hivemind_worker.presentation.page_facts import rules
from hivemind_worker.presentation.page_words import causes, headline
from hivemind_worker.presentation.settings_form import GROUPS
from hivemind_worker.ui import wishes
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.parts.buttons import Button, MenuButton, Segments
from hivemind_worker.ui.parts.panels import FactLine, FactRows, Panel, column, row, scrolled
from hivemind_worker.ui.parts.rows_table import Cell, Column, RowsTable
from hivemind_worker.ui.parts.text import Label, StateBadge
from hivemind_worker.ui.screens import Screen
from hivemind_worker.ui.theme import theme

BY_RULES, ALWAYS = "rules", "always"
LABELS = {name: label for _name, _title, rows in GROUPS for name, label in rows}


class Rules(Screen):
    """Mode, pause, causes and limits. Nothing here is shown that cannot be pressed."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self.mode = Segments(
            [(BY_RULES, _("Run by my rules")), (ALWAYS, _("Run whatever they say"))], _("Run mode")
        )
        self.mode.chosen.connect(self._want)
        self.badge, self.title = StateBadge(36), Label("", "title", wrap=True)
        self.detail = Label("", "second", wrap=True)
        menu = QMenu(self)
        wishes.fill_pause_menu(menu, bridge)
        self.pause = MenuButton(_("Pause"), "pause", menu)
        self.resume = Button(_("Resume"), "play", "primary", lambda: wishes.resume(bridge))
        self.now, self.causes = Panel(), FactRows(left=44)
        self.limits = Panel(_("Limits that always hold"), note=_("changed in Settings"))
        self.table = RowsTable(
            (
                Column(_("Limit")),
                Column(_("Value")),
                Column(_("What it means"), wide=True),
                Column(_("Set by")),
            ),
            _("Limits that always hold"),
        )
        self.limits.body.addWidget(self.table)
        self._lay_out()
        bridge.settings_changed.connect(self._show_limits)

    def _lay_out(self) -> None:
        gutter = theme().size("gutter")
        head = row(12)
        head.addWidget(Label(_("When to run, and how much"), "title"))
        head.addStretch(1)
        head.addWidget(self.mode)
        words = column(1)
        words.addWidget(self.title)
        words.addWidget(self.detail)
        top = row(12, margins=(16, 13, 16, 13))
        top.addWidget(self.badge)
        top.addLayout(words, 1)
        top.addWidget(self.pause)
        top.addWidget(self.resume)
        self.now.body.addLayout(top)
        self.now.body.addWidget(self.causes)
        inside = column(12, margins=(gutter, 12, gutter, gutter))
        inside.addLayout(head)
        inside.addWidget(self.now)
        inside.addWidget(self.limits)
        inside.addStretch(1)
        page = QWidget()
        page.setLayout(inside)
        whole = column()
        whole.addWidget(scrolled(page))
        self.setLayout(whole)

    def opened(self) -> None:
        self._show_limits()

    def _want(self, key: str) -> None:
        self.bridge.ask(RunModeAsked(at_s=time.time(), ignores_rules=key == ALWAYS))

    def _show_limits(self) -> None:
        node = self.bridge.node
        if node is None:
            return
        rows = [
            (Cell(_(LABELS.get(name, name))), Cell(value, kind="strong"), Cell(meaning, colour="text-2"),
             Cell(source, colour="text-2"))
            for name, value, meaning, source in rules(node.settings, node.setting_sources())
        ]  # fmt: skip
        self.table.show_rows(rows)
        self.table.fit_height(20)

    def render_picture(self, snapshot: Snapshot) -> None:
        node = self.bridge.node
        if node is None:
            return
        first = headline(snapshot)
        self.badge.show_state(first.look.tone, first.look.icon, first.look.word)
        self.title.setText(first.text.rstrip("."))
        self.detail.setText(self._detail(snapshot))
        held = snapshot.node.mode in (Mode.PAUSED, Mode.FINISHING)
        self.resume.setVisible(held)
        self.pause.setVisible(not held)
        self.mode.choose(ALWAYS if snapshot.node.ignores_rules else BY_RULES)
        lines = []
        for cause in causes(snapshot, node.settings):
            text = " ".join(part for part in (cause.text, cause.action) if part)
            lines.append(FactLine(look=cause.look, text=text))
        self.causes.show_lines(lines)

    def _detail(self, snapshot: Snapshot) -> str:
        until_s = snapshot.node.until_s
        if until_s is not None:
            return _("Until {time}.", time=moment_words(until_s, snapshot.at_s))
        if snapshot.node.ignores_rules:
            return _("The rules are not asked; the limits below hold all the same.")
        return _("Pause for a while, or let the tasks finish first.")
