"""Account: the login in use, its balance now and over time, how it travels, receipts; signing out."""

from __future__ import annotations

from PySide6.QtCore import Qt

from hivemind_worker.model.pools import Balance, KeptPool
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.presentation.account_words import account_title, account_words, balance_rows
from hivemind_worker.presentation.amounts import DAY_S
from hivemind_worker.presentation.catalogue import _, translate_many
from hivemind_worker.presentation.moments import day
from hivemind_worker.ui.bars import BalanceLine
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.dialogs import Choice, Dialog, Question
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.facts import Facts
from hivemind_worker.ui.parts.flow import flowing
from hivemind_worker.ui.parts.panels import Panel, column, fill_page, line, row
from hivemind_worker.ui.parts.rows_table import Cell, Column, RowsTable
from hivemind_worker.ui.parts.side_by_side import SideBySide
from hivemind_worker.ui.parts.text import Label, Sentence, StateBadge
from hivemind_worker.ui.receipts_panel import ReceiptsPanel
from hivemind_worker.ui.screens import Screen
from hivemind_worker.ui.sign_in import SignIn
from hivemind_worker.ui.theme import theme

DAYS = 14
RIGHT_PX = 464


class Account(Screen):
    """The account at the active pool."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self._balances: tuple[Balance, ...] = ()
        self._kept: tuple[KeptPool, ...] = ()
        self._asked_for = ("", "", None)
        self.dialog: Dialog | None = None
        self.others = Label("", "small")
        self.badge, self.title = StateBadge(44), Sentence("", "title")
        self.detail = Label("", "second", wrap=True)
        self.sign_in_button = Button(_("Sign in…"), kind="primary", pressed=self.sign_in)
        self.sign_out_button = Button(_("Sign out…"), pressed=self.ask_to_sign_out)
        self.facts = Facts()
        self.balance_panel = Panel(_("Balance"), note=_("last {days} days", days=DAYS))
        self.balance_line = BalanceLine(_("Balance over time"))
        self.nothing = Label(_("Nothing is known yet: the balance is noted from now on."), "hint", wrap=True)
        self.table = RowsTable(
            (Column(_("Day"), wide=True), Column(_("Earned"), numbers=True), Column(_("Spent"), numbers=True),
             Column(_("Balance"), numbers=True)), _("Balance by day"),
        )  # fmt: skip
        self.table.setProperty("kind", "panel")
        self.receipts = ReceiptsPanel(bridge)
        self._lay_out()

    def _lay_out(self) -> None:
        gutter = theme().size("gutter")
        head = flowing(Label(_("Account"), "title"), None, self.others, spacing=12)
        self.panel = Panel()
        words = column(2)
        words.addWidget(self.title)
        words.addWidget(self.detail)
        top = row(14, margins=(16, 13, 16, 13))
        top.addWidget(self.badge, 0, Qt.AlignmentFlag.AlignTop)
        top.addLayout(words, 1)
        top.addWidget(self.sign_in_button)
        top.addWidget(self.sign_out_button)
        self.panel.body.addLayout(top)
        self.panel.body.addWidget(line())
        self.panel.body.addWidget(self.facts)
        holder = column(8, margins=(16, 12, 16, 12))
        holder.addWidget(self.balance_line)
        holder.addWidget(self.nothing)
        self.balance_panel.body.addLayout(holder)
        both = SideBySide(right_px=RIGHT_PX, least_left_px=340)
        both.add((self.balance_panel, self.table), (self.receipts,))
        inside = column(12, margins=(gutter, 12, gutter, gutter))
        inside.addLayout(head)
        inside.addWidget(self.panel)
        inside.addWidget(both)
        fill_page(self, inside)

    # --- what is asked ------------------------------------------------------------------------

    def opened(self) -> None:
        self.receipts.ask()
        self.bridge.query("kept pools", lambda node: node.pools.kept(), self._got_kept)
        snapshot = self.bridge.snapshot
        if snapshot is None:
            return
        pool, from_s = snapshot.pool, snapshot.at_s - DAYS * DAY_S
        self.bridge.query(
            "balances", lambda node: node.pools.balances(pool.address, pool.user, from_s), self._got_balances
        )

    def _got_kept(self, kept: tuple[KeptPool, ...]) -> None:
        self._kept = kept
        others = sum(not pool.active for pool in kept)
        said = translate_many(
            "{count} other account is kept under Pools", "{count} other accounts are kept under Pools", others
        )
        self.others.setText(said if others else "")

    def _got_balances(self, balances: tuple[Balance, ...]) -> None:
        self._balances = balances
        self._draw()

    # --- what is shown ------------------------------------------------------------------------

    def render_picture(self, snapshot: Snapshot) -> None:
        asked_for = (snapshot.pool.address, snapshot.pool.user, snapshot.pool.balance)
        if asked_for != self._asked_for:
            self._asked_for = asked_for  # type: ignore[assignment]
            self.opened()
        self.receipts.follow(snapshot)
        words = account_words(snapshot)
        self.badge.show_state(words.look.tone, words.look.icon, words.look.word)
        self.title.setText(account_title(snapshot))
        self.detail.setText(words.detail)
        self.facts.show_facts(words.facts)
        self.sign_in_button.setVisible(words.needs_sign_in)
        self.sign_out_button.setVisible(not words.needs_sign_in)

    def _draw(self) -> None:
        snapshot = self.bridge.snapshot
        if snapshot is None:
            return
        begin_s, now_s = snapshot.at_s - DAYS * DAY_S, snapshot.at_s
        points = [
            (min(1.0, max(0.0, (each.at_s - begin_s) / (now_s - begin_s))), float(each.amount))
            for each in self._balances
        ]
        self.balance_line.show_line(points, (day(begin_s), _("today")))
        self.balance_line.setVisible(bool(points))
        self.nothing.setVisible(not points)
        rows = balance_rows(self._balances, now_s, DAYS)
        self.table.show_rows([tuple(Cell(text) for text in each) for each in rows])
        self.table.fit_height(DAYS)
        self.table.setVisible(bool(points))

    # --- what is done -------------------------------------------------------------------------

    def sign_in(self) -> None:
        """Ask for the login of the active pool."""
        snapshot = self.bridge.snapshot
        address = snapshot.pool.address if snapshot is not None else ""
        user = snapshot.pool.user if snapshot is not None else ""
        self._show_dialog(SignIn(self, self.bridge, address=address, user=user))

    def ask_to_sign_out(self) -> None:
        """Ask before the login is removed."""
        snapshot = self.bridge.snapshot
        if snapshot is None:
            return
        address = snapshot.pool.address
        title = _("Sign out of {pool}?", pool=address)
        text = _("The password is removed from this computer. Running tasks go on; finished results are kept"
                 " until you sign in again.")  # fmt: skip
        choices = [Choice(key="out", label=_("Sign out"), kind="danger"), Choice(key="", label=_("Cancel"))]

        def answered(key: str) -> None:
            if key:
                self.bridge.query(
                    "sign out", lambda node: node.pools.sign_out(address), lambda _none: self.opened()
                )

        self._show_dialog(Question(self, title, text, choices, answered))

    def _show_dialog(self, dialog: Dialog) -> None:
        self.dialog = dialog
        dialog.finished.connect(self._forget_dialog)
        dialog.open()

    def _forget_dialog(self) -> None:
        self.dialog = None
