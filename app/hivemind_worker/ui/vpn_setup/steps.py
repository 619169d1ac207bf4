"""The steps after the source: what the profile will do, by which commands, the checks, the outcome."""

from __future__ import annotations

import time
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QCheckBox

from hivemind_worker.engine.face import NodeFace
from hivemind_worker.model.settings import Settings
from hivemind_worker.model.task import Problem
from hivemind_worker.model.vpn import Review, Rung, RungState, VpnView
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.fault_details import Told
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.vpn import fact_rows, fingerprint, refusal_words, row_words
from hivemind_worker.presentation.vpn_setup import commands, notes, outcome
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.fault_details import say_problem, show_details
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.facts import Facts
from hivemind_worker.ui.parts.flow import flowing
from hivemind_worker.ui.parts.ladder import Ladder
from hivemind_worker.ui.parts.panels import Callout, Panel, column, row
from hivemind_worker.ui.parts.rows_table import Cell, Column, RowsTable
from hivemind_worker.ui.parts.step import Step
from hivemind_worker.ui.parts.text import Label
from hivemind_worker.ui.vpn_setup.source import PROFILE, Source

ICONS = {"narrowed": "filter", "hidden": "lock", "left_off": "dash", "dropped": "dash", "added": "plus"}
TABLE_ROWS = 12


class ReviewStep(Step):
    """What the profile says and what of it will be used; going on keeps it."""

    def __init__(self, bridge: Bridge, source: Source) -> None:
        super().__init__(
            bridge,
            _("What this profile will do"),
            _("It has no errors and no commands. Nothing has changed yet."),
        )
        self._source, self._asking = source, False
        self.review = Review(findings=())
        self.table = RowsTable(
            (
                Column(_("Setting")),
                Column(_("In the file")),
                Column(_("Will be used"), wide=True),
                Column(""),
            ),
            _("What this profile will do"),
        )
        self.notes = Label("", "small", wrap=True)
        self.key = Label("", "mono")
        self.auto = QCheckBox(_("Connect by itself"))
        self.wide = QCheckBox(_("Let the whole pool network in"))
        self.auto.setChecked(True)
        self.wide.toggled.connect(lambda _on: self.opened())
        self.trouble = Callout()
        self.trouble.hide()
        self._lay_out()

    def _lay_out(self) -> None:
        profile, key, choices = Panel(), Panel(_("Is this really the pool's key?")), Panel()
        key.note.setText(_("compare it with its owner"))
        self.notes.setContentsMargins(16, 9, 16, 9)
        profile.body.addWidget(self.table)
        profile.body.addWidget(self.notes)
        self.copy = Button(_("Copy"), "copy", "quiet", self._copy)
        self.key.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.key.setAccessibleName(_("The pool's key"))
        key.body.addLayout(flowing(self.key, None, self.copy, margins=(16, 8, 16, 8)))
        inside = column(8, margins=(16, 10, 16, 10))
        for choice, meaning in (
            (self.auto, _("at start, after sleep, when the network changes")),
            (self.wide, _("other members could reach this computer")),
        ):
            choice.setAccessibleDescription(meaning)
            inside.addLayout(flowing(choice, Label(meaning, "caption")))
        choices.body.addLayout(inside)
        for widget in (self.trouble, profile, key, choices):
            self.body.addWidget(widget)

    def opened(self) -> None:
        if self.bridge.node is None:
            return
        self.review = self.bridge.node.vpn.review(self._source.content, self.wide.isChecked())
        rows = []
        for each in self.review.rows:
            name, in_file, used, verdict = row_words(each)
            strong = "strong" if each.verdict == "narrowed" else "body"
            rows.append((Cell(name), Cell(in_file, colour="text-2"), Cell(used, kind=strong),
                         Cell(verdict, ICONS.get(each.verdict, ""), colour="text-2")))  # fmt: skip
        self.table.show_rows(rows)
        self.table.fit_height(TABLE_ROWS)
        self.notes.setText(notes(self.review))
        self.key.setText(fingerprint(self.review.pool_key))
        self.changed.emit()

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.key.text())

    def ready(self) -> bool:
        return not self._asking and self.review.usable

    def next_words(self) -> str:
        return _("Keep it")

    def take(self) -> bool:
        content, wide, auto = self._source.content, self.wide.isChecked(), self.auto.isChecked()

        async def keep(node: NodeFace) -> Review | Problem:
            kept = await node.vpn.keep(content, wide)
            if isinstance(kept, Problem):
                return kept
            return await node.vpn.set_auto(auto and not node.vpn.view.command) or kept

        self._asking = True
        self.changed.emit()
        self.bridge.query("vpn keep", keep, self._kept)
        return False

    def _kept(self, kept: Review | Problem) -> None:
        self._asking = False
        self.changed.emit()
        refused = isinstance(kept, Problem) or not kept.usable
        self.trouble.setVisible(refused)
        if isinstance(kept, Problem):
            say_problem(self.trouble, self.bridge, kept)
        elif refused:
            told = Told(code=PROFILE, at_s=time.time(), text=refusal_words(kept))
            details = partial(show_details, self, self.bridge, told)
            self.trouble.say(Look(tone="warning", icon="warning", word=""), told.text, details=details)
        else:
            self.passed.emit()


class Permission(Step):
    """The commands that bring the tunnel up, shown before any of them runs."""

    def __init__(self, bridge: Bridge, review: ReviewStep) -> None:
        super().__init__(bridge, _("What will be run"), "")
        self._review = review
        self.why = Label("", "body", wrap=True)
        self.commands = Label("", "mono", wrap=True)
        self.commands.setAccessibleName(self.title.text())
        self.commands.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.copy = Button(_("Copy the command"), "copy", pressed=self._copy)
        panel, inside = Panel(), column(10, margins=(16, 14, 16, 14))
        foot = row()
        foot.addWidget(self.copy)
        foot.addStretch(1)
        inside.addWidget(self.commands)
        inside.addLayout(foot)
        panel.body.addLayout(inside)
        self.body.addWidget(self.why)
        self.body.addWidget(panel)

    @property
    def by_hand(self) -> bool:
        """Whether the owner runs the command himself: this program may not."""
        return bool(self._view().command)

    def _view(self) -> VpnView:
        assert self.bridge.node is not None
        return self.bridge.node.vpn.view

    def opened(self) -> None:
        view = self._view()
        settings = self.bridge.node.settings if self.bridge.node is not None else Settings()
        self.text.setText(_("Only this tunnel is touched; nothing of it is run yet."))
        self.why.setText(
            _("This program may not change the network here, and is not started with more rights, since its "
              "files can be changed without a password. Run this in a terminal, then go on:")
            if view.command else
            _("These commands run with administrator’s rights; your system may ask for your password.")
        )  # fmt: skip
        self.commands.setText(commands(view, settings.vpn_interface, self._review.review))
        self.copy.setVisible(bool(view.command))

    def next_words(self) -> str:
        return _("I have run it") if self.bridge.node is not None and self.by_hand else _("Connect")

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.commands.text())


class Connect(Step):
    """Brings the tunnel up and climbs the checks, each shown as it ends."""

    def __init__(self, bridge: Bridge, permission: Permission) -> None:
        super().__init__(
            bridge, _("Connecting"),
            _("Checks run from the bottom up and stop at the first that fails, with what to do about it."),
        )  # fmt: skip
        self._permission = permission
        now, ended = self.connect_now, self.changed.emit
        self.ladder = Ladder(bridge, reconnect=now, set_up=now, ended=ended)
        self.previous = Panel()
        self.back = Button(_("Go back to the old profile"), "history", pressed=self._go_back)
        inside = row(12, margins=(16, 10, 16, 10))
        inside.addWidget(
            Label(_("Your previous profile is kept; it comes back if you say so."), "second", wrap=True), 1
        )
        inside.addWidget(self.back)
        self.previous.body.addLayout(inside)
        self.body.addWidget(self.ladder)
        self.body.addWidget(self.previous)

    def opened(self) -> None:
        node = self.bridge.node
        self.previous.setVisible(node is not None and node.vpn.view.has_previous)
        if self._permission.by_hand:
            self.ladder.climb()
        else:
            self.connect_now()

    def connect_now(self) -> None:
        """Bring it up, then check; why it could not be brought up is found by the checks as well."""
        self.bridge.query("vpn up", lambda node: node.vpn.up(), lambda _problem: self.ladder.climb())

    def _go_back(self) -> None:
        self.bridge.query(
            "vpn go_back", lambda node: node.vpn.go_back(), lambda _problem: self.ladder.climb()
        )

    def ready(self) -> bool:
        """A handshake is enough: what is wrong at the pool itself is none of the tunnel's."""
        done = {each.rung: each.state for each in self.ladder.results}
        return not self.ladder.climbing and done.get(Rung.HANDSHAKE) in (RungState.PASSED, RungState.SKIPPED)


class Finished(Step):
    """How it stands, and what happens from now on."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge, _("Done"), "")
        self.state = Callout()
        self.facts = Facts()
        panel = Panel()
        panel.body.addWidget(self.facts)
        self.body.addWidget(self.state)
        self.body.addWidget(panel)
        bridge.snapshot_changed.connect(self._show)

    def opened(self) -> None:
        self._show()

    def _show(self, _snapshot: object = None) -> None:
        if self.bridge.node is None or not self.isVisible():
            return
        view, now_s = self.bridge.node.vpn.view, self._now_s()
        look, title, text = outcome(view, now_s)
        self.state.say(look, title, text)
        self.facts.show_facts(fact_rows(view, now_s))

    def _now_s(self) -> float:
        return self.bridge.snapshot.at_s if self.bridge.snapshot is not None else time.time()

    def next_words(self) -> str:
        return _("Finish")
