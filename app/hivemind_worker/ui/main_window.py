"""The main window: places rail, strip and screens, and nothing more.

Screens are built when they are first opened; only the one that is seen is shown a picture. Closing
the window is decided by the application (counterpart: `app`), which knows whether there is a tray.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QSettings, Qt, Signal
from PySide6.QtGui import QCloseEvent, QHideEvent, QPaintEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QMainWindow, QStackedWidget, QWidget

from hivemind_worker.presentation.opening_words import PROGRAM
from hivemind_worker.ui.focus_ring import FocusRing
from hivemind_worker.ui.icons import app_icon
from hivemind_worker.ui.parts.panels import column, row
from hivemind_worker.ui.rail import Rail
from hivemind_worker.ui.screens import PLACES, Place, Screen
from hivemind_worker.ui.status_strip import StatusStrip
from hivemind_worker.ui.theme import appearance, theme

if TYPE_CHECKING:
    from hivemind_worker.model.snapshot import Snapshot
    from hivemind_worker.ui.bridge import Bridge

NARROW_PX = 1000
FIRST_SIZE = (1100, 720)
GEOMETRY, PLACE = "window/geometry", "window/place"


class MainWindow(QMainWindow):
    """`memory` keeps geometry and place; `on_close` decides what closing does and says whether it happens."""

    painted = Signal()
    """The first picture of the window is on the screen."""

    def __init__(
        self, bridge: Bridge, memory: QSettings, *, on_close: Callable[[], bool] = lambda: True,
        places: Sequence[Place] = PLACES,
    ) -> None:  # fmt: skip
        super().__init__()
        self.bridge, self.memory, self._on_close = bridge, memory, on_close
        self.places = {place.key: place for place in places}
        self.screens: dict[str, Screen] = {}
        self.rail, self.strip, self.stack = Rail(places), StatusStrip(bridge), QStackedWidget()
        self._banners = column(8, margins=(0, 0, 0, 0))
        self.has_painted = self._has_worker = False
        self._build()
        self.ring = FocusRing(self)
        self.rail.chosen.connect(self.open)
        bridge.snapshot_changed.connect(self._show_picture)
        bridge.place_wanted.connect(self.open)
        appearance().changed.connect(self._restyled)
        self._restore()

    def _build(self) -> None:
        self.setWindowTitle(PROGRAM)
        self.setAccessibleName(PROGRAM)
        self.setMinimumSize(*appearance().smallest)
        right, whole, central = column(), row(), QWidget()
        right.addWidget(self.strip)
        right.addLayout(self._banners)
        right.addWidget(self.stack, 1)
        whole.addWidget(self.rail)
        whole.addLayout(right, 1)
        central.setProperty("kind", "page")
        central.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        central.setLayout(whole)
        self.setCentralWidget(central)

    def complete(self) -> None:
        """The window has been painted: show the place where the reader was, whose parts are imported now."""
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
        found = self.stack.currentWidget()
        return found if isinstance(found, Screen) else None

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
        screen = self.current()
        if screen is None:
            return
        if not self._has_worker:  # what it was opened for could not be asked yet
            self._has_worker = True
            screen.opened()
        screen.render_picture(snapshot)

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
        narrow = self._is_narrow()
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
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
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

    def _is_narrow(self) -> bool:
        return self.width() < NARROW_PX * max(1.0, theme().scale * 0.8)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self.has_painted:
            self.has_painted = True
            self.painted.emit()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._look()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._look()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.WindowStateChange:
            self._look()

    def closeEvent(self, event: QCloseEvent) -> None:
        self.remember()
        if self._on_close():
            event.accept()
        else:
            event.ignore()
