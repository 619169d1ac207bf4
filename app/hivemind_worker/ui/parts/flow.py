"""Rows that always fit: what has no room in a line begins the next one, or stands one below the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from PySide6.QtCore import QEvent, QRect, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QLayout, QLayoutItem, QSizePolicy, QWidget

Margins = tuple[int, int, int, int]
NO_LIMIT = 16_777_215
BETWEEN_LINES = 6
FRAME_PX = 3
"""Of a framed row: margins and border at both sides, less the hairline that one part has too many."""
WANTS = "wants_px"
"""A property of widgets: see `Flow`."""


class Flow(QLayout):
    """A row of widgets. What follows `add_spring` stands at the right edge of its line; a widget whose
    policy is to expand takes the room that is left in it."""

    def __init__(self, spacing: int = 0, *, margins: Margins = (0, 0, 0, 0)) -> None:
        super().__init__()
        self._items: list[QLayoutItem] = []
        self._spring: int | None = None
        self.setContentsMargins(*margins)
        self.setSpacing(spacing)

    def add_spring(self) -> None:
        """What is added from here on stands at the right."""
        self._spring = len(self._items)

    # --- what Qt asks of a layout -------------------------------------------------------------

    def addItem(self, item: QLayoutItem) -> None:
        self._items.append(item)

    def count(self) -> int:
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientation:
        return Qt.Orientation(0)

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        edge = self.contentsMargins()
        inside = width - edge.left() - edge.right()
        lines = self._lines(inside)
        heights = [self._height(line, inside) for line in lines]
        return edge.top() + edge.bottom() + sum(heights) + BETWEEN_LINES * max(0, len(lines) - 1)

    def sizeHint(self) -> QSize:
        """All in one line."""
        shown = self._shown()
        wide = sum(item.sizeHint().width() for item in shown) + self.spacing() * max(0, len(shown) - 1)
        return self._one_line(wide)

    def minimumSize(self) -> QSize:
        """Room for the widest."""
        return self._one_line(max((_least(item) for item in self._shown()), default=0))

    def _one_line(self, wide: int) -> QSize:
        edge = self.contentsMargins()
        height = max((item.sizeHint().height() for item in self._shown()), default=0)
        return QSize(edge.left() + wide + edge.right(), edge.top() + height + edge.bottom())

    def setGeometry(self, rect: QRect) -> None:
        super().setGeometry(rect)
        edge = self.contentsMargins()
        inside = rect.adjusted(edge.left(), 0, -edge.right(), 0)
        spare = rect.height() - self.heightForWidth(rect.width())
        y = rect.top() + edge.top() + max(0, spare // 2)
        for line in self._lines(inside.width()):
            height = self._height(line, inside.width())
            self._place(line, QRect(inside.left(), y, inside.width(), height))
            y += height + BETWEEN_LINES

    # --- lines --------------------------------------------------------------------------------

    def _shown(self) -> list[QLayoutItem]:
        return [item for item in self._items if not item.isEmpty()]

    def _lines(self, width: int) -> list[list[QLayoutItem]]:
        lines: list[list[QLayoutItem]] = []
        room = 0
        for item in self._shown():
            needed = item.sizeHint().width() if not _expands(item) else min(width, _wanted(item))
            if not lines or needed + self.spacing() > room:
                lines.append([])
                room = width + self.spacing()
            lines[-1].append(item)
            room -= needed + self.spacing()
        return lines

    def _height(self, line: Sequence[QLayoutItem], width: int) -> int:
        return max(_tall(item, wide) for item, wide in self._widths(line, width))

    def _place(self, line: Sequence[QLayoutItem], box: QRect) -> None:
        widths = dict(self._widths(line, box.width()))
        at_right = self._items[self._spring :] if self._spring is not None else []
        x = box.left()
        spare = box.width() - sum(widths.values()) - self.spacing() * (len(line) - 1)
        for number, item in enumerate(line):
            if item in at_right and (number == 0 or line[number - 1] not in at_right):
                x += max(0, spare)
            height = min(box.height(), _tall(item, widths[item]))
            item.setGeometry(QRect(x, box.top() + (box.height() - height) // 2, widths[item], height))
            x += widths[item] + self.spacing()

    def _widths(self, line: Sequence[QLayoutItem], width: int) -> Iterator[tuple[QLayoutItem, int]]:
        """Each as it wants to be, at most the line; one that expands up to its own limit."""
        fixed = sum(item.sizeHint().width() for item in line if not _expands(item))
        room = width - fixed - self.spacing() * (len(line) - 1)
        for item in line:
            wanted = room if _expands(item) else item.sizeHint().width()
            yield item, max(0, min(wanted, width, item.maximumSize().width()))


def _expands(item: QLayoutItem) -> bool:
    widget = item.widget()
    return widget is not None and widget.sizePolicy().horizontalPolicy() in (
        QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored,
    )  # fmt: skip


def _tall(item: QLayoutItem, width: int) -> int:
    return item.heightForWidth(width) if item.hasHeightForWidth() else item.sizeHint().height()


def _wanted(item: QLayoutItem) -> int:
    """What a widget that expands wants before others move to the next line: `WANTS`, at least its minimum."""
    widget = item.widget()
    return max(_least(item), int(widget.property(WANTS) or 0) if widget is not None else 0)


def _least(item: QLayoutItem) -> int:
    return item.minimumSize().width()


def flowing(*widgets: QWidget | None, spacing: int = 10, margins: Margins = (0, 0, 0, 0)) -> Flow:
    """A row of widgets; None is where the right part begins."""
    made = Flow(spacing, margins=margins)
    for widget in widgets:
        if widget is None:
            made.add_spring()
        else:
            made.addWidget(widget)
    return made


class Columns(QFrame):
    """Panels side by side that share one frame, parted by hairlines; one below the other without the room."""

    def __init__(self, *parts: QWidget, framed: bool = True, gap: int = 0) -> None:
        """`gap`: apart by so many pixels, without hairlines."""
        super().__init__()
        edge = 1 if framed else 0
        self._gap = gap
        if framed:
            self.setProperty("kind", "panel")
        self._parts, self._lines = parts, [QFrame() for _part in parts[1:] if not gap]
        self._box = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._box.setContentsMargins(edge, edge, edge, edge)
        self._box.setSpacing(gap)
        for number, part in enumerate(parts):
            if number and not gap:
                self._box.addWidget(self._lines[number - 1])
            self._box.addWidget(part, 1)
        self.setLayout(self._box)
        self._turn(stacked=False)

    def show_part(self, part: QWidget, wanted: bool) -> None:
        """Show one of them, or leave its place to the others."""
        part.setVisible(wanted)
        number = self._parts.index(part)
        if number and not self._gap:
            self._lines[number - 1].setVisible(wanted)

    def minimumSizeHint(self) -> QSize:
        """As narrow as its widest part: the others move below."""
        return QSize(max(self._least(), default=0) + 2, super().minimumSizeHint().height())

    def _least(self) -> list[int]:
        shown = [part for part in self._parts if not part.isHidden()]
        return [max(part.minimumSizeHint().width(), part.minimumWidth()) for part in shown]

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def event(self, event: QEvent) -> bool:
        if event.type() is QEvent.Type.LayoutRequest:  # one of them says more, or less, than before
            self._fit()
        return super().event(event)

    def _fit(self) -> None:
        stacked = self.width() < sum(self._least()) + (self._gap + 1) * len(self._parts) + FRAME_PX
        if stacked is not self._stacked:
            self._turn(stacked=stacked)

    def _turn(self, *, stacked: bool) -> None:
        self._stacked = stacked
        way = QBoxLayout.Direction.TopToBottom if stacked else QBoxLayout.Direction.LeftToRight
        self._box.setDirection(way)
        for line in self._lines:
            line.setProperty("kind", "line" if stacked else "vline")
            line.setMaximumSize(NO_LIMIT if stacked else 1, 1 if stacked else NO_LIMIT)
            line.style().polish(line)


class Stacking(QFrame):
    """A row of widgets, the last of which takes the room that is left; one below the other where the window
    is too narrow for that."""

    def __init__(self, *parts: QWidget, spacing: int, margins: Margins, least_last_px: int) -> None:
        """`least_last_px`: the room that the last one needs beside the others."""
        super().__init__()
        self._parts, self._least_last_px = parts, least_last_px
        self._fixed = [part.minimumWidth() for part in parts]
        self._limits = [part.maximumWidth() for part in parts]
        self._box = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._box.setContentsMargins(*margins)
        self._box.setSpacing(spacing)
        self._side_px, self._spacing = margins[0] + margins[2], spacing
        for number, part in enumerate(parts):
            self._box.addWidget(part, int(number == len(parts) - 1))
        self._stacked = False
        self.setLayout(self._box)

    def minimumSizeHint(self) -> QSize:
        wide = max(_inside(part) for part in self._parts if not part.isHidden())
        return QSize(wide + self._side_px, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        beside = sum(self._fixed[:-1]) + self._spacing * (len(self._parts) - 1) + self._side_px
        last = max(self._least_last_px, _inside(self._parts[-1]))
        stacked = event.size().width() < beside + last
        if stacked is not self._stacked:
            self._turn(stacked=stacked)

    def _turn(self, *, stacked: bool) -> None:
        self._stacked = stacked
        ways = QBoxLayout.Direction
        self._box.setDirection(ways.TopToBottom if stacked else ways.LeftToRight)
        self._box.setSpacing(BETWEEN_LINES if stacked else self._spacing)
        for part, least, most in zip(self._parts, self._fixed, self._limits, strict=True):
            part.setMinimumWidth(0 if stacked else least)
            part.setMaximumWidth(NO_LIMIT if stacked else most)


def _inside(part: QWidget) -> int:
    """What a part needs when nothing fixes its width."""
    layout = part.layout()
    return layout.minimumSize().width() if layout is not None else part.minimumSizeHint().width()
