"""The strip that is always on top: the state by shape and word, its reason, and what can be pressed."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QMenu, QToolButton, QWidget

from hivemind_worker.model.snapshot import Mode, Snapshot
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.page_words import Look
from hivemind_worker.presentation.window_words import RUN_MODES, pause_label, run_mode, strip
from hivemind_worker.ui import wishes
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.parts.buttons import MenuButton, ToolButton
from hivemind_worker.ui.parts.panels import column, row
from hivemind_worker.ui.parts.text import Label, Sentence, Shape
from hivemind_worker.ui.theme import theme


class Pill(QFrame):
    """The state: its shape and its word on its soft ground."""

    def __init__(self) -> None:
        super().__init__()
        self.shape, self.word = Shape(px="icon_small"), Label("", "strong")
        inner = row(7, margins=(11, 0, 12, 0))
        inner.addWidget(self.shape)
        inner.addWidget(self.word)
        self.setLayout(inner)
        self._tone = ""

    def show_look(self, look: Look) -> None:
        """Take this state."""
        self.shape.show_icon(look.icon, f"state-{look.tone}-ink", look.word)
        self.word.setText(look.word)
        self.setAccessibleName(_("State: {state}", state=look.word))
        colours, height = theme().colours, max(28, self.word.sizeHint().height() + 10)
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
        wishes.fill_pause_menu(self.pause_menu, bridge)
        self.mode_menu = QMenu(self)
        self.modes = wishes.fill_mode_menu(self.mode_menu, bridge)
        self.mode = MenuButton(_("Run by my rules"), menu=self.mode_menu)
        words = column()
        words.addStretch(1)
        words.addWidget(self.reason)
        words.addWidget(self.more)
        words.addStretch(1)
        gutter = theme().size("gutter")
        inner = row(12, margins=(gutter, 4, gutter, 4))
        inner.addWidget(self.pill)
        inner.addLayout(words, 1)
        inner.addWidget(self.pause)
        inner.addWidget(self.mode)
        self.setLayout(inner)
        self.show_picture(None)

    def show_picture(self, snapshot: Snapshot | None) -> None:
        """Say how the worker is; None while it starts."""
        said = strip(snapshot)
        self.pill.show_look(said.look)
        self.reason.setText(said.reason)
        self.more.setText(said.more)
        self.more.setVisible(bool(said.more))
        word, icon = pause_label(snapshot)
        self.pause.setText(word)
        self.pause.setAccessibleName(word)
        self.pause.set_icon(icon)
        self._show_mode(snapshot)
        self.pause.setEnabled(snapshot is not None and snapshot.node.mode is not Mode.STOPPING)

    def _show_mode(self, snapshot: Snapshot | None) -> None:
        taken = run_mode(snapshot)
        self.modes[taken].setChecked(True)
        _key, _icon, word, meaning = next(row for row in RUN_MODES if row[0] == taken)
        self.mode.setText(_(word))
        self.mode.setToolTip(_(meaning))
        self.mode.setAccessibleName(_("Run mode: {mode}", mode=_(word)))
        self.mode.setEnabled(self.pause.isEnabled() or snapshot is not None)

    def set_narrow(self, narrow: bool) -> None:
        """Where there is little room the sentence has it; the tray has the run mode as well."""
        self.mode.setVisible(not narrow)
