"""Two columns where there is room for them, else one below the other."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QSizePolicy, QWidget

from hivemind_worker.ui.parts.panels import column
from hivemind_worker.ui.theme import theme

GAP = 16
NO_LIMIT = 16_777_215


class SideBySide(QWidget):
    """`left` takes the room that is left; `right` is so wide, times the text's size, at most 1.4 times."""

    def __init__(self, *, right_px: int, least_left_px: int = 430) -> None:
        super().__init__()
        self._right_px, self._least_left_px = right_px, least_left_px
        self.left, self.right = column(12), column(12)
        self._left_box, self._right_box = QWidget(), QWidget()
        self._left_box.setLayout(self.left)
        self._right_box.setLayout(self.right)
        self._both = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._both.setContentsMargins(0, 0, 0, 0)
        self._both.setSpacing(GAP)
        self._both.addWidget(self._left_box, 1)
        self._both.addWidget(self._right_box)
        self.setLayout(self._both)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)

    def add(self, left: tuple[QWidget, ...], right: tuple[QWidget, ...]) -> None:
        """Fill both columns from the top."""
        for layout, parts in ((self.left, left), (self.right, right)):
            for part in parts:
                layout.addWidget(part)
            layout.addStretch(1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place(event.size().width())

    def minimumSizeHint(self) -> QSize:
        """As narrow as its wider column: the other one moves below."""
        left, right = self._left_box.minimumSizeHint(), self._right_box.minimumSizeHint()
        return QSize(max(left.width(), right.width()), super().minimumSizeHint().height())

    def _place(self, width: int) -> None:
        scale = theme().scale
        right = round(self._right_px * min(1.4, scale))
        needed = (
            max(self._left_box.minimumSizeHint().width(), round(self._least_left_px * scale)) + GAP + right
        )
        narrow = width < needed
        direction = QBoxLayout.Direction.TopToBottom if narrow else QBoxLayout.Direction.LeftToRight
        if self._both.direction() is not direction:
            self._both.setDirection(direction)
        self._right_box.setMinimumWidth(0 if narrow else right)
        self._right_box.setMaximumWidth(NO_LIMIT if narrow else right)
