"""The focus ring: two pixels in the focus colour, two outside the widget that the keyboard has reached.

One transparent widget on top of the window that follows the focus. It is shown after a key, not after
a click, as a person who points knows where that was.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QRect, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QWidget
from shiboken6 import isValid

from hivemind_worker.ui.theme import theme

WIDTH, OUTSIDE = 2, 2
MOVES = frozenset({
    QEvent.Type.Move, QEvent.Type.Resize, QEvent.Type.Show, QEvent.Type.Hide, QEvent.Type.LayoutRequest,
})  # fmt: skip


class FocusRing(QWidget):
    """Lies over `window` and draws around whatever in it has the focus."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._target: QWidget | None = None
        self._by_key = False
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName("focus")
        self.hide()
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.focusChanged.connect(self._focus_changed)
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        kind = event.type()
        if kind in (QEvent.Type.KeyPress, QEvent.Type.ShortcutOverride):
            self._by_key = True
        elif kind is QEvent.Type.MouseButtonPress:
            self._by_key = False
            self.hide()
        elif kind in MOVES:
            self._place()
        return False

    def _focus_changed(self, _old: QWidget | None, new: QWidget | None) -> None:
        if self._target is not None and isValid(self._target):  # its window may be gone, and it with it
            self._target.removeEventFilter(self)
        inside = new is not None and new.window() is self.window()
        self._target = new if inside else None
        if self._target is not None:
            self._target.installEventFilter(self)
        self._place()

    def _place(self) -> None:
        target = self._target
        if target is None or not self._by_key or not target.isVisible() or _rings_itself(target):
            self.hide()
            return
        grown = WIDTH + OUTSIDE
        at = target.mapTo(self.window(), target.rect().topLeft())
        box = QRect(at, target.size()).adjusted(-grown, -grown, grown, grown)
        self.setGeometry(box.intersected(self.window().rect()))
        self.raise_()
        self.show()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(theme().colour("focus"), WIDTH))
        painter.drawRoundedRect(self.rect().adjusted(1, 1, -1, -1), 5, 5)
        painter.end()


def _rings_itself(target: QWidget) -> bool:
    """Lists and logs show where they are inside; a ring around half the window would say nothing."""
    return isinstance(target, QAbstractScrollArea) and target.height() > 200
