"""The icon in the tray: the state by its shape; the menu says it in words, with what can be pressed.

There may be no tray, now or for a while: then there is no icon, and the window is never hidden.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer
from PySide6.QtGui import QAction, QIcon
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.model.task import Problem
from hivemind_worker.model.vpn import VpnState, VpnView
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.health import unended
from hivemind_worker.presentation.help_pages import INDEX
from hivemind_worker.presentation.network_words import tunnel_line
from hivemind_worker.presentation.opening_words import PROGRAM
from hivemind_worker.presentation.window_words import run_mode, strip, tray_line
from hivemind_worker.ui import wishes
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.icons import icon, plain_icon
from hivemind_worker.ui.theme import appearance, theme

SIZES = (16, 22, 24, 32, 48)
LOOK_AGAIN_MS = 15_000
NOTICE_MS = 10_000


class Tray(QObject):
    """`toggle`, `show`, `dashboard`, `snooze_notices` and `quit` do what the menu offers."""

    def __init__(
        self, bridge: Bridge, *, toggle: Callable[[], object], show: Callable[[], object],
        dashboard: Callable[[], object], snooze_notices: Callable[[], object], quit: Callable[[], object],
        available: Callable[[], bool] = QSystemTrayIcon.isSystemTrayAvailable,
    ) -> None:  # fmt: skip
        super().__init__()
        self.bridge = bridge
        self._toggle, self._show = toggle, show
        self._available = available
        self._shape = ""
        self.menu = QMenu()
        self.menu.setAccessibleName(PROGRAM)
        self.icon = QSystemTrayIcon(self)
        self._state = QAction(self)
        self._state.setEnabled(False)
        self._hold = QMenu()
        self._fill(dashboard, snooze_notices, quit)
        self.icon.setContextMenu(self.menu)
        self.icon.activated.connect(self._activated)
        self._notice_pressed: Callable[[], object] = lambda: None
        self.icon.messageClicked.connect(self._press_notice)
        self._waiting = QTimer(self, interval=LOOK_AGAIN_MS)
        self._waiting.timeout.connect(self.look_for_tray)
        bridge.snapshot_changed.connect(self.show_picture)
        appearance().changed.connect(self._restyled)
        self.show_picture(None)

    def _fill(
        self, dashboard: Callable[[], object], snooze: Callable[[], object], leave: Callable[[], object]
    ) -> None:
        menu = self.menu
        menu.addAction(self._state)
        menu.addSeparator()
        self._add("home", _("Open {program}", program=PROGRAM), self._show)
        menu.addSeparator()
        self.pause_menu = menu.addMenu(icon("pause"), _("Pause"))
        wishes.fill_pause_menu(self.pause_menu, self.bridge, finishing=False)
        self.gpu = self._add("gpu", _("Pause GPU only"), self._toggle_gpu)
        self.gpu.setCheckable(True)
        self.resume = self._add("play", _("Resume now"), lambda: wishes.resume(self.bridge))
        self.finish = self._add("finish", _("Finish tasks then pause"), lambda: wishes.finish(self.bridge))
        self.mode_menu = menu.addMenu(icon("rules"), _("Run mode"))
        self.modes = wishes.fill_mode_menu(self.mode_menu, self.bridge)
        menu.addSeparator()
        self.vpn_menu = menu.addMenu(icon("network"), "")
        self._vpn_up = self.vpn_menu.addAction(icon("refresh"), "")
        self._vpn_up.triggered.connect(lambda _checked=False: self._vpn("up"))
        self._vpn_down = self.vpn_menu.addAction(icon("cross"), _("Disconnect"))
        self._vpn_down.triggered.connect(lambda _checked=False: self._vpn("down"))
        self.dashboard = self._add("resources", _("Web dashboard"), dashboard)
        self._add("snooze", _("Snooze notices 1 h"), snooze)
        self.help = self._add("help", _("Help"), self._open_help)
        menu.addSeparator()
        self.leave = self._add("", _("Quit…"), leave)

    def _open_help(self) -> None:
        self._show()
        self.bridge.help_wanted.emit(INDEX)

    def _toggle_gpu(self) -> None:
        wishes.hold_gpu(self.bridge, self.gpu.isChecked())

    def _add(self, icon_name: str, text: str, pressed: Callable[[], object]) -> QAction:
        action = self.menu.addAction(icon(icon_name) if icon_name else QIcon(), text)
        action.triggered.connect(lambda _checked=False: pressed())
        return action

    # --- there or not -------------------------------------------------------------------------

    @property
    def is_there(self) -> bool:
        """Whether there is a tray that shows the icon."""
        return self.icon.isVisible() and self._available()

    def look_for_tray(self) -> bool:
        """Show the icon where there is a tray by now; else look again later."""
        if self._available():
            self._waiting.stop()
            self.icon.show()
            return True
        self._waiting.start()
        return False

    def close(self) -> None:
        """Take the icon away."""
        self._waiting.stop()
        self.icon.hide()
        self.menu.deleteLater()
        self._hold.deleteLater()

    # --- what it shows ------------------------------------------------------------------------

    def show_picture(self, snapshot: Snapshot | None) -> None:
        """Take the state: shape, sentence, and what can be pressed in it."""
        line = tray_line(snapshot)
        self._state.setText(line)
        said = strip(snapshot)
        self.icon.setToolTip(f"{PROGRAM}\n{line}")
        self._show_vpn(None if snapshot is None else snapshot.vpn)
        held = wishes.is_held(self.bridge)
        self.resume.setVisible(held)
        self.pause_menu.setTitle(_("Change the pause") if held else _("Pause"))
        self.finish.setVisible(snapshot is not None and bool(unended(snapshot)) and not held)
        self.modes[run_mode(snapshot)].setChecked(True)
        self.gpu.setVisible(snapshot is not None and (snapshot.total.gpu > 0 or snapshot.node.gpu_paused))
        self.gpu.setChecked(snapshot is not None and snapshot.node.gpu_paused)
        for action in (self.pause_menu.menuAction(), self.mode_menu.menuAction(), self.dashboard):
            action.setEnabled(snapshot is not None)
        if said.look.icon != self._shape:
            self._shape = said.look.icon
            self._draw()

    def _show_vpn(self, view: VpnView | None) -> None:
        """One line for the tunnel, where there is one: its state, and what can be done with it."""
        there = view is not None and view.state not in (VpnState.NOT_SET_UP, VpnState.NOT_NEEDED)
        self.vpn_menu.menuAction().setVisible(there)
        if view is not None and there:
            self.vpn_menu.setTitle(tunnel_line(view))
            self._vpn_up.setText(_("Reconnect") if view.interface else _("Connect"))
            self._vpn_down.setEnabled(view.is_ours)
            for action in (self._vpn_up, self._vpn_down):
                action.setVisible(view.has_profile and not view.command)

    def _vpn(self, verb: str) -> None:
        def told(problem: Problem | None) -> None:
            if problem is not None:
                self.bridge.refused.emit(problem)

        self.bridge.query(f"vpn {verb}", lambda node: getattr(node.vpn, verb)(), told)

    def _draw(self) -> None:
        # A panel has a ground of its own, dark on many a light desktop: nobody tells it. This one stands out
        # from both by itself, so that the shape stays what it is; an outline would make hollow ones full.
        ink = theme().colour("tray")
        drawn = QIcon()
        for px in SIZES:
            drawn.addPixmap(plain_icon(self._shape, ink, px))
        drawn.setIsMask(True)  # macOS then takes the menu bar's own colour
        self.icon.setIcon(drawn)
        self._state.setIcon(icon(self._shape))

    def _restyled(self) -> None:
        self._draw()

    def say(self, title: str, text: str, pressed: Callable[[], object] = lambda: None) -> None:
        """A notice by the icon; `pressed` is what a click on it does."""
        self._notice_pressed = pressed
        self.icon.showMessage(title, text, QSystemTrayIcon.MessageIcon.NoIcon, NOTICE_MS)

    def _press_notice(self) -> None:
        self._notice_pressed()

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason is QSystemTrayIcon.ActivationReason.Trigger:
            self._toggle()
        elif reason in (
            QSystemTrayIcon.ActivationReason.DoubleClick, QSystemTrayIcon.ActivationReason.MiddleClick,
        ):  # fmt: skip
            self._show()
