"""The rail: the places of the window at its left edge, with a count or a state's shape beside the word."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QEnterEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QButtonGroup, QSizePolicy, QWidget

from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.opening_words import PROGRAM
from hivemind_worker.ui.icons import pixmap
from hivemind_worker.ui.parts.panels import column, line, row
from hivemind_worker.ui.parts.text import Sentence, Shape
from hivemind_worker.ui.screens import Place
from hivemind_worker.ui.theme import theme

MARGIN, BAR, TEXT_AT = 8, 3, 39


class RailItem(QAbstractButton):
    """One place. Arrow keys move between them, as in any group of which one is taken."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self._badge = ""
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

    def sizeHint(self) -> QSize:
        return QSize(100, max(theme().size("rail_item"), self.fontMetrics().height() + 12))

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        look, painter = theme(), QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        taken = self.isChecked()
        if taken or self.underMouse():
            painter.setPen(look.colour("line") if taken else Qt.PenStyle.NoPen)
            painter.setBrush(look.colour("surface" if taken else "hover"))
            painter.drawRoundedRect(self.rect().adjusted(0, 0, -1, -1), 4, 4)
        if taken:
            bar = QRect(0, self.height() // 2 - 8, BAR, 16)
            painter.fillRect(bar, look.colour("accent-edge"))
        self._draw_icon(painter, "accent-text" if taken else "text-2")
        if not self._narrow:
            font = look.font("strong" if taken else "body")
            painter.setFont(font)
            painter.setPen(look.colour("text" if taken else "text-2"))
            left = TEXT_AT + look.icon_px() - look.size("icon")
            box = self.rect().adjusted(left, 0, -28, 0)
            painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, self.text())
        self._draw_badge(painter)
        painter.end()

    def _draw_icon(self, painter: QPainter, colour: str) -> None:
        px = theme().icon_px()
        left = (self.width() - px) // 2 if self._narrow else 11
        picture = pixmap(self.place.icon, colour, px, self.devicePixelRatioF())
        painter.drawPixmap(left, (self.height() - px) // 2, picture)

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
        upper, lower = column(2, margins=(MARGIN, 8, MARGIN, 8)), column(2, margins=(MARGIN, 8, MARGIN, 6))
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
        scale = theme().scale
        wide = max(theme().size("rail"), round(150 * scale))
        self.setFixedWidth(round(theme().size("rail_narrow") * (1 + (scale - 1) * 0.4)) if narrow else wide)
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
        self.setFixedHeight(max(theme().size("strip") - 1, round(51 * (1 + (theme().scale - 1) * 0.3))))

    def set_narrow(self, narrow: bool) -> None:
        self._words.setVisible(not narrow)
