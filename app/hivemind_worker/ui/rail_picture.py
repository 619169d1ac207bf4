"""How the rail is drawn: by its items, and by the curtain before there are any."""

from __future__ import annotations

from PySide6.QtCore import QRect
from PySide6.QtGui import QFontMetrics, QPainter

from hivemind_worker.ui.icons import pixmap
from hivemind_worker.ui.strokes import fill, frame
from hivemind_worker.ui.theme import theme

NARROW_PX = 1000
MARGIN, GAP, BAR, RADIUS, TEXT_AT = 8, 2, 3, 4, 39


def is_narrow(window_px: int) -> bool:
    """Whether a window of this width has icons alone in its rail."""
    return window_px < NARROW_PX * max(1.0, theme().scale * 0.8)


def rail_width(*, narrow: bool) -> int:
    """The rail's width in pixels."""
    look = theme()
    if narrow:
        return round(look.size("rail_narrow") * (1 + (look.scale - 1) * 0.4))
    return max(look.size("rail"), round(150 * look.scale))


def brand_height() -> int:
    """The head of the rail, with the program's name: as high as the strip without its line."""
    return max(theme().size("strip") - 1, round(51 * (1 + (theme().scale - 1) * 0.3)))


def item_height() -> int:
    """A place in the rail."""
    return max(theme().size("rail_item"), QFontMetrics(theme().font("body")).height() + 12)


def draw_item(
    painter: QPainter, box: QRect, icon: str, *, ratio: float,
    taken: bool = False, hovered: bool = False, narrow: bool = False,
) -> None:  # fmt: skip
    """One place but for its word: its icon, and a frame around the one that is open."""
    if taken or hovered:
        fill(painter, box.adjusted(0, 0, -1, -1), "surface" if taken else "hover", RADIUS)
    if taken:
        frame(painter, box.adjusted(0, 0, -1, -1), "line", RADIUS)
        fill(painter, QRect(box.x(), box.y() + box.height() // 2 - 8, BAR, 16), "accent-edge")
    px = theme().icon_px()
    left = box.x() + ((box.width() - px) // 2 if narrow else 11)
    drawn = pixmap(icon, "accent-text" if taken else "text-2", px, ratio)
    painter.drawPixmap(left, box.y() + (box.height() - px) // 2, drawn)


def word_box(box: QRect) -> QRect:
    """Where the word of a place stands, right of its icon."""
    return box.adjusted(TEXT_AT + theme().icon_px() - theme().size("icon"), 0, -28, 0)


def word_look(*, taken: bool) -> tuple[str, str]:
    """Kind and colour of the word."""
    return ("strong", "text") if taken else ("body", "text-2")
