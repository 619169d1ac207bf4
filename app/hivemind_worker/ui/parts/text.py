"""Text: labels of each kind of type, sentences that are shortened, and shapes of states."""

from __future__ import annotations

import re

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from hivemind_worker.ui.icons import pixmap
from hivemind_worker.ui.theme import theme

WIDEST_PX = (1 << 24) - 1
"""What Qt takes for no limit."""
TALLEST_PX = 10_000
"""More than any text needs."""


LONG_WORD = re.compile(r"\S{40,}")
"""A digest, say, which no space lets break."""
PIECE = re.compile(r"\S{16}")


def breakable(text: str) -> str:
    """The same with places in its long words at which a line may end."""
    return LONG_WORD.sub(lambda word: PIECE.sub("\\g<0>\u200b", word.group()), text)


def set_kind(widget: QWidget, kind: str, **more: str) -> None:
    """Give the widget its look in the style sheet."""
    changed = widget.property("kind") != kind
    widget.setProperty("kind", kind)
    for name, value in more.items():
        changed = changed or widget.property(name) != value
        widget.setProperty(name, value)
    if changed:
        widget.style().unpolish(widget)
        widget.style().polish(widget)


class Label(QLabel):
    """A text of one kind of type. Plain text only: what it shows may come from outside."""

    def __init__(self, text: str = "", kind: str = "body", *, wrap: bool = False) -> None:
        super().__init__(text)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(wrap)
        self.setProperty("kind", kind)

    def setText(self, text: str) -> None:
        """Show `text`; nothing is laid out again where it stays the same."""
        if text != self.text():
            super().setText(text)


class Figure(Label):
    """A number or time at a right edge: never shortened."""

    def __init__(self, text: str = "", kind: str = "small") -> None:
        super().__init__(text, kind)
        self.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)


class Sentence(Label):
    """Takes as many lines as its width asks for. Where it gets fewer it is shortened to one, the whole of it
    in the tooltip."""

    def __init__(self, text: str = "", kind: str = "body") -> None:
        super().__init__("", kind, wrap=True)
        self._whole = self._breakable = ""
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setText(text)

    def setText(self, text: str) -> None:
        if text != self._whole:
            self._whole, self._breakable = text, breakable(text)
            self.setAccessibleName(text)
            self.updateGeometry()
            self._fit()

    def fix_width(self, px: int | None) -> None:
        """Always so wide; None: as wide as there is room."""
        self.setMinimumWidth(px or 0)
        self.setMaximumWidth(px or WIDEST_PX)
        policy = self.sizePolicy()  # a layout gives room to what asks for some: the minimum is not enough
        policy.setHorizontalPolicy(QSizePolicy.Policy.Fixed if px else QSizePolicy.Policy.Ignored)
        self.setSizePolicy(policy)

    def whole(self) -> str:
        """The text as it was given."""
        return self._whole

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self._whole) + 2, metrics.height())

    def minimumSizeHint(self) -> QSize:
        return QSize(min(60, self.sizeHint().width()), self.sizeHint().height())

    def heightForWidth(self, width: int) -> int:
        within = QRect(0, 0, max(1, width), TALLEST_PX)
        return self.fontMetrics().boundingRect(within, Qt.TextFlag.TextWordWrap, self._breakable).height()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        metrics, shown, width = self.fontMetrics(), self._whole, max(0, self.width())
        if metrics.horizontalAdvance(shown) > width and self.heightForWidth(width) > self.height():
            shown = metrics.elidedText(shown, Qt.TextElideMode.ElideRight, width)
        super().setText(shown if shown != self._whole else self._breakable)
        self.setToolTip(self._whole if shown != self._whole else "")


class Shape(QWidget):
    """An icon in a colour of the theme, e.g. the shape of a state, with the word that it stands for."""

    def __init__(self, name: str = "", colour: str = "text-2", px: str = "icon_small") -> None:
        super().__init__()
        self._name, self._colour, self._px = name, colour, px
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_icon(self, name: str, colour: str, word: str = "") -> None:
        """Draw another one."""
        self.setAccessibleName(word)
        self.setToolTip(word)
        if (name, colour) != (self._name, self._colour):
            self._name, self._colour = name, colour
            self.update()

    def sizeHint(self) -> QSize:
        px = theme().icon_px(self._px)
        return QSize(px, px)

    def paintEvent(self, _event: QPaintEvent) -> None:
        if not self._name:
            return
        px = theme().icon_px(self._px)
        painter = QPainter(self)
        x, y = (self.width() - px) // 2, (self.height() - px) // 2
        painter.drawPixmap(x, y, pixmap(self._name, self._colour, px, self.devicePixelRatioF()))
        painter.end()


class StateBadge(QWidget):
    """A state's shape on its soft ground: the large one beside a headline."""

    def __init__(self, side: int = 44) -> None:
        super().__init__()
        self._side, self._tone, self._icon = side, "waiting", "tray-waiting"
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_state(self, tone: str, icon: str, word: str = "") -> None:
        """Draw another state."""
        self.setAccessibleName(word)
        if (tone, icon) != (self._tone, self._icon):
            self._tone, self._icon = tone, icon
            self.update()

    def sizeHint(self) -> QSize:
        side = round(self._side * theme().scale)
        return QSize(side, side)

    def paintEvent(self, _event: QPaintEvent) -> None:
        look = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(look.colour(f"state-{self._tone}-soft"))
        painter.drawRoundedRect(self.rect(), look.size("radius_control"), look.size("radius_control"))
        px = round(self.sizeHint().width() * 0.55)
        picture = pixmap(self._icon, f"state-{self._tone}-ink", px, self.devicePixelRatioF())
        painter.drawPixmap((self.width() - px) // 2, (self.height() - px) // 2, picture)
        painter.end()
