"""A row of actions that always fits: where there is little room, the last ones show their icons alone."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QLayout

from hivemind_worker.ui.parts.buttons import ToolButton
from hivemind_worker.ui.parts.panels import row

SPACE, SIDE, ABOVE = 2, 10, 3
FULL, SHORT = Qt.ToolButtonStyle.ToolButtonTextBesideIcon, Qt.ToolButtonStyle.ToolButtonIconOnly


class ActionBar(QFrame):
    """The first of `buttons` are the last to lose their words; a tooltip has them then."""

    def __init__(self, buttons: Sequence[ToolButton]) -> None:
        super().__init__()
        self.setProperty("kind", "bar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._buttons = tuple(buttons)
        self._fitted: tuple[object, ...] = ()
        self._measured: dict[tuple[object, ...], int] = {}
        inner = row(SPACE, margins=(SIDE, ABOVE, SIDE, ABOVE))
        inner.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)
        for button in buttons:
            inner.addWidget(button)
        inner.addStretch(1)
        self.setLayout(inner)

    def minimumSizeHint(self) -> QSize:
        return QSize(
            self._width([self._hint(button, SHORT) for button in self._buttons]), self.sizeHint().height()
        )

    def _width(self, widths: list[int]) -> int:
        return sum(widths) + SPACE * len(widths) + 2 * SIDE

    def _fit(self) -> None:
        """Take words away from the right until the rest fits; nothing where nothing has changed."""
        wanted = (self.width(), self.font().pixelSize(), *(button.text() for button in self._buttons))
        if wanted == self._fitted:
            return
        self._fitted = wanted
        widths = [self._hint(button, FULL) for button in self._buttons]
        for number in reversed(range(len(widths))):
            fits = self._width(widths) <= self.width()
            button = self._buttons[number]
            if not fits:
                widths[number] = self._hint(button, SHORT)
            button.setToolButtonStyle(FULL if fits else SHORT)
            button.setToolTip("" if fits else button.text())

    def _hint(self, button: ToolButton, style: Qt.ToolButtonStyle) -> int:
        """The width of a button in a style, whichever it has. Measured once: it asks for a new layout, where
        it would be measured again, without an end."""
        button.ensurePolished()
        key = (button.text(), button.font().pixelSize(), button.iconSize().width(), style)
        width = self._measured.get(key)
        if width is None:
            before = button.toolButtonStyle()
            button.setToolButtonStyle(style)
            width = self._measured[key] = button.sizeHint().width()
            button.setToolButtonStyle(before)
        return width

    def event(self, event: QEvent) -> bool:
        if event.type() is QEvent.Type.LayoutRequest:
            self._fit()
        return super().event(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()
