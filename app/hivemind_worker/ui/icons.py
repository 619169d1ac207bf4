"""Icons in any colour of the theme: drawn once from their SVG, tinted, and kept."""

from __future__ import annotations

from functools import lru_cache

from PySide6 import QtGui
from PySide6.QtCore import QByteArray, QRectF
from PySide6.QtGui import QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from hivemind_worker.places import resources
from hivemind_worker.ui import strokes
from hivemind_worker.ui.strokes import CLEAR, tint
from hivemind_worker.ui.theme import theme

KEPT = 512
OWN_COLOURS = frozenset({"app"})
"""Drawn as they are: the mark of the program."""
APP_SIZES = (16, 22, 24, 32, 48, 64, 128, 256)


@lru_cache(maxsize=128)
def _renderer(name: str) -> QSvgRenderer:
    return QSvgRenderer(QByteArray((resources() / "icons" / f"{name}.svg").read_bytes()))


@lru_cache(maxsize=KEPT)
def _drawn(name: str, colour: str, px: int, ratio: float) -> QPixmap:
    picture = QPixmap(round(px * ratio), round(px * ratio))
    picture.fill(CLEAR)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    _renderer(name).render(painter, QRectF(0, 0, picture.width(), picture.height()))
    painter.end()
    if name not in OWN_COLOURS:
        tint(picture, colour)
    picture.setDevicePixelRatio(ratio)
    return picture


def pixmap(name: str, colour: str = "text-2", px: int = 18, ratio: float = 1.0) -> QPixmap:
    """The icon in a colour of the theme in force."""
    return _drawn(name, theme().colours[colour], px, ratio)


def icon(name: str, colour: str = "text", px: int = 18, *, gap: int = 0) -> QtGui.QIcon:
    """The icon for a button or menu, grey where it cannot be pressed; of the theme in force now.

    `gap`: empty pixels at its right, as buttons set their text close to it.
    """
    found = QtGui.QIcon()
    for ratio in (1.0, 2.0):
        found.addPixmap(_widened(pixmap(name, colour, px, ratio), gap))
        found.addPixmap(_widened(pixmap(name, "disabled", px, ratio), gap), QtGui.QIcon.Mode.Disabled)
    return found


def _widened(picture: QPixmap, gap: int) -> QPixmap:
    if not gap:
        return picture
    ratio = picture.devicePixelRatio()
    wide = QPixmap(picture.width() + round(gap * ratio), picture.height())
    wide.setDevicePixelRatio(ratio)
    wide.fill(CLEAR)
    painter = QPainter(wide)
    painter.drawPixmap(0, 0, picture)
    painter.end()
    return wide


def plain_icon(name: str, colour: QtGui.QColor, px: int) -> QPixmap:
    """The icon in one given colour, for places that have a theme of their own (the tray).

    It is drawn over itself: a stroke of few pixels has pale edges, which are half of it.
    """
    drawn = _drawn(name, colour.name(), px, 1.0)
    firm = QPixmap(drawn)
    painter = QPainter(firm)
    painter.drawPixmap(0, 0, drawn)
    painter.end()
    return firm


def app_icon() -> QtGui.QIcon:
    """The program's own icon in all its sizes."""
    found = QtGui.QIcon()
    for px in APP_SIZES:
        found.addPixmap(_drawn("app", "", px, 1.0))
    return found


def forget() -> None:
    """Let go of all pictures, e.g. before the application ends."""
    _drawn.cache_clear()
    _renderer.cache_clear()
    strokes.forget()
