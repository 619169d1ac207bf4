"""Small drawings: what is lent as a bar, days as bars, a balance as a line. Numbers stand beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from hivemind_worker.ui.theme import theme

AXIS = (0.0, 0.5, 1.0)
"""Shares of the largest value that get a line and a number."""
BAR_PX = 10
GAP = 0.28
"""The part of a day's place that stays empty."""


class ShareBar(QWidget):
    """Three parts of a whole: taken by tasks, lent and free, and what stays the owner's."""

    def __init__(self) -> None:
        super().__init__()
        self._taken = self._lent = 0.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_share(self, taken: float, lent: float, words: str) -> None:
        """Shares of the whole, 0 to 1; `words` says the same."""
        self.setAccessibleName(words)
        if (taken, lent) != (self._taken, self._lent):
            self._taken, self._lent = taken, lent
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(120, round(BAR_PX * theme().scale))

    def paintEvent(self, _event: QPaintEvent) -> None:
        look, painter = theme(), QPainter(self)
        whole = QRectF(0.5, 0.5, self.width() - 1, self.height() - 1)
        parts = (
            (0.0, 1.0, "sunken", "line-strong"),
            (0.0, self._lent, "accent-soft", "accent-edge"),
            (0.0, self._taken, "accent", "accent-edge"),
        )
        for begin, end, ground, edge in parts:
            if end > begin:
                painter.setPen(QPen(look.colour(edge), 1))
                painter.setBrush(look.colour(ground))
                painter.drawRect(
                    QRectF(whole.left(), whole.top(), whole.width() * min(1.0, end), whole.height())
                )
        painter.end()


@dataclass(frozen=True, slots=True)
class Bar:
    """One day, or another line of a table: its value (None: not known) and its name on the axis."""

    value: float | None
    name: str
    ours: bool = True


class DayBars(QWidget):
    """Days as bars with an axis from 0, the last one today; or pools, or images."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self._bars: tuple[Bar, ...] = ()
        self._every_name = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_bars(self, bars: Sequence[Bar], every_name: bool = False) -> None:
        """Show exactly these, oldest first; with the name of each, shortened, or of as many as have room."""
        if (tuple(bars), every_name) != (self._bars, self._every_name):
            self._bars, self._every_name = tuple(bars), every_name
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(300, round(118 * theme().scale))

    def paintEvent(self, _event: QPaintEvent) -> None:
        if not self._bars:
            return
        look, painter = theme(), QPainter(self)
        painter.setFont(look.font("caption"))
        metrics = painter.fontMetrics()
        top = round_up(max((bar.value or 0.0 for bar in self._bars), default=0.0))
        left = max(metrics.horizontalAdvance(f"{top * share:g}") for share in AXIS) + 8
        plot = QRectF(
            left, metrics.height() / 2, self.width() - left, self.height() - 1.5 * metrics.height() - 4
        )
        for share in AXIS:
            y = round(plot.bottom() - plot.height() * share) + 0.5
            painter.setPen(QPen(look.colour("chart-axis" if not share else "chart-grid"), 1))
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
            painter.setPen(look.colour("chart-axis"))
            box = QRectF(0, y - metrics.height() / 2, left - 6, metrics.height())
            painter.drawText(
                box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{top * share:g}"
            )
        self._draw_bars(painter, plot, top)
        painter.end()

    def _draw_bars(self, painter: QPainter, plot: QRectF, top: float) -> None:
        look, wide = theme(), plot.width() / len(self._bars)
        metrics = painter.fontMetrics()
        longest = 0 if self._every_name else max(metrics.horizontalAdvance(bar.name) for bar in self._bars)
        every = max(1, -(-(longest + 8) // max(1, round(wide))))
        for number, bar in enumerate(self._bars):
            x = plot.left() + number * wide
            if bar.value:
                painter.setPen(QPen(look.colour("accent-edge"), 1))
                painter.setBrush(look.colour("accent"))
                height = plot.height() * min(1.0, bar.value / top)
                painter.drawRect(QRectF(round(x + wide * GAP / 2) + 0.5, round(plot.bottom() - height) + 0.5,
                                        round(wide * (1 - GAP)), round(height)))  # fmt: skip
            if (len(self._bars) - 1 - number) % every == 0:
                painter.setPen(look.colour("chart-axis"))
                name = metrics.elidedText(bar.name, Qt.TextElideMode.ElideMiddle, round(every * wide) - 6)
                width = metrics.horizontalAdvance(name)
                at = min(max(plot.left(), x + wide / 2 - width / 2), self.width() - width)
                painter.drawText(QPointF(at, self.height() - 3), name)


class BalanceLine(QWidget):
    """A balance over time: steps, as it changes at moments; the last value is marked."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self._points: tuple[tuple[float, float], ...] = ()
        self._ends = ("", "")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_line(self, points: Sequence[tuple[float, float]], ends: tuple[str, str]) -> None:
        """(0 to 1 of the range, amount) in order; `ends` name the range's ends."""
        if (tuple(points), ends) != (self._points, self._ends):
            self._points, self._ends = tuple(points), ends
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(300, round(160 * theme().scale))

    def paintEvent(self, _event: QPaintEvent) -> None:
        if not self._points:
            return
        look, painter = theme(), QPainter(self)
        painter.setFont(look.font("caption"))
        metrics = painter.fontMetrics()
        low, high = bounds([amount for _share, amount in self._points])
        left = metrics.horizontalAdvance(f"{high:,.0f}") + 8
        plot = QRectF(
            left, metrics.height() / 2, self.width() - left - 4, self.height() - 1.5 * metrics.height() - 4
        )
        for share in AXIS:
            y = round(plot.bottom() - plot.height() * share) + 0.5
            painter.setPen(QPen(look.colour("chart-axis" if not share else "chart-grid"), 1))
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
            painter.setPen(look.colour("chart-axis"))
            box = QRectF(0, y - metrics.height() / 2, left - 6, metrics.height())
            text = f"{low + (high - low) * share:,.0f}"
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)
        painter.drawText(QPointF(plot.left(), self.height() - 3), self._ends[0])
        width = metrics.horizontalAdvance(self._ends[1])
        painter.drawText(QPointF(plot.right() - width, self.height() - 3), self._ends[1])
        self._draw_line(painter, plot, low, high)
        painter.end()

    def _draw_line(self, painter: QPainter, plot: QRectF, low: float, high: float) -> None:
        look, edge = theme(), list[QPointF]()
        for share, amount in self._points:
            x = plot.left() + plot.width() * share
            y = plot.bottom() - plot.height() * (amount - low) / (high - low)
            if edge:
                edge.append(QPointF(x, edge[-1].y()))
            edge.append(QPointF(x, y))
        edge.append(QPointF(plot.right(), edge[-1].y()))
        ground = QPolygonF([QPointF(edge[0].x(), plot.bottom()), *edge, QPointF(plot.right(), plot.bottom())])
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(look.colour("accent-soft"))
        painter.drawPolygon(ground)
        painter.setPen(QPen(look.colour("accent-edge"), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF(edge))
        painter.setBrush(look.colour("accent"))
        painter.drawRect(QRectF(edge[-1].x() - 4, edge[-1].y() - 3.5, 7, 7))


def round_up(value: float) -> float:
    """The next of …, 0.1, 0.2, 0.4, 1, 2, 4, 10, … at or above a value; 1 for none."""
    if value <= 0:
        return 1.0
    power = math.floor(math.log10(value))
    return next(top for factor in (1, 2, 4, 10) if (top := float(f"{factor}e{power}")) >= value)


def bounds(amounts: Sequence[float]) -> tuple[float, float]:
    """A range around the amounts whose ends and middle are round numbers; never empty."""
    low, high = min(amounts), max(amounts)
    unit = 10.0 ** max(0, math.floor(math.log10(max(1.0, (high - low) / 2))))
    begin = max(0.0, math.floor(low / unit) * unit)
    least = unit / 2 if unit > 1 else unit
    return begin, begin + 2 * least * max(1, math.ceil((high - begin) / (2 * least)))
