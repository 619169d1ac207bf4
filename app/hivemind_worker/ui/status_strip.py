"""The strip that is always on top: the state by shape and word, its reason, and what can be pressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFrame, QMenu, QToolButton, QWidget

from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.look import Look, Strip, starting
from hivemind_worker.presentation.opening_words import RULES, RUN_MODES
from hivemind_worker.ui import wishes
from hivemind_worker.ui.curtain import PILL_GAP, PILL_MARGINS, WORDS_GAP, WORDS_MARGIN, pill_height
from hivemind_worker.ui.parts.buttons import MenuButton, ToolButton
from hivemind_worker.ui.parts.panels import column, row
from hivemind_worker.ui.parts.text import Label, Sentence, Shape
from hivemind_worker.ui.theme import theme

if TYPE_CHECKING:
    from hivemind_worker.model.snapshot import Snapshot
    from hivemind_worker.ui.bridge import Bridge


class Pill(QFrame):
    """The state: its shape and its word on its soft ground."""

    def __init__(self) -> None:
        super().__init__()
        self.shape, self.word = Shape(px="icon_small"), Label("", "strong")
        inner = row(PILL_GAP, margins=(PILL_MARGINS[0], 0, PILL_MARGINS[1], 0))
        inner.addWidget(self.shape)
        inner.addWidget(self.word)
        self.setLayout(inner)
        self._tone = ""

    def show_look(self, look: Look) -> None:
        """Take this state."""
        self.shape.show_icon(look.icon, f"state-{look.tone}-ink", look.word)
        self.word.setText(look.word)
        self.setAccessibleName(_("State: {state}", state=look.word))
        colours, height = theme().colours, pill_height(self.word.sizeHint().height())
        self.setFixedHeight(height)
        made = (
            f"Pill {{ background: {colours[f'state-{look.tone}-soft']}; border-radius: {height // 2}px; }}"
            f"QLabel {{ color: {colours[f'state-{look.tone}-ink']}; }}"
        )
        if made != self._tone:
            self._tone = made
            self.setStyleSheet(made)


class StatusStrip(QWidget):
    """Pill, reason and what follows from it; Pause with its lengths, or Resume."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.setProperty("kind", "strip")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setMinimumHeight(theme().size("strip"))
        self.bridge = bridge
        self.pill = Pill()
        self.reason, self.more = Sentence("", "strong"), Sentence("", "small")
        self.pause_menu = QMenu(self)
        self.pause = ToolButton(_("Pause"), "pause", "", lambda: wishes.toggle(bridge))
        self.pause.setMenu(self.pause_menu)
        self.pause.setPopupMode(QToolButton.ToolButtonPopupMode.MenuButtonPopup)
        self.mode_menu = QMenu(self)
        self.modes: dict[str, QAction] = {}
        self.mode = MenuButton(_("Run by my rules"), menu=self.mode_menu)
        words = column()
        words.addStretch(1)
        words.addWidget(self.reason)
        words.addWidget(self.more)
        words.addStretch(1)
        gutter = theme().size("gutter")
        inner = row(WORDS_GAP, margins=(gutter, WORDS_MARGIN, gutter, WORDS_MARGIN))
        inner.addWidget(self.pill)
        inner.addLayout(words, 1)
        inner.addWidget(self.pause)
        inner.addWidget(self.mode)
        self.setLayout(inner)
        self.show_picture(None)

    def complete(self) -> None:
        """The first picture is on the screen: fill the menus, whose icons take longer than all the rest."""
        wishes.fill_pause_menu(self.pause_menu, self.bridge)
        self.modes = wishes.fill_mode_menu(self.mode_menu, self.bridge)
        self.show_picture(self.bridge.snapshot)

    def show_picture(self, snapshot: Snapshot | None) -> None:
        """Say how the worker is; None while it starts."""
        if snapshot is None:
            self._say(starting(), (_("Pause"), "pause"), RULES, can_ask=False)
            return
        # The window is painted before these and what they need are imported.
        from hivemind_worker.model.snapshot import Mode  # noqa: PLC0415
        from hivemind_worker.presentation.window_words import pause_label, run_mode, strip  # noqa: PLC0415

        can_ask = snapshot.node.mode is not Mode.STOPPING
        self._say(strip(snapshot), pause_label(snapshot), run_mode(snapshot), can_ask=can_ask)

    def _say(self, said: Strip, pause: tuple[str, str], mode: str, *, can_ask: bool) -> None:
        self.pill.show_look(said.look)
        self.reason.setText(said.reason)
        self.more.setText(said.more)
        self.more.setVisible(bool(said.more))
        word, icon = pause
        self.pause.setText(word)
        self.pause.setAccessibleName(word)
        self.pause.set_icon(icon)
        self._show_mode(mode)
        for button in (self.pause, self.mode):
            button.setEnabled(can_ask)

    def _show_mode(self, taken: str) -> None:
        if taken in self.modes:
            self.modes[taken].setChecked(True)
        _key, _icon, word, meaning = next(row for row in RUN_MODES if row[0] == taken)
        self.mode.setText(_(word))
        self.mode.setToolTip(_(meaning))
        self.mode.setAccessibleName(_("Run mode: {mode}", mode=_(word)))

    def set_narrow(self, narrow: bool) -> None:
        """Where there is little room the sentence has it; the tray has the run mode as well."""
        self.mode.setVisible(not narrow)
