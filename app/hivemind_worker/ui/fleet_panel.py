"""The owner's machines at the active pool: how each stands, and pausing, resuming, finishing one or all."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMenu, QWidget

from hivemind_worker.model.fleet import Fleet, Told, WishKind
from hivemind_worker.model.pools import is_asked
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.faults import words
from hivemind_worker.presentation.fleet import WISHES, MachineRow, fleet_line, fleet_rows, told_words
from hivemind_worker.presentation.moments import next_morning
from hivemind_worker.presentation.opening_words import SNOOZES_MIN, until_tomorrow
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.icons import icon
from hivemind_worker.ui.parts.buttons import Button, MenuButton
from hivemind_worker.ui.parts.panels import INSIDE, Panel, column, line, row
from hivemind_worker.ui.parts.text import Sentence, StateBadge

ASKED_EVERY_S = 3.0
MINUTE_S = 60.0
Wished = Callable[[WishKind, float | None], object]


class WishButtons(QWidget):
    """Pause (for how long), Resume, Finish: of one machine or of all."""

    def __init__(self, name: str, wished: Wished) -> None:
        """`name`: the machine; "" for all."""
        super().__init__()
        self.buttons: dict[WishKind, Button | MenuButton] = {}
        inside = row(8)
        for kind, sign, one, every in WISHES:
            word = _(one) if name else _(every)
            made = self.buttons[kind] = _button(kind, word, sign, wished)
            if name:
                made.setAccessibleName(_("{action}: {machine}", action=word, machine=name))
            inside.addWidget(made)
        inside.addStretch(1)
        self.setLayout(inside)

    def offer(self, kinds: tuple[WishKind, ...]) -> None:
        """Show those that make sense now."""
        for kind, button in self.buttons.items():
            button.setVisible(kind in kinds)


def _button(kind: WishKind, word: str, sign: str, wished: Wished) -> Button | MenuButton:
    if kind is not WishKind.PAUSE:
        return Button(word, sign, pressed=lambda: wished(kind, None))
    menu = QMenu()
    made = MenuButton(word, sign, menu)
    menu.setParent(made, menu.windowFlags())
    for minutes, length in SNOOZES_MIN:
        _add(menu, "snooze", _(length), partial(wished, kind, minutes * MINUTE_S))
    _add(menu, "snooze", until_tomorrow(), lambda: wished(kind, _until_morning_s()))
    _add(menu, "pause", _("Until I resume"), partial(wished, kind, None))
    return made


def _add(menu: QMenu, sign: str, word: str, act: Callable[[], object]) -> None:
    menu.addAction(icon(sign), word).triggered.connect(lambda _checked=False: act())


def _until_morning_s() -> float:
    now = datetime.now().astimezone()
    return (next_morning(now) - now).total_seconds()


class MachineLine(QWidget):
    """One machine; filled anew in place."""

    def __init__(self, name: str, wished: Wished) -> None:
        super().__init__()
        self.badge = StateBadge(36)
        self.name, self.why = Sentence("", "strong"), Sentence("", "second")
        self.waiting, self.figures = Sentence("", "strong"), Sentence("", "small")
        self.wishes = WishButtons(name, wished)
        text = column(1)
        for part in (self.name, self.why, self.waiting, self.figures):
            text.addWidget(part)
        text.addSpacing(6)
        text.addWidget(self.wishes)
        inside = row(12, margins=(INSIDE, 10, 12, 10))
        inside.addWidget(self.badge, 0, Qt.AlignmentFlag.AlignTop)
        inside.addLayout(text, 1)
        self.setLayout(inside)

    def show_row(self, shown: MachineRow) -> None:
        """Take the words of a row."""
        self.badge.show_state(shown.look.tone, shown.look.icon, shown.look.word)
        short, whole = (
            _("{name}: {state}", name=name, state=shown.look.word) for name in (shown.short, shown.title)
        )
        self.name.setText(short)
        self.name.setAccessibleName(whole)
        self.setToolTip(whole if short != whole else "")
        self.why.setText(shown.why)
        self.waiting.setText(shown.waiting)
        self.waiting.setVisible(bool(shown.waiting))
        self.figures.setText(_(
            "Tasks: {tasks} · earned: {earned} · trust: {trust} · seen: {seen}",
            tasks=shown.tasks, earned=shown.earned, trust=shown.trust, seen=shown.seen,
        ))  # fmt: skip
        self.wishes.offer(shown.wishes)
        self.setAccessibleName(" ".join(part for part in shown.cells if part))


class FleetPanel(Panel):
    """Seen while the active pool knows which machines belong together."""

    def __init__(self, bridge: Bridge) -> None:
        self.all = WishButtons("", partial(self._wish, None))
        super().__init__(_("Your machines"))
        self._bridge, self._asked_s = bridge, 0.0
        self.lines: dict[str, MachineLine] = {}
        self.about = Sentence("", "small")
        self._list = column()
        everything = column(6, margins=(INSIDE, 8, 12, 8))
        everything.addWidget(self.about)
        everything.addWidget(self.all)
        self.body.addLayout(everything)
        self.body.addLayout(self._list)
        self.hide()

    def look(self, snapshot: Snapshot) -> None:
        """Ask anew, every few seconds; hidden for a pool that lists no machines."""
        asked = is_asked(snapshot.pool.address)
        self.setVisible(asked)
        if asked and time.monotonic() - self._asked_s >= ASKED_EVERY_S:
            self.ask()

    def ask(self) -> None:
        """Ask now."""
        self._asked_s = time.monotonic()
        self._bridge.query("fleet", lambda node: node.fleet.machines(), self._got)

    def _got(self, found: Fleet | Problem) -> None:
        if isinstance(found, Problem):
            self.about.setText(" ".join(words(found)))
            self._show(())
            return
        self.about.setText(fleet_line(found))
        self._show(fleet_rows(found))

    def _show(self, rows: tuple[MachineRow, ...]) -> None:
        self.all.setVisible(len(rows) > 1)
        if list(self.lines) != [each.name for each in rows]:
            self._make(rows)
        for each in rows:
            self.lines[each.name].show_row(each)

    def _make(self, rows: tuple[MachineRow, ...]) -> None:
        while (item := self._list.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self.lines = {each.name: MachineLine(each.name, partial(self._wish, each.name)) for each in rows}
        for made in self.lines.values():
            self._list.addWidget(line())
            self._list.addWidget(made)

    def _wish(self, name: str | None, kind: WishKind, for_s: float | None) -> None:
        names = None if name is None else (name,)
        self._bridge.query("fleet wish", lambda node: node.fleet.wish(kind, names, for_s), self._told)

    def _told(self, told: Told | Problem) -> None:
        if isinstance(told, Problem):
            self._bridge.refused.emit(told)
        else:
            self.about.setText(told_words(told))
        self._asked_s = time.monotonic() - ASKED_EVERY_S + 1.0  # a moment, for the answer to be read
