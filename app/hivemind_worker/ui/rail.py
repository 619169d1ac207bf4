"""The rail: the places of the window at its left edge, with a count or a state's shape beside the word."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QEnterEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QButtonGroup, QSizePolicy, QWidget

from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.opening_words import PROGRAM
from hivemind_worker.ui.icons import pixmap
from hivemind_worker.ui.parts.panels import column, line, row
from hivemind_worker.ui.parts.text import Sentence, Shape
from hivemind_worker.ui.places import Place
from hivemind_worker.ui.rail_picture import (
    GAP,
    MARGIN,
    brand_height,
    draw_item,
    item_height,
    rail_width,
    word_box,
    word_look,
)
from hivemind_worker.ui.theme import theme


class RailItem(QAbstractButton):
    """One place. Arrow keys move between them, as in any group of which one is taken."""

    _trouble: Look | None

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self._badge, self._trouble = "", None
        self._narrow = False
        self.setCheckable(True)
        self.setText(_(place.title))
        self.setAccessibleName(_(place.title))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)

    def set_narrow(self, narrow: bool) -> None:
        """Icons alone, with the word as tooltip."""
        self._narrow = narrow
        self.setToolTip(self.text() if narrow else "")
        self.update()

    def set_badge(self, text: str) -> None:
        """A count at the right; "" for none."""
        if text != self._badge:
            self._badge = text
            self.setAccessibleDescription(text)
            self.update()

    def set_trouble(self, trouble: Look | None) -> None:
        """The shape of what is wrong there, at the right; None for nothing."""
        if trouble != self._trouble:
            self._trouble = trouble
            self.setAccessibleDescription(trouble.word if trouble is not None else "")
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(100, item_height())

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        draw_item(
            painter, self.rect(), self.place.icon, ratio=self.devicePixelRatioF(),
            taken=self.isChecked(), hovered=self.underMouse(), narrow=self._narrow,
        )  # fmt: skip
        if not self._narrow:
            kind, colour = word_look(taken=self.isChecked())
            painter.setFont(theme().font(kind))
            painter.setPen(theme().colour(colour))
            middle = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
            painter.drawText(word_box(self.rect()), middle, self.text())
        self._draw_badge(painter)
        self._draw_trouble(painter)
        painter.end()

    def _draw_trouble(self, painter: QPainter) -> None:
        if self._trouble is None:
            return
        px, ink = theme().icon_px("icon_small") - 2, f"state-{self._trouble.tone}-ink"
        shape = pixmap(self._trouble.icon, ink, px, self.devicePixelRatioF())
        if self._narrow:
            painter.drawPixmap(self.width() - px - 1, 1, shape)
        else:
            painter.drawPixmap(self.width() - px - 9, (self.height() - px) // 2, shape)

    def _draw_badge(self, painter: QPainter) -> None:
        look = theme()
        if not self._badge:
            return
        painter.setFont(look.font("small"))
        width = painter.fontMetrics().horizontalAdvance(self._badge)
        if self._narrow:
            side = max(14, painter.fontMetrics().height())
            spot = QRect(self.width() - max(side, width + 6) - 1, 0, max(side, width + 6), side)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(look.colour("accent"))
            painter.drawRoundedRect(spot, side / 2, side / 2)
            painter.setPen(look.colour("on-accent"))
            painter.drawText(spot, Qt.AlignmentFlag.AlignCenter, self._badge)
            return
        painter.setPen(look.colour("text-3"))
        box = self.rect().adjusted(0, 0, -9, 0)
        painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, self._badge)


class Rail(QWidget):
    """The places, and above them the program's name with the computer's."""

    chosen = Signal(str)
    """The key of the place that was pressed."""

    def __init__(self, places: Sequence[Place]) -> None:
        super().__init__()
        self.setProperty("kind", "rail")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName(_("Places"))
        self._group = QButtonGroup(self)
        self.items: dict[str, RailItem] = {}
        self._brand = _Brand()
        upper, lower = column(GAP, margins=(MARGIN,) * 4), column(GAP, margins=(MARGIN, MARGIN, MARGIN, 6))
        for place in places:
            item = self.items[place.key] = RailItem(place)
            self._group.addButton(item)
            item.clicked.connect(lambda _checked=False, key=place.key: self.chosen.emit(key))
            (lower if place.low else upper).addWidget(item)
        whole = column()
        whole.addWidget(self._brand)
        whole.addWidget(line())
        whole.addLayout(upper)
        whole.addStretch(1)
        whole.addWidget(line())
        whole.addLayout(lower)
        self.setLayout(whole)
        self.set_narrow(False)

    def set_narrow(self, narrow: bool) -> None:
        """Icons alone in a small window."""
        self.setFixedWidth(rail_width(narrow=narrow))
        self._brand.set_narrow(narrow)
        for item in self.items.values():
            item.set_narrow(narrow)

    def take(self, key: str) -> None:
        """Show which place is open."""
        self.items[key].setChecked(True)

    def set_computer(self, name: str) -> None:
        """The computer's name under the program's."""
        self._brand.computer.setText(name)


class _Brand(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.mark = Shape("app", "text")
        self.mark.show_icon("app", "text", PROGRAM)
        self.mark._px = "icon_grid"
        side = theme().icon_px("icon_grid") + 4
        self.mark.setFixedSize(side, side)
        self.program, self.computer = Sentence(PROGRAM, "strong"), Sentence("", "caption")
        self._words = QWidget()
        words = column()
        words.addStretch(1)
        words.addWidget(self.program)
        words.addWidget(self.computer)
        words.addStretch(1)
        self._words.setLayout(words)
        inner = row(8, margins=(12, 0, 8, 0))
        inner.addWidget(self.mark)
        inner.addWidget(self._words, 1)
        self.setLayout(inner)
        self.setFixedHeight(brand_height())

    def set_narrow(self, narrow: bool) -> None:
        self._words.setVisible(not narrow)
