"""Pools: the active one, those kept, the one built in; and beside them `sending_panels`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from hivemind_worker.model.pools import KeptPool, Leaving
from hivemind_worker.model.snapshot import LinkState, Snapshot
from hivemind_worker.model.task import Problem, Task
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.health import unended
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.pool_words import (
    PoolRow,
    is_gone,
    pool_card,
    pool_row,
    pool_title,
    switch_question,
    switching_words,
    told_facts,
)
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.dialogs import Choice, Dialog, Question
from hivemind_worker.ui.fleet_panel import FleetPanel
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.facts import FactColumns, Facts
from hivemind_worker.ui.parts.flow import flowing
from hivemind_worker.ui.parts.learn_more import LearnMore
from hivemind_worker.ui.parts.panels import Callout, Panel, column, fill_page, line, row
from hivemind_worker.ui.parts.side_by_side import SideBySide
from hivemind_worker.ui.parts.text import Label, Sentence, StateBadge, set_kind
from hivemind_worker.ui.screens import Screen
from hivemind_worker.ui.sending_panels import SendingPanels
from hivemind_worker.ui.sign_in import SignIn
from hivemind_worker.ui.theme import theme

LOOKED_BACK = 200
RIGHT_WIDTH = 356


class ActivePool(Panel):
    """The pool that work comes from."""

    def __init__(self, screen: Pools) -> None:
        super().__init__()
        self._screen, self._address, self._user = screen, "", ""
        set_kind(self, "panel", active="true")
        self.badge = StateBadge(36)
        self.title, self.word = Sentence("", "title"), Label("", "strong")
        self.detail = Sentence("", "second")
        self.facts = FactColumns(4)
        self.button = Button(_("Sign in…"), kind="primary", pressed=self._sign_in)
        head = row(12)
        head.addWidget(self.title, 1)
        head.addWidget(self.word)
        words_column = column(2)
        words_column.addLayout(head)
        words_column.addWidget(self.detail)
        words_column.addSpacing(8)
        words_column.addWidget(self.facts)
        inside = row(12, margins=(16, 12, 16, 12))
        inside.addWidget(self.badge, 0, Qt.AlignmentFlag.AlignTop)
        inside.addLayout(words_column, 1)
        inside.addWidget(self.button, 0, Qt.AlignmentFlag.AlignTop)
        self.body.addLayout(inside)

    def show_picture(self, snapshot: Snapshot, pool: KeptPool | None, ended: tuple[Task, ...]) -> None:
        """Say how things stand with it."""
        card = pool_card(snapshot, pool, ended)
        self.badge.show_state(card.look.tone, card.look.icon, card.look.word)
        self.title.setText(card.title)
        self.word.setText(card.look.word)
        self.detail.setText(card.detail)
        self.facts.show_facts(card.facts)
        self.setAccessibleName(f"{card.title}: {card.look.word}")
        self._address, self._user = snapshot.pool.address, snapshot.pool.user
        self.button.setVisible(snapshot.pool.link in (LinkState.NOT_LOGGED_IN, LinkState.LOGIN_REFUSED))

    def _sign_in(self) -> None:
        self._screen.sign_in(self._address, self._user)


class KeptRow(QWidget):
    """A pool that is kept and not in use."""

    def __init__(self, screen: Pools, words: PoolRow) -> None:
        super().__init__()
        self.words = words
        badge = StateBadge(36)
        badge.show_state(words.look.tone, words.look.icon, words.look.word)
        text = column(1)
        text.addWidget(Sentence(words.address, "strong"))
        text.addWidget(Sentence(words.detail, "small"))
        if words.can_switch:
            button = Button(_("Switch…"), pressed=partial(screen.ask_to_switch, words.address))
        else:
            button = Button(_("Sign in…"), pressed=partial(screen.sign_in, words.address, words.user))
        button.setAccessibleName(f"{button.text()} {words.address}")
        forget = Button(_("Forget…"), kind="quiet", pressed=partial(screen.ask_to_forget, words.address))
        forget.setAccessibleName(_("Forget {pool}", pool=words.address))
        inside = row(12, margins=(16, 10, 12, 10))
        inside.addWidget(badge)
        inside.addLayout(text, 1)
        inside.addWidget(button)
        inside.addWidget(forget)
        self.setLayout(inside)


class KeptPools(Panel):
    """The list of those; a row is made anew when its words have changed."""

    def __init__(self, screen: Pools) -> None:
        super().__init__(_("Kept"), note=_("one pool is active at a time"))
        self._screen, self._shown = screen, list[PoolRow]()
        self.rows: list[KeptRow] = []
        self._list = column()
        self.empty = Label(_("No other pool is kept."), "hint")
        self.empty.setContentsMargins(16, 10, 16, 10)
        self.body.addLayout(self._list)
        self.body.addWidget(self.empty)

    def show_rows(self, rows: list[PoolRow]) -> None:
        """Show exactly these."""
        if rows == self._shown:
            return
        self._shown = rows
        while (item := self._list.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self.rows = [KeptRow(self._screen, words) for words in rows]
        for number, made in enumerate(self.rows):
            if number:
                self._list.addWidget(line())
            self._list.addWidget(made)
        self.empty.setVisible(not rows)


class TryHere(Panel):
    """The pool that is built in."""

    def __init__(self, screen: Pools) -> None:
        super().__init__()
        self._screen = screen
        badge = StateBadge(36)
        badge.show_state("offline", "home")
        self.text = Label("", "small", wrap=True)
        words_column = column(1)
        words_column.addWidget(Label(_("Try it on this computer"), "strong"))
        words_column.addWidget(self.text)
        self.button = Button("", "play", pressed=screen.toggle_demo)
        inside = row(12, margins=(16, 12, 16, 12))
        inside.addWidget(badge, 0, Qt.AlignmentFlag.AlignTop)
        inside.addLayout(words_column, 1)
        inside.addWidget(self.button)
        self.body.addLayout(inside)

    def show_state(self, *, runs: bool, before: str) -> None:
        """Say what it is, and what it does to the pool in use."""
        if runs:
            self.text.setText(_("It runs: send it a folder at the right. Nothing leaves this computer."))
        else:
            self.text.setText(_(
                "A small pool inside this app. Needs no account and no network; nothing leaves this computer"
                " and nothing is paid. {pool} waits meanwhile.", pool=before,
            ))  # fmt: skip
        self.button.set_text(_("Stop trying") if runs else _("Start demo"))
        self.button.set_icon("stop" if runs else "play")


class Pools(Screen):
    """The screen. What it does to pools and tasks goes through `NodeFace.pools` and `.sending`."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self._kept: tuple[KeptPool, ...] = ()
        self._ended: tuple[Task, ...] = ()
        self.dialog: Dialog | None = None
        self.switching = Callout(
            Button(_("Stay"), pressed=self._stay),
        )
        self.switching.hide()
        self.active, self.kept, self.demo = ActivePool(self), KeptPools(self), TryHere(self)
        self.fleet = FleetPanel(bridge)
        self.told, self.told_facts = Panel(_("What the pool is told about this computer")), Facts()
        self.told.body.addWidget(self.told_facts)
        self.sending = SendingPanels(bridge, self, self._show_dialog, self._told)
        self._lay_out()

    def _lay_out(self) -> None:
        gutter = theme().size("gutter")
        self.add_button = Button(_("Add a pool…"), "plus", pressed=self.sign_in)
        head = flowing(Label(_("Pools"), "title"), None, self.add_button, LearnMore(self.bridge), spacing=12)
        columns = SideBySide(right_px=RIGHT_WIDTH)
        columns.add(
            (self.switching, self.active, self.fleet, self.kept, self.demo, self.told),
            self.sending.all(),
        )
        inside = column(12, margins=(gutter, 12, gutter, gutter))
        inside.addLayout(head)
        inside.addWidget(columns)
        fill_page(self, inside)

    # --- what is asked ------------------------------------------------------------------------

    def take_files(self, paths: Sequence[Path]) -> None:
        for path in paths:
            self.sending.send(path)

    def opened(self) -> None:
        self._ask_kept()
        self.bridge.query("pool tasks", lambda node: node.ended_tasks(LOOKED_BACK), self._got_ended)

    def _ask_kept(self) -> None:
        self.bridge.query("kept pools", lambda node: node.pools.kept(), self._got_kept)

    def _got_kept(self, kept: tuple[KeptPool, ...]) -> None:
        self._kept = kept
        self._again()

    def _got_ended(self, ended: tuple[Task, ...]) -> None:
        self._ended = ended
        self._again()

    def _again(self) -> None:
        if self.bridge.snapshot is not None:
            self.render_picture(self.bridge.snapshot)

    # --- what is shown ------------------------------------------------------------------------

    def render_picture(self, snapshot: Snapshot) -> None:
        node = self.bridge.node
        if node is None:
            return
        if self._stale(snapshot):
            self._ask_kept()
        active = next((pool for pool in self._kept if pool.active), None)
        self.active.show_picture(snapshot, active, self._ended)
        self.fleet.look(snapshot)
        self.kept.show_rows([pool_row(pool, snapshot.at_s) for pool in self._kept if not pool.active])
        self.demo.show_state(runs=node.pools.demo_runs, before=snapshot.pool.address)
        self.told_facts.show_facts(told_facts(snapshot, node.settings.region, snapshot.pool.user))
        self.sending.send_panel.note.setText(_("to {pool}", pool=pool_title(active, snapshot)))
        self._show_switching(snapshot)
        self.sending.look(snapshot.at_s)

    def _stale(self, snapshot: Snapshot) -> bool:
        """Whether another pool is active than when the list was asked for."""
        active = next((pool.address for pool in self._kept if pool.active), None)
        known = any(pool.address == snapshot.pool.address for pool in self._kept)
        return active != snapshot.pool.address and (known or active is not None)

    def _show_switching(self, snapshot: Snapshot) -> None:
        self.switching.setVisible(bool(snapshot.switching_to))
        if snapshot.switching_to:
            title, text = switching_words(snapshot)
            self.switching.say(
                Look(tone="finishing", icon="tray-finishing", word=_("Switching")), title, text
            )

    # --- what is done -------------------------------------------------------------------------

    def sign_in(self, address: str = "", user: str = "") -> None:
        """Ask for a login."""
        self._show_dialog(SignIn(self, self.bridge, address=address, user=user, done=self._signed_in))

    def _signed_in(self, address: str) -> None:
        self._ask_kept()
        snapshot = self.bridge.snapshot
        if snapshot is not None and snapshot.pool.address != address:
            self.ask_to_switch(address)

    def ask_to_switch(self, address: str) -> None:
        """Ask what becomes of the tasks that are here."""
        snapshot = self.bridge.snapshot
        if snapshot is None:
            return
        title, text = switch_question(snapshot, address)
        choices = [Choice(key="finish", label=_("Switch"), kind="primary")]
        if unended(snapshot):
            choices = [
                Choice(key="finish", label=_("Finish first, then switch"), kind="primary"),
                Choice(key="stop", label=_("Stop them and switch")),
            ]
        if (unended(snapshot) or snapshot.owed_results) and is_gone(snapshot):
            note = _("Results that this pool does not take stay on this computer.")
            choices.append(Choice(key="keep", label=_("Leave results here"), note=note))
        answered = partial(self._switch, address)
        self._show_dialog(Question(self, title, text, choices, answered))

    def _switch(self, address: str, key: str) -> None:
        if key:
            leaving = Leaving(key)
            self.bridge.query("switch", lambda node: node.pools.switch(address, leaving), self._told)

    def _stay(self) -> None:
        self.bridge.query("stay", lambda node: node.pools.cancel_switch(), lambda _answer: None)

    def ask_to_forget(self, address: str) -> None:
        """Ask before a pool and its login are taken off the list."""
        title = _("Forget {pool}?", pool=address)
        text = _("Its login is removed from this computer. The account at the pool stays as it is.")
        choices = [
            Choice(key="forget", label=_("Forget it"), kind="danger"),
            Choice(key="", label=_("Cancel")),
        ]
        self._show_dialog(Question(self, title, text, choices, partial(self._forget, address)))

    def _forget(self, address: str, key: str) -> None:
        if key:
            self.bridge.query("forget pool", lambda node: node.pools.forget(address), self._forgotten)

    def _forgotten(self, problem: Problem | None) -> None:
        self._told(problem)
        self._ask_kept()

    def toggle_demo(self) -> None:
        """Start the built-in pool, or go back to the one of before."""
        node, snapshot = self.bridge.node, self.bridge.snapshot
        if node is None or snapshot is None:
            return
        if node.pools.demo_runs:
            self.bridge.query("demo", lambda node: node.pools.stop_demo(), self._told)
        else:
            self.bridge.query("demo", lambda node: node.pools.start_demo(), self._told)

    def _told(self, problem: Problem | None) -> None:
        if problem is not None:
            self.bridge.refused.emit(problem)
        self._ask_kept()

    def _show_dialog(self, dialog: Dialog) -> None:
        self.dialog = dialog
        dialog.finished.connect(lambda _code: self._forget_dialog(dialog))
        dialog.open()

    def _forget_dialog(self, dialog: Dialog) -> None:
        if self.dialog is dialog:
            self.dialog = None
