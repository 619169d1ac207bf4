"""The main window: its place on the screen, and in it rail, strip and screens; nothing more.

It is shown with a curtain in it, which needs little, and furnished after its first paint. Screens are built
when they are first opened; only the one that is seen is shown a picture. Closing the window is decided by the
application (counterpart: `shell`), which knows whether there is a tray.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from PySide6 import QtCore
from PySide6.QtWidgets import QMainWindow

from hivemind_worker.presentation.opening_words import PROGRAM
from hivemind_worker.ui.curtain import Curtain
from hivemind_worker.ui.places import PLACES, Place
from hivemind_worker.ui.rail_picture import is_narrow
from hivemind_worker.ui.theme import appearance, theme

if TYPE_CHECKING:
    from PySide6.QtGui import QCloseEvent, QHideEvent, QResizeEvent, QShowEvent
    from PySide6.QtWidgets import QWidget

    from hivemind_worker.model.snapshot import Snapshot
    from hivemind_worker.ui.bridge import Bridge
    from hivemind_worker.ui.screens import Screen

FIRST_SIZE = (1100, 720)
GEOMETRY, PLACE = "window/geometry", "window/place"
# What is needed after the first paint alone is imported there, and `Qt` is named there: see `ui.theme`.


class MainWindow(QMainWindow):
    """`memory` keeps geometry and place."""

    def __init__(self, memory: QtCore.QSettings) -> None:
        super().__init__()
        self.memory = memory
        self.is_furnished = self._has_worker = False
        self.setWindowTitle(PROGRAM)
        self.setMinimumSize(*appearance().smallest)
        self._restore()
        self.curtain = Curtain(str(memory.value(PLACE, "home")))
        self.setCentralWidget(self.curtain)

    def furnish(
        self, bridge: Bridge, *, on_close: Callable[[], bool] = lambda: True, places: Sequence[Place] = PLACES
    ) -> None:
        """Put everything into it; `on_close` decides what closing does and says whether it happens."""
        from PySide6.QtWidgets import QStackedWidget  # noqa: PLC0415

        from hivemind_worker.ui.dropping import Dropping  # noqa: PLC0415
        from hivemind_worker.ui.focus_ring import FocusRing  # noqa: PLC0415
        from hivemind_worker.ui.parts.panels import column  # noqa: PLC0415
        from hivemind_worker.ui.rail import Rail  # noqa: PLC0415
        from hivemind_worker.ui.status_strip import StatusStrip  # noqa: PLC0415

        self.bridge, self._on_close = bridge, on_close
        self.places = {place.key: place for place in places}
        self.screens: dict[str, Screen] = {}
        self.rail, self.strip, self.stack = Rail(places), StatusStrip(bridge), QStackedWidget()
        self._banners = column(8, margins=(0, 0, 0, 0))
        self._build()
        self.ring = FocusRing(self)
        self.dropping = Dropping(self, lambda paths: self.open("pools").take_files(paths))
        self.rail.chosen.connect(self.open)
        bridge.snapshot_changed.connect(self._show_picture)
        bridge.place_wanted.connect(self.open)
        appearance().changed.connect(self._restyled)
        self.is_furnished = True
        self._fit()
        self._look()

    def _build(self) -> None:
        from PySide6.QtWidgets import QWidget  # noqa: PLC0415

        from hivemind_worker.ui.parts.panels import column, row  # noqa: PLC0415

        self.setAccessibleName(PROGRAM)
        right, whole, central = column(), row(), QWidget()
        right.addWidget(self.strip)
        right.addLayout(self._banners)
        right.addWidget(self.stack, 1)
        whole.addWidget(self.rail)
        whole.addLayout(right, 1)
        central.setProperty("kind", "page")
        central.setAttribute(QtCore.Qt.WidgetAttribute.WA_StyledBackground)
        central.setLayout(whole)
        self.setCentralWidget(central)

    def complete(self) -> None:
        """Show the place where the reader was, whose parts are imported now."""
        from hivemind_worker.ui.icons import app_icon  # noqa: PLC0415

        self.setWindowIcon(app_icon())
        self.strip.complete()
        if self.current() is None:
            self.open(str(self.memory.value(PLACE, "home")))

    # --- places -------------------------------------------------------------------------------

    def open(self, key: str) -> Screen:
        """Show a place; an unknown one is Home."""
        key = key if key in self.places else next(iter(self.places))
        before = self.current()
        screen = self.screens.get(key)
        if screen is None:
            screen = self.screens[key] = self.places[key].build(self.bridge)
            self.stack.addWidget(screen)
        self.rail.take(key)
        self.memory.setValue(PLACE, key)
        if before is screen:
            return screen
        if before is not None:
            before.closed()
        self.stack.setCurrentWidget(screen)
        self._wake(screen)
        return screen

    def current(self) -> Screen | None:
        """The screen that is open."""
        shown = self.stack.currentWidget()
        return next((screen for screen in self.screens.values() if screen is shown), None)

    def place(self) -> str:
        """The key of the place that is open."""
        screen = self.current()
        return next((key for key, each in self.screens.items() if each is screen), "")

    def add_banner(self, banner: QWidget) -> None:
        """Put a callout between strip and screen."""
        gutter = theme().size("gutter")
        self._banners.setContentsMargins(gutter, 12, gutter, 0)
        self._banners.addWidget(banner)

    def remove_banner(self, banner: QWidget) -> None:
        """Take a callout away again."""
        self._banners.removeWidget(banner)
        banner.deleteLater()
        if self._banners.count() == 0:
            self._banners.setContentsMargins(0, 0, 0, 0)

    # --- pictures -----------------------------------------------------------------------------

    def _show_picture(self, snapshot: Snapshot) -> None:
        if not self.is_seen():
            return
        from hivemind_worker.presentation.health import unended  # noqa: PLC0415 - after the first paint
        from hivemind_worker.presentation.page_words import short_name  # noqa: PLC0415

        self.strip.show_picture(snapshot)
        self.rail.set_computer(short_name(snapshot.node_id))
        count = len(unended(snapshot))
        if "tasks" in self.rail.items:
            self.rail.items["tasks"].set_badge(str(count) if count else "")
        self._mark_troubles(snapshot)
        screen = self.current()
        if screen is None:
            return
        if not self._has_worker:  # what it was opened for could not be asked yet
            self._has_worker = True
            screen.opened()
        screen.render_picture(snapshot)

    def _mark_troubles(self, snapshot: Snapshot) -> None:
        from hivemind_worker.presentation.troubles import doctor_trouble, network_trouble  # noqa: PLC0415

        node = self.bridge.node
        found = node.care.found() if node is not None else ()
        for key, trouble in (
            ("network", network_trouble(snapshot)), ("doctor", doctor_trouble(snapshot, found)),
        ):  # fmt: skip
            if key in self.rail.items:
                self.rail.items[key].set_trouble(trouble)

    def _wake(self, screen: Screen) -> None:
        if not self.is_seen():
            return
        screen.opened()
        if self.bridge.snapshot is not None:
            screen.render_picture(self.bridge.snapshot)

    def is_seen(self) -> bool:
        """Whether anybody can look at it: nothing is drawn or asked for otherwise."""
        return self.isVisible() and not self.isMinimized()

    def _look(self) -> None:
        seen = self.is_seen()
        self.bridge.look(seen)
        screen = self.current()
        if screen is not None:
            if seen:
                self._wake(screen)
                if self.bridge.snapshot is not None:
                    self._show_picture(self.bridge.snapshot)
            else:
                screen.closed()

    def _fit(self) -> None:
        narrow = is_narrow(self.width())
        self.rail.set_narrow(narrow)
        self.strip.set_narrow(narrow)

    def _restyled(self) -> None:
        self._fit()
        if self.bridge.snapshot is not None:
            self._show_picture(self.bridge.snapshot)
        else:
            self.strip.show_picture(None)

    # --- the window itself --------------------------------------------------------------------

    def raise_window(self) -> None:
        """Bring it before the eye, out of the tray or the task bar."""
        self.setWindowState(self.windowState() & ~QtCore.Qt.WindowState.WindowMinimized)
        self.show()
        self.raise_()
        self.activateWindow()

    def _restore(self) -> None:
        kept = self.memory.value(GEOMETRY)
        if kept is None or not self.restoreGeometry(kept):
            self.resize(*FIRST_SIZE)

    def remember(self) -> None:
        """Keep where the window is and how large."""
        self.memory.setValue(GEOMETRY, self.saveGeometry())

    def retire(self) -> None:
        """Another window takes the place of this one: show nothing any more, and go."""
        self.bridge.snapshot_changed.disconnect(self._show_picture)
        self.bridge.place_wanted.disconnect(self.open)
        appearance().changed.disconnect(self._restyled)
        screen = self.current()
        if screen is not None:
            screen.closed()
        self._on_close = lambda: True
        self.close()
        self.deleteLater()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self.is_furnished:
            self._fit()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self.is_furnished:
            self._look()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        if self.is_furnished:
            self._look()

    def changeEvent(self, event: QtCore.QEvent) -> None:
        super().changeEvent(event)
        if self.is_furnished and event.type() is QtCore.QEvent.Type.WindowStateChange:
            self._look()

    def closeEvent(self, event: QCloseEvent) -> None:
        self.remember()
        event.setAccepted(self.is_furnished and self._on_close())
