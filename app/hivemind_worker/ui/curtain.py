"""The window's first picture: rail, strip and page as they will stand there, by one widget alone.

It is painted before the style sheet, the widgets and all that they need are loaded, and gives way to them.
What cannot be pressed yet is not drawn: buttons come with the widgets. Counterparts: `ui.rail`,
`ui.status_strip`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRect
from PySide6.QtGui import QFontMetrics, QPainter
from PySide6.QtWidgets import QWidget

from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.opening_words import PROGRAM, STARTING
from hivemind_worker.ui.icons import pixmap
from hivemind_worker.ui.places import PLACES, Place
from hivemind_worker.ui.rail_picture import (
    GAP,
    MARGIN,
    brand_height,
    draw_item,
    is_narrow,
    item_height,
    rail_width,
    word_box,
    word_look,
)
from hivemind_worker.ui.strokes import fill, write
from hivemind_worker.ui.theme import theme

if TYPE_CHECKING:
    from PySide6.QtGui import QPaintEvent

FOOT = 6
PILL_MARGINS = (11, 12)
PILL_GAP, WORDS_GAP, WORDS_MARGIN = 7, 12, 4


class Curtain(QWidget):
    """`taken` is the key of the place that will be open."""

    def __init__(self, taken: str) -> None:
        super().__init__()
        self._taken = taken
        self.has_painted = False

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        narrow = is_narrow(self.width())
        rail = QRect(0, 0, rail_width(narrow=narrow), self.height())
        fill(painter, self.rect(), "window")
        self._draw_rail(painter, rail, narrow)
        self._draw_strip(painter, QRect(rail.width(), 0, self.width() - rail.width(), strip_height()))
        painter.end()
        self.has_painted = True

    def _write(self, painter: QPainter, box: QRect, text: str, kind: str, colour: str) -> None:
        write(painter, box, text, (kind, colour), ratio=self.devicePixelRatioF())

    def _draw_icon(self, painter: QPainter, x: int, middle: int, icon: tuple[str, str, int]) -> None:
        drawn = pixmap(*icon, self.devicePixelRatioF())
        painter.drawPixmap(x, middle - icon[2] // 2, drawn)

    # --- the rail -----------------------------------------------------------------------------

    def _draw_rail(self, painter: QPainter, rail: QRect, narrow: bool) -> None:
        fill(painter, rail, "rail")
        self._draw_brand(painter, narrow)
        upper = [place for place in PLACES if not place.low]
        lower = [place for place in PLACES if place.low]
        top = brand_height()
        foot = rail.height() - len(lower) * (item_height() + GAP) + GAP - FOOT
        for y, places in ((top + 1 + MARGIN, upper), (foot, lower)):
            self._draw_places(painter, y, rail.width(), places, narrow)
        for y in (top, foot - MARGIN - 1):
            fill(painter, QRect(0, y, rail.width(), 1), "line")
        fill(painter, QRect(rail.width() - 1, 0, 1, rail.height()), "line")

    def _draw_places(
        self, painter: QPainter, top: int, width: int, places: list[Place], narrow: bool
    ) -> None:
        for number, place in enumerate(places):
            y = top + number * (item_height() + GAP)
            box, taken = QRect(MARGIN, y, width - 2 * MARGIN, item_height()), place.key == self._taken
            draw_item(painter, box, place.icon, ratio=self.devicePixelRatioF(), taken=taken, narrow=narrow)
            if not narrow:
                self._write(painter, word_box(box), _(place.title), *word_look(taken=taken))

    def _draw_brand(self, painter: QPainter, narrow: bool) -> None:
        px = theme().icon_px("icon_grid")
        self._draw_icon(painter, 14, brand_height() // 2, ("app", "text", px))
        if not narrow:
            strong, caption = text_height("strong"), text_height("caption")  # the computer's name is below
            top = (brand_height() - strong - caption + 1) // 2
            words = QRect(24 + px, top, rail_width(narrow=False), strong)
            self._write(painter, words, PROGRAM, "strong", "text")

    # --- the strip ----------------------------------------------------------------------------

    def _draw_strip(self, painter: QPainter, strip: QRect) -> None:
        fill(painter, strip, "surface")
        fill(painter, QRect(strip.x(), strip.height() - 1, strip.width(), 1), "line")
        y = (strip.height() - pill_height(text_height("strong"))) // 2
        right = self._draw_pill(painter, strip.x() + theme().size("gutter"), y)
        room = QRect(right + WORDS_GAP, 0, strip.right() - right - WORDS_GAP, strip.height())
        self._write(painter, room, _(STARTING[3]), "strong", "text")

    def _draw_pill(self, painter: QPainter, x: int, y: int) -> int:
        """The state on its soft ground; where that ends."""
        tone, icon, word = STARTING[0], STARTING[1], _(STARTING[2])
        px, height, ink = (
            theme().icon_px("icon_small"),
            pill_height(text_height("strong")),
            f"state-{tone}-ink",
        )
        before, after = PILL_MARGINS[0] + px + PILL_GAP, PILL_MARGINS[1]
        text = QFontMetrics(theme().font("strong")).horizontalAdvance(word)
        pill = QRect(x, y, before + text + after, height)
        fill(painter, pill, f"state-{tone}-soft", height // 2)
        self._draw_icon(painter, x + PILL_MARGINS[0], y + height // 2, (icon, ink, px))
        self._write(painter, pill.adjusted(before, 0, 0, 0), word, "strong", ink)
        return pill.x() + pill.width()


def text_height(kind: str) -> int:
    """A line of this kind of text."""
    return QFontMetrics(theme().font(kind)).height()


def pill_height(text_px: int) -> int:
    """The state's ground, around a text of this height."""
    return max(28, text_px + 10)


def strip_height() -> int:
    """The strip with one line of text in it, and the line below it."""
    return max(theme().size("strip"), pill_height(text_height("strong")) + 2 * WORDS_MARGIN)
