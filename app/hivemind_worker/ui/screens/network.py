"""Network: whether a VPN is there, who can reach this computer at which address, and whom it calls."""

from __future__ import annotations

from PySide6.QtCore import Qt

from hivemind_worker.model.network_view import NetworkView
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.health import verdicts
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.network_words import address_rows, tunnel_facts, tunnel_look, tunnel_words
from hivemind_worker.presentation.page_facts import Connection, connections
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.facts import Facts
from hivemind_worker.ui.parts.panels import Callout, Panel, column, fill_page, line, row
from hivemind_worker.ui.parts.rows_table import Cell, Column, RowsTable
from hivemind_worker.ui.parts.side_by_side import SideBySide
from hivemind_worker.ui.parts.text import Label, StateBadge
from hivemind_worker.ui.screens import Screen
from hivemind_worker.ui.theme import theme

RIGHT_PX = 420
ABOUT_NETWORK = ("loopback_only", "pool_unreachable", "pool_mute")


class Network(Screen):
    """What is known of the networks now."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self._view: NetworkView | None = None
        self.trouble = Callout(Button(_("Try now"), "refresh", pressed=self._reconnect))
        self.trouble.hide()
        self.badge, self.title = StateBadge(36), Label("", "title", wrap=True)
        self.detail = Label("", "second", wrap=True)
        self.facts = Facts()
        self.tunnel = Panel()
        self.doors = Panel(_("Who can reach this app"))
        self.door_table = RowsTable(
            (Column(_("What")), Column(_("Address")), Column(_("Reach"), wide=True)),
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
        words = column(1)
        words.addWidget(self.title)
        words.addWidget(self.detail)
        head = row(12, margins=(16, 13, 16, 13))
        head.addWidget(self.badge, 0, Qt.AlignmentFlag.AlignTop)
        head.addLayout(words, 1)
        self.tunnel.body.addLayout(head)
        self.tunnel.body.addWidget(line())
        self.tunnel.body.addWidget(self.facts)
        self.note.setContentsMargins(16, 9, 16, 9)
        self.doors.body.addWidget(self.door_table)
        self.doors.body.addWidget(self.note)
        self.addresses.body.addWidget(self.address_table)
        top = row(12)
        top.addWidget(Label(_("Network"), "title"))
        top.addStretch(1)
        top.addWidget(Button(_("Look again"), "refresh", pressed=self.opened))
        both = SideBySide(right_px=RIGHT_PX, least_left_px=400)
        both.add((self.tunnel, self.addresses), (self.doors,))
        inside = column(12, margins=(gutter, 12, gutter, gutter))
        inside.addLayout(top)
        inside.addWidget(self.trouble)
        inside.addWidget(both)
        fill_page(self, inside)

    def opened(self) -> None:
        self.bridge.query("network", lambda node: node.care.network(), self._got)

    def _got(self, view: NetworkView) -> None:
        self._view = view
        if self.bridge.snapshot is not None:
            self.render_picture(self.bridge.snapshot)

    def _reconnect(self) -> None:
        if self.bridge.node is not None:
            self.bridge.node.reconnect()

    def render_picture(self, snapshot: Snapshot) -> None:
        view = self._view
        if view is None:
            return
        look = tunnel_look(view)
        self.badge.show_state(look.tone, look.icon, look.word)
        title, detail = tunnel_words(view, snapshot)
        self.title.setText(title)
        self.detail.setText(detail)
        self.facts.show_facts(tunnel_facts(view, snapshot))
        self.door_table.show_rows([_door(each) for each in connections(snapshot, view.dashboard or "–")])
        self.door_table.fit_height(6)
        self.address_table.show_rows([tuple(Cell(text) for text in each) for each in address_rows(view)])
        self.address_table.fit_height(10)
        found = next((each for each in verdicts(snapshot) if each.code in ABOUT_NETWORK), None)
        self.trouble.setVisible(found is not None)
        if found is not None:
            self.trouble.say(
                Look(tone="warning", icon="warning", word=_("trouble")), found.text, found.action
            )


def _door(each: Connection) -> tuple[Cell, ...]:
    ink = f"state-{each.look.tone}-ink"
    return Cell(each.name), Cell(each.address, kind="mono"), Cell(each.reach, each.look.icon, ink)
