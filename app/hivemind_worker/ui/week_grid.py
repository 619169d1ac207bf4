"""The week as half hours at four levels: painted with the pointer, or with arrows and the digits 0 to 3.

And the day ahead as a strip. Levels differ by height, so that nothing depends on colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QBrush, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from hivemind_worker.model.rules import DAYS, SLOTS_A_DAY, Level
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.rule_rows import DAY_NAMES
from hivemind_worker.presentation.rule_words import LEVELS
from hivemind_worker.ui.theme import theme

GAP = 3
SWATCH = (14, 17)
MOVES = {
    Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0),
}  # fmt: skip
HEIGHTS = {Level.FULL: 1.0, Level.NORMAL: 2 / 3, Level.LIGHT: 1 / 3, Level.OFF: 0.0}


def slot_time(slot: int) -> str:
    """The beginning of a half hour: 14:30."""
    return f"{slot // 2:02d}:{slot % 2 * 30:02d}"


def paint_level(painter: QPainter, place: QRectF, level: Level) -> None:
    """A level as a height; Off as a dash."""
    look = theme()
    if level is Level.OFF:
        painter.setPen(QPen(look.colour("text-3"), 1))
        y = round(place.center().y()) + 0.5
        painter.drawLine(QPointF(place.left() + 2, y), QPointF(place.right() - 2, y))
        return
    painter.fillRect(place, look.colour("accent-soft"))
    height = place.height() * HEIGHTS[level]
    filled = QRectF(place.left(), place.bottom() - height, place.width(), height)
    painter.fillRect(filled, look.colour("accent"))
    painter.setPen(QPen(look.colour("accent-edge"), 1))
    painter.drawLine(filled.topLeft(), filled.topRight())


class WeekGrid(QWidget):
    """`painted` tells the days that have changed, as the rules keep them, when a stroke has ended."""

    painted = Signal(dict)

    def __init__(self) -> None:
        super().__init__()
        self.level = Level.NORMAL
        self.cursor_at = (0, 0)
        self._days = dict.fromkeys(DAYS, "3" * SLOTS_A_DAY)
        self._before: dict[str, str] | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(_("Week plan"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._tell()

    def show_days(self, days: Mapping[str, str]) -> None:
        """Show these, unless a stroke is under way."""
        if self._before is None and dict(days) != self._days:
            self._days = dict(days)
            self._tell()
            self.update()

    def days(self) -> dict[str, str]:
        """What is shown."""
        return dict(self._days)

    def sizeHint(self) -> QSize:
        row = self.fontMetrics().height() + 4
        return QSize(560, row * (len(DAYS) + 1))

    # --- strokes ------------------------------------------------------------------------------

    def set_level(self, day: int, slot: int, level: Level) -> None:
        """Paint one half hour."""
        name = DAYS[day]
        text = self._days[name]
        self._days[name] = f"{text[:slot]}{int(level)}{text[slot + 1 :]}"
        self._tell()
        self.update()

    def _begin(self) -> None:
        self._before = dict(self._days)

    def _end(self) -> None:
        before, self._before = self._before or {}, None
        changed = {day: text for day, text in self._days.items() if before.get(day) != text}
        if changed:
            self.painted.emit(changed)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        found = self._cell_at(event.position())
        if found is not None and event.button() is Qt.MouseButton.LeftButton:
            self._begin()
            self.cursor_at = found
            self.set_level(*found, self.level)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        found = self._cell_at(event.position())
        if found is not None and self._before is not None:
            self.cursor_at = found
            self.set_level(*found, self.level)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._before is not None:
            self._end()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        move = MOVES.get(Qt.Key(event.key()))
        if move is not None:
            day, slot = self.cursor_at[0] + move[0], self.cursor_at[1] + move[1]
            self.cursor_at = (min(6, max(0, day)), min(SLOTS_A_DAY - 1, max(0, slot)))
            self._tell()
            self.update()
        elif event.text() in ("0", "1", "2", "3"):
            self._begin()
            self.set_level(*self.cursor_at, Level(int(event.text())))
            self._end()
        else:
            super().keyPressEvent(event)

    def _tell(self) -> None:
        """What a screen reader says of the place of the cursor."""
        day, slot = self.cursor_at
        level = Level(int(self._days[DAYS[day]][slot]))
        self.setAccessibleDescription(
            _(
                "{day} {time}: {level}",
                day=_(DAY_NAMES[DAYS[day]]),
                time=slot_time(slot),
                level=_(LEVELS[level]),
            )
        )

    # --- drawing ------------------------------------------------------------------------------

    def _plot(self) -> QRectF:
        metrics = self.fontMetrics()
        left = max(metrics.horizontalAdvance(_(name)) for name in DAY_NAMES.values()) + 10
        return QRectF(
            left, metrics.height() + 2, self.width() - left - 2, self.height() - metrics.height() - 4
        )

    def _cell(self, day: int, slot: int) -> QRectF:
        plot = self._plot()
        width, height = plot.width() / SLOTS_A_DAY, plot.height() / len(DAYS)
        return QRectF(plot.left() + slot * width, plot.top() + day * height, width, height - GAP)

    def _cell_at(self, place: QPointF) -> tuple[int, int] | None:
        plot = self._plot()
        if not plot.contains(place):
            return None
        day = int((place.y() - plot.top()) / (plot.height() / len(DAYS)))
        slot = int((place.x() - plot.left()) / (plot.width() / SLOTS_A_DAY))
        return min(6, day), min(SLOTS_A_DAY - 1, slot)

    def paintEvent(self, _event: QPaintEvent) -> None:
        look, painter, plot = theme(), QPainter(self), self._plot()
        painter.setFont(look.font("caption"))
        painter.setPen(look.colour("text-2"))
        room = plot.width() / 8 > painter.fontMetrics().horizontalAdvance(slot_time(0)) * 1.3
        for slot in range(0, SLOTS_A_DAY + 1, 6 if room else 12):
            text = slot_time(slot)
            x = plot.left() + plot.width() * slot / SLOTS_A_DAY
            width = painter.fontMetrics().horizontalAdvance(text)
            at = min(self.width() - width, max(plot.left(), x - width / 2))
            painter.drawText(QPointF(at, painter.fontMetrics().ascent()), text)
        for number, day in enumerate(DAYS):
            painter.setPen(look.colour("text-2"))
            cell = self._cell(number, 0)
            box = QRectF(0, cell.top(), plot.left() - 8, cell.height())
            painter.drawText(
                box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, _(DAY_NAMES[day])
            )
            for slot, digit in enumerate(self._days[day]):
                paint_level(painter, self._cell(number, slot).adjusted(0, 0, -1, 0), Level(int(digit)))
        if self.hasFocus():
            painter.setPen(QPen(look.colour("focus"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self._cell(*self.cursor_at))
        painter.end()


class LevelSwatch(QWidget):
    """A level as the plan draws it, beside its name."""

    def __init__(self, level: Level) -> None:
        super().__init__()
        self.level = level
        self.setAccessibleName(_(LEVELS[level]))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(round(SWATCH[0] * theme().scale), round(SWATCH[1] * theme().scale))

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        paint_level(painter, QRectF(self.rect()), self.level)
        painter.setPen(QPen(theme().colour("line-strong" if self.level is Level.OFF else "accent-edge"), 1))
        painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the strip: where it begins and ends (0 to 1), its level, whether work runs, its name."""

    begin: float
    end: float
    level: Level
    works: bool
    name: str


class DayStrip(QWidget):
    """The time ahead: heights are levels, hatched where no work runs."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: tuple[Stretch, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(_("Next 24 hours, if they go as usual"))

    def show_parts(self, parts: Sequence[Stretch]) -> None:
        """Show exactly these."""
        if tuple(parts) != self._parts:
            self._parts = tuple(parts)
            self.setAccessibleDescription(", ".join(part.name for part in parts))
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(400, round(36 * theme().scale))

    def paintEvent(self, _event: QPaintEvent) -> None:
        look, painter = theme(), QPainter(self)
        painter.setFont(look.font("caption"))
        for part in self._parts:
            left, width = self.width() * part.begin, self.width() * (part.end - part.begin)
            place = QRectF(left, 0, width, self.height() - 1)
            if part.works:
                paint_level(painter, place, part.level)
            else:
                painter.fillRect(place, look.colour("chart-band"))
                painter.fillRect(place, QBrush(look.colour("chart-band-hatch"), Qt.BrushStyle.BDiagPattern))
            painter.setPen(look.colour("on-accent" if part.works else "text-2"))
            box = place.adjusted(5, 0, -4, -2)
            if painter.fontMetrics().horizontalAdvance(part.name) < box.width():
                flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom
                painter.drawText(box, flags, part.name)
        painter.end()
