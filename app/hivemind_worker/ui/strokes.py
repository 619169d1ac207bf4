"""Fills, frames and words in colours of the theme, without the namespace `Qt`.

PySide makes that namespace, a hundred enumerations, at the first call that may take one of them (setPen,
setBrush, fillRect), and this takes longer than the whole first picture. What is painted before that goes
through here: brushes come out of a palette, words are tinted as icons are, flags are their numbers.
"""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QRect, QRectF
from PySide6.QtGui import QBrush, QColor, QPainter, QPainterPath, QPalette, QPen, QPixmap

from hivemind_worker.ui.theme import theme

LEFT_MIDDLE = 0x81
"""Qt.AlignmentFlag: left, and the middle from top to bottom."""
CLEAR = QColor(0, 0, 0, 0)


@lru_cache(maxsize=64)
def _brush(colour: str) -> QBrush:
    palette = QPalette()
    palette.setColor(QPalette.ColorRole.Window, QColor(colour))
    return palette.window()


def _path(box: QRect, radius: int) -> QPainterPath:
    path = QPainterPath()
    path.addRoundedRect(QRectF(box), radius, radius)
    return path


def fill(painter: QPainter, box: QRect, colour: str, radius: int = 0) -> None:
    """An area in a colour of the theme, its corners rounded."""
    painter.fillPath(_path(box, radius), _brush(theme().colours[colour]))


def frame(painter: QPainter, box: QRect, colour: str, radius: int) -> None:
    """A line of one pixel around an area."""
    pen = QPen()
    pen.setColor(theme().colour(colour))
    painter.strokePath(_path(box, radius), pen)


def tint(picture: QPixmap, colour: str) -> None:
    """Give all that is drawn on a transparent picture one colour, written as #rrggbb."""
    painter = QPainter(picture)
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceIn)
    painter.setBackground(_brush(colour))
    painter.eraseRect(picture.rect())
    painter.end()


def write(painter: QPainter, box: QRect, text: str, look: tuple[str, str], *, ratio: float) -> None:
    """A line of text of this kind and colour, at the left of the box and in its middle."""
    kind, colour = look
    words = QPixmap(round(box.width() * ratio), round(box.height() * ratio))
    words.setDevicePixelRatio(ratio)
    words.fill(CLEAR)
    pencil = QPainter(words)
    pencil.setFont(theme().font(kind))
    pencil.drawText(QRect(0, 0, box.width(), box.height()), LEFT_MIDDLE, text)
    pencil.end()
    tint(words, theme().colours[colour])
    painter.drawPixmap(box.x(), box.y(), words)


def forget() -> None:
    """Let go of what is kept, e.g. before the application ends."""
    _brush.cache_clear()
