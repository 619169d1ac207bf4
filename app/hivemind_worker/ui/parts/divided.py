"""Two parts below one another and an edge between them that mouse and keyboard move; its place is kept."""

from __future__ import annotations

from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSplitter, QSplitterHandle, QWidget

from hivemind_worker.ui.theme import theme

STEP_PX, GRIP_PX = 20, 28
KEYS = {int(Qt.Key.Key_Up): -1, int(Qt.Key.Key_Down): 1}


class _Edge(QSplitterHandle):
    """Is reached by Tab; the arrows move it."""

    def __init__(self, whole: Divided, name: str) -> None:
        super().__init__(Qt.Orientation.Vertical, whole)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAccessibleName(name)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        way = KEYS.get(event.key())
        if way is None:
            super().keyPressEvent(event)
        else:
            self.moveSplitter(self.y() + way * round(STEP_PX * theme().scale))

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setPen(QPen(theme().colour("line-strong"), 1))
        middle, grip = self.rect().center(), round(GRIP_PX * theme().scale)
        painter.drawLine(middle.x() - grip // 2, middle.y(), middle.x() + grip // 2, middle.y())
        painter.end()


class Divided(QSplitter):
    """`above` takes what it needs, the rest is for `below`; once the edge was moved it stays there."""

    def __init__(self, above: QWidget, below: QWidget, *, edge: str, memory: QSettings, key: str) -> None:
        """`edge`: its name for screen readers; its place is kept in `memory` under `key`."""
        super().__init__(Qt.Orientation.Vertical)
        self._edge_name, self._memory, self._key = edge, memory, key
        self._edges: list[_Edge] = []  # Qt does not keep what Python made
        self.setChildrenCollapsible(False)
        self.addWidget(above)
        self.addWidget(below)
        self.setStretchFactor(0, 0)
        self.setStretchFactor(1, 1)
        self.splitterMoved.connect(lambda at, _number: self._memory.setValue(self._key, at / self._whole()))

    def createHandle(self) -> QSplitterHandle:
        self._edges.append(_Edge(self, self._edge_name))
        return self._edges[-1]

    def divide(self, usual_px: int) -> None:
        """Put the edge where it was left, as a part of the height; before that, `usual_px` from the top."""
        kept = float(str(self._memory.value(self._key, 0.0)))
        above = round(kept * self._whole()) if kept else usual_px
        self.setSizes([above, max(1, self._whole() - above)])

    def _whole(self) -> int:
        return max(1, self.height())
