"""Home: why the worker is (not) working, what it does, earns and is trusted with, and what happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSizePolicy, QWidget

from hivemind_worker.model.pools import Balance
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.model.task import Task
from hivemind_worker.presentation.amounts import DAY_S
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.fault_details import cause_told
from hivemind_worker.presentation.health import unended
from hivemind_worker.presentation.ledger import days
from hivemind_worker.presentation.moments import when
from hivemind_worker.presentation.opening_words import RULES
from hivemind_worker.presentation.page_tasks import Happening, happenings
from hivemind_worker.presentation.page_words import Button as ButtonWords
from hivemind_worker.presentation.page_words import Cause, Way, buttons, causes, headline, subline, way
from hivemind_worker.ui import wishes
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.fault_details import show_details
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.flow import Columns, flowing
from hivemind_worker.ui.parts.panels import (
    BESIDE_BADGE,
    FactLine,
    FactRows,
    Panel,
    column,
    fill_page,
    row,
)
from hivemind_worker.ui.parts.text import Label, StateBadge
from hivemind_worker.ui.screens import Screen
from hivemind_worker.ui.screens.last_hour import LastHour
from hivemind_worker.ui.theme import theme
from hivemind_worker.ui.tiles import EarnedTile, RunningTile, TrustTile

LATEST, LOOKED_BACK, CAUSES, DAYS = 5, 100, 6, 14
WORDS_PX = 230
"""The room that a headline needs beside its buttons."""


class Verdicts(Panel):
    """The headline with its state, what to press, and the causes below it."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.bridge, self._place = bridge, ""
        self.badge, self.headline = StateBadge(), Label("", "headline", wrap=True)
        self.subline = Label("", "second", wrap=True)
        self.causes = FactRows(left=self.badge.sizeHint().width() + BESIDE_BADGE)
        self._first: Cause | None = None
        self.details = Button(_("Details"), kind="link", pressed=self._show_first)
        self.way = Button("", pressed=lambda: bridge.place_wanted.emit(self._place))
        self._buttons: dict[str, Button] = {}
        self._at_right = row(12)
        self._at_right.addWidget(self.way)
        said, words = QWidget(), column(1)
        words.addWidget(self.headline)
        words.addWidget(self.subline)
        said.setLayout(words)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        said.setSizePolicy(policy)
        said.setMinimumWidth(round(WORDS_PX * theme().scale))
        acts = QWidget()
        acts.setLayout(self._at_right)
        head = row(BESIDE_BADGE, margins=(16, 11, 16, 10))
        head.addWidget(self.badge, 0, Qt.AlignmentFlag.AlignTop)
        head.addLayout(flowing(said, None, self.details, acts, spacing=12), 1)
        self.body.addLayout(head)
        self.body.addWidget(self.causes)

    def show_picture(self, snapshot: Snapshot, last_ended_s: float | None) -> None:
        """Say how it is."""
        first = self._first = headline(snapshot)
        self.details.setVisible(bool(first.code))
        self.badge.show_state(first.look.tone, first.look.icon, first.look.word)
        self.headline.setText(first.text.rstrip("."))
        self._show_way(way(snapshot))
        said = " · ".join(part for part in (first.action, subline(snapshot, last_ended_s)) if part)
        self.subline.setText(said)
        self.subline.setVisible(bool(said))
        self._show_buttons([words for words in buttons(snapshot) if words.action != "pause"])
        node = self.bridge.node
        found = causes(snapshot, node.settings)[:CAUSES] if node is not None else ()
        self.causes.show_lines([self._line(cause, snapshot.at_s) for cause in found])

    def _line(self, cause: Cause, now_s: float) -> FactLine:
        shown = _cause_line(cause, now_s)
        if cause.press is not None:
            shown = replace(shown, link=cause.press.label, pressed=self._acts()[cause.press.action])
        elif cause.way is not None and not (self.way.isVisibleTo(self) and cause.way.place == self._place):
            place = cause.way.place
            shown = replace(shown, link=cause.way.label, pressed=lambda: self.bridge.place_wanted.emit(place))
        if not cause.code:
            return shown
        return replace(shown, more=_("Details"), opened=lambda: self._show_details(cause))

    def _show_way(self, found: Way | None) -> None:
        self.way.setVisible(found is not None)
        if found is not None:
            self._place = found.place
            self.way.set_text(found.label)

    def _show_first(self) -> None:
        if self._first is not None:
            self._show_details(self._first)

    def _show_details(self, cause: Cause) -> None:
        if self.bridge.snapshot is not None:
            show_details(self, self.bridge, cause_told(cause, self.bridge.snapshot.at_s))

    def _show_buttons(self, wanted: list[ButtonWords]) -> None:
        for words in wanted:
            if words.action not in self._buttons:
                kind = "primary" if words.main else ""
                button = Button(words.label, words.icon, kind, self._acts()[words.action])
                self._buttons[words.action] = button
                self._at_right.addWidget(button)
            self._buttons[words.action].set_text(words.label)
        for action, button in self._buttons.items():
            button.setVisible(any(words.action == action for words in wanted))

    def _acts(self) -> dict[str, Callable[[], object]]:
        bridge = self.bridge
        return {
            "resume": lambda: wishes.resume(bridge),
            "finish": lambda: wishes.finish(bridge),
            "anyway": lambda: wishes.run_anyway(bridge),
            "heed": lambda: wishes.run_by(bridge, RULES),
            "gpu": lambda: wishes.hold_gpu(bridge, paused=False),
            "retry": lambda: wishes.retry(bridge),
            "fetch-image": lambda: bridge.node.fetch_image() if bridge.node is not None else None,
            "stop-fetch": lambda: bridge.node.stop_fetch() if bridge.node is not None else None,
            "reconnect": lambda: bridge.node.reconnect() if bridge.node is not None else None,
        }


def _cause_line(cause: Cause, now_s: float) -> FactLine:
    right = ""
    if cause.ends_at_s is not None:
        right = _("until {time}", time=when(cause.ends_at_s, now_s))
    elif cause.since_s is not None:
        right = _("since {time}", time=when(cause.since_s, now_s))
    text = " ".join(part for part in (cause.text, cause.action) if part)
    return FactLine(look=cause.look, text=text, right=right)


class Latest(Panel):
    """What happened latest, newest first."""

    def __init__(self, all_events: Callable[[], object]) -> None:
        super().__init__(_("Latest"), Button(_("All events"), kind="link", pressed=all_events))
        self.lines = FactRows(left=44, lines=False)
        self.body.addSpacing(2)
        self.body.addWidget(self.lines)
        self.empty = Label(_("Nothing has happened yet."), "hint")
        self.empty.setContentsMargins(16, 4, 16, 4)
        self.body.addWidget(self.empty)
        self.body.addSpacing(4)

    def show_happenings(self, found: tuple[Happening, ...], now_s: float) -> None:
        """Show these."""
        self.lines.show_lines([_happening_line(happening, now_s) for happening in found])
        self.empty.setVisible(not found)


def _happening_line(happening: Happening, now_s: float) -> FactLine:
    words = (happening.before, happening.name[:40], happening.after)
    text = " ".join(part for part in words if part)
    right = " · ".join(part for part in (happening.aside, when(happening.at_s, now_s)) if part)
    return FactLine(look=happening.look, text=text, right=right)


class Home(Screen):
    """The first place."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self.verdicts, self.latest = Verdicts(bridge), Latest(lambda: self._go("logs"))
        self.last_hour = LastHour(bridge)
        self.running, self.earned, self.trust = RunningTile(), EarnedTile(), TrustTile()
        self._ended: tuple[Task, ...] = ()
        self._balances: tuple[Balance, ...] = ()
        self._open_keys: frozenset[str] = frozenset()
        gutter = theme().size("gutter")
        inside = column(12, margins=(gutter, 14, gutter, 12))
        tiles = Columns(self.running, self.earned, self.trust)
        for part in (self.verdicts, tiles, self.last_hour, self.latest):
            inside.addWidget(part)
        fill_page(self, inside)

    def _go(self, place: str) -> None:
        self.bridge.place_wanted.emit(place)

    def opened(self) -> None:
        self.bridge.query("latest", lambda node: node.ended_tasks(LOOKED_BACK), self._got_ended)
        snapshot = self.bridge.snapshot
        if snapshot is not None:
            self.last_hour.show_picture(snapshot, anew=True)
            pool, from_s = snapshot.pool, snapshot.at_s - DAYS * DAY_S
            self.bridge.query(
                "balances",
                lambda node: node.pools.balances(pool.address, pool.user, from_s),
                self._got_balances,
            )

    def _got_balances(self, balances: tuple[Balance, ...]) -> None:
        self._balances = balances
        if self.bridge.snapshot is not None:
            self.render_picture(self.bridge.snapshot)

    def _got_ended(self, ended: tuple[Task, ...]) -> None:
        self._ended = ended
        if self.bridge.snapshot is not None:
            self.render_picture(self.bridge.snapshot)

    def render_picture(self, snapshot: Snapshot) -> None:
        open_keys = frozenset(task.key for task in unended(snapshot))
        ended, self._open_keys = self._open_keys - open_keys, open_keys
        if ended:
            self.opened()
        last_s = max((task.ended_at_s or 0 for task in self._ended), default=None)
        self.verdicts.show_picture(snapshot, last_s)
        self.running.show_picture(snapshot)
        self.last_hour.show_picture(snapshot)
        self.earned.show_days(snapshot, days(self._ended, self._balances, snapshot.at_s, DAYS))
        self.trust.show_picture(snapshot)
        self.latest.show_happenings(happenings(snapshot, self._ended, LATEST), snapshot.at_s)
