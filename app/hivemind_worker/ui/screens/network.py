"""Network: the pool's tunnel and its checks, who can reach this computer, and its addresses."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from hivemind_worker.model.network_view import NetworkView
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.model.task import Problem
from hivemind_worker.model.vpn import Exposure, VpnState, VpnView
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.health import verdicts
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.network_words import address_rows, door_row, tunnel_look, tunnel_words
from hivemind_worker.presentation.page_facts import pool_look
from hivemind_worker.presentation.page_words import ABSENT
from hivemind_worker.presentation.troubles import ABOUT_NETWORK
from hivemind_worker.presentation.vpn import fact_rows
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.fault_details import say_problem
from hivemind_worker.ui.parts.buttons import Button, Switch
from hivemind_worker.ui.parts.facts import Facts
from hivemind_worker.ui.parts.flow import flowing
from hivemind_worker.ui.parts.ladder import Ladder
from hivemind_worker.ui.parts.learn_more import LearnMore
from hivemind_worker.ui.parts.panels import Callout, Panel, column, fill_page, line, row
from hivemind_worker.ui.parts.rows_table import Cell, Column, RowsTable
from hivemind_worker.ui.parts.side_by_side import SideBySide
from hivemind_worker.ui.parts.text import Label, StateBadge, set_kind
from hivemind_worker.ui.screens import Screen
from hivemind_worker.ui.theme import theme
from hivemind_worker.ui.vpn_setup.window import VpnSetup

RIGHT_PX = 404
UP = (VpnState.STARTING, VpnState.CONNECTED, VpnState.STALE, VpnState.BLOCKED)


class Network(Screen):
    """What is known of the networks now, and the tunnel's switch."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self._view: NetworkView | None = None
        self._tunnel: VpnView | None = None
        self.setup: VpnSetup | None = None
        self.trouble = Callout(Button(_("Try now"), "refresh", pressed=self._reconnect))
        self.trouble.hide()
        self.tunnel = TunnelPanel(bridge, self.set_up)
        self.ladder = Ladder(bridge, reconnect=self._up_and_check, set_up=self.set_up)
        self.doors = Panel(_("Who can reach this app"))
        self.door_table = RowsTable(
            (Column(_("What"), wide=True), Column(_("Address")), Column(_("VPN")), Column(_("LAN"))),
            _("Who can reach this app"),
        )
        self.note = Label(_("Tasks themselves reach neither the VPN nor your network."), "small", wrap=True)
        self.addresses = Panel(_("Addresses of this computer"))
        self.address_table = RowsTable(
            (Column(_("Interface")), Column(_("Address")), Column(_("Kind"), wide=True)),
            _("Addresses of this computer"),
        )
        self._lay_out()

    def _lay_out(self) -> None:
        gutter = theme().size("gutter")
        self.note.setContentsMargins(16, 9, 16, 9)
        self.doors.body.addWidget(self.door_table)
        self.doors.body.addWidget(self.note)
        self.addresses.body.addWidget(self.address_table)
        again = Button(_("Look again"), "refresh", pressed=self.opened)
        top = flowing(Label(_("Network"), "title"), None, again, LearnMore(self.bridge), spacing=12)
        both = SideBySide(right_px=RIGHT_PX, least_left_px=400)
        both.add((self.tunnel, self.doors, self.addresses), (self.ladder,))
        inside = column(12, margins=(gutter, 12, gutter, gutter))
        inside.addLayout(top)
        inside.addWidget(self.trouble)
        inside.addWidget(both)
        fill_page(self, inside)

    def opened(self) -> None:
        self.bridge.query("network", lambda node: node.care.network(), self._got)
        self.bridge.query("ports", lambda node: node.vpn.exposure(), self._got_ports)

    def _got(self, view: NetworkView) -> None:
        self._view = view
        if self.bridge.snapshot is not None:
            self.render_picture(self.bridge.snapshot)

    def _got_ports(self, rows: tuple[Exposure, ...]) -> None:
        self.door_table.show_rows([_door(each) for each in rows])
        self.door_table.fit_height(6)

    def _reconnect(self) -> None:
        if self.bridge.node is not None:
            self.bridge.node.reconnect()

    def _up_and_check(self) -> None:
        self.tunnel.wish("up", then=self.ladder.climb)

    def set_up(self) -> None:
        """Open the set-up of the pool's network."""
        if self.setup is None:
            self.setup = VpnSetup(self.bridge, self.window())
            self.setup.finished.connect(self._set_up_ended)
            self.setup.open()

    def _set_up_ended(self) -> None:
        self.setup = None
        self.opened()

    def render_picture(self, snapshot: Snapshot) -> None:
        self.tunnel.show_tunnel(snapshot)
        if self._tunnel is not None and self._tunnel.state is not snapshot.vpn.state:
            self.bridge.query("ports", lambda node: node.vpn.exposure(), self._got_ports)
        self._tunnel = snapshot.vpn
        if self._view is not None:
            rows = address_rows(self._view)
            self.address_table.show_rows([tuple(Cell(text) for text in each) for each in rows])
            self.address_table.fit_height(10)
        found = next((each for each in verdicts(snapshot) if each.code in ABOUT_NETWORK), None)
        self.trouble.setVisible(found is not None)
        if found is not None:
            self.trouble.say(
                Look(tone="warning", icon="warning", word=_("trouble")), found.text, found.action
            )


class TunnelPanel(Panel):
    """How the tunnel is by its last handshake, and what can be done with it."""

    def __init__(self, bridge: Bridge, set_up: Callable[[], object]) -> None:
        super().__init__()
        self.bridge = bridge
        self._command = self._key = ""
        self.badge, self.title = StateBadge(36), Label("", "title", wrap=True)
        self.detail = Label("", "second", wrap=True)
        self.facts = Facts()
        self.refused = Callout()
        self.refused.hide()
        self.connect_it = Button(_("Connect"), kind="primary", pressed=lambda: self.wish("up"))
        self.disconnect_it = Button(_("Disconnect"), pressed=lambda: self.wish("down"))
        self.back = Button(_("Previous profile"), "history", pressed=lambda: self.wish("go_back"))
        self.set_up = Button(_("Set up…"), "download", pressed=set_up)
        self.copy = Button(_("Copy the command"), "copy", pressed=lambda: self._copy(self._command))
        self.copy_key = Button(_("Copy your public key"), kind="link", pressed=lambda: self._copy(self._key))
        self.auto = Switch(_("Connect by itself"))
        self.auto.setAccessibleName(_("Connect by itself"))
        self.auto.clicked.connect(self._switch)
        self._lay_out()

    def _lay_out(self) -> None:
        beside = column(1)
        beside.addWidget(self.title)
        beside.addWidget(self.detail)
        head = row(12, margins=(16, 13, 16, 13))
        head.addWidget(self.badge, 0, Qt.AlignmentFlag.AlignTop)
        head.addLayout(beside, 1)
        foot = row(8, margins=(16, 10, 16, 10))
        for button in (self.connect_it, self.disconnect_it, self.copy, self.back):
            foot.addWidget(button)
        foot.addStretch(1)
        foot.addWidget(self.set_up)
        by_itself = row(8, margins=(16, 4, 16, 8))
        by_itself.addWidget(self.auto)
        by_itself.addStretch(1)
        by_itself.addWidget(self.copy_key)
        self.body.addLayout(head)
        self.body.addWidget(self.refused)
        self.body.addWidget(line())
        self.body.addWidget(self.facts)
        self.body.addLayout(by_itself)
        self.body.addWidget(line())
        self.body.addLayout(foot)

    def show_tunnel(self, snapshot: Snapshot) -> None:
        """Take the state of now."""
        view = snapshot.vpn
        look = tunnel_look(view)
        title, detail = tunnel_words(view, snapshot.at_s)
        self.badge.show_state(look.tone, look.icon, look.word)
        self.title.setText(title)
        self.detail.setText(detail)
        pool = f"{snapshot.pool.address or ABSENT}, {pool_look(snapshot).word}"
        told = snapshot.grpc_address or ABSENT
        found = view.state not in (VpnState.NOT_SET_UP, VpnState.NOT_NEEDED)
        known = fact_rows(view, snapshot.at_s)[:-1] if found else ()  # the key has a button
        self.facts.show_facts(((_("Pool"), pool), (_("Told to the pool"), told), *known))
        mine = view.has_profile and not view.command
        up = view.state in UP and view.is_ours
        first = not view.has_profile and not view.interface and view.state is not VpnState.NOT_NEEDED
        set_kind(self.set_up, "primary" if first else "")
        self.set_up.set_icon("download", "on-accent" if first else "text")
        self.connect_it.setVisible(mine and not up)
        self.disconnect_it.setVisible(mine and up)
        self.copy.setVisible(bool(view.command) and view.has_profile)
        self.back.setVisible(view.has_previous)
        self.auto.setVisible(mine)
        self.auto.setChecked(view.joins_by_itself)
        self.copy_key.setVisible(bool(view.own_key))
        self._command, self._key = view.command, view.own_key

    def wish(self, verb: str, then: Callable[[], object] = lambda: None) -> None:
        """up, down or go_back; a refusal is told here."""

        def done(problem: Problem | None) -> None:
            self.refused.setVisible(problem is not None)
            if problem is not None:
                say_problem(self.refused, self.bridge, problem)
            then()

        self.bridge.query(f"vpn {verb}", lambda node: getattr(node.vpn, verb)(), done)

    def _switch(self, on: bool) -> None:
        self.bridge.query("vpn auto", lambda node: node.vpn.set_auto(on), lambda _problem: None)

    def _copy(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)


def _door(each: Exposure) -> tuple[Cell, ...]:
    title, address, by_vpn, by_lan = door_row(each)
    seen = "state-warning-ink" if each.lan else "text-2"
    return (
        Cell(title), Cell(address, kind="mono"),
        Cell(by_vpn, "dash" if each.vpn == "no" else "check"),
        Cell(by_lan, "warning" if each.lan else "dash", seen),
    )  # fmt: skip
