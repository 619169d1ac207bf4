"""A graph: fills without antialiasing, one-pixel lines with it, 120 points; the grid in a cached picture.

Thick antialiased lines over noisy figures cost a hundred times as much. Nothing is drawn while hidden.
What is drawn comes from `presentation.graphs`; this knows pixels only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QFontMetrics,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.graphs import Graph, Reading, Role, Series, headline, reading
from hivemind_worker.presentation.moments import clock_time, day, on_axis
from hivemind_worker.ui.theme import theme

FILLS = {Role.OURS: "chart-ours-fill", Role.OTHERS: "chart-others-fill"}
LINES = {
    Role.OURS: "chart-ours-line",
    Role.OTHERS: "chart-others-line",
    Role.FIRST: "chart-series-0",
    Role.SECOND: "chart-series-2",
}
DASHED = {Role.SECOND: [4.0, 3.0]}
"""The second of two lines differs by more than its colour."""

PAD, MARK = 8, 9
HOURS_S, DAYS_S = 6 * 3600, 2 * 86_400
WIDE = 360
"""From this width on the x axis has labels between its ends."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the plot lies in the widget, and how values become pixels."""

    plot: QRectF
    top: float
    count: int

    def x(self, number: float) -> float:
        return self.plot.left() + self.plot.width() * number / max(1, self.count - 1)

    def y(self, value: float) -> float:
        return self.plot.bottom() - self.plot.height() * min(value, self.top) / (self.top or 1.0)

    def number_at(self, x: float) -> int:
        """The slice under a pixel."""
        return round((x - self.plot.left()) * max(1, self.count - 1) / (self.plot.width() or 1.0))


class GraphView(QWidget):
    """One graph. Arrow keys move the line that reads values, as the pointer does; Escape takes it away."""

    read = Signal(object)
    """Emits the `Reading` under the line, or None."""

    def __init__(self) -> None:
        super().__init__()
        self._graph: Graph | None = None
        self._at: int | None = None
        self._ground: QPixmap | None = None
        self.paints = 0
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(_("Graph"))

    # --- what others ask --------------------------------------------------------------------

    def set_graph(self, graph: Graph) -> None:
        """Show this; while hidden it is only kept."""
        before, self._graph = self._graph, graph
        if before is None or _ground_of(before) != _ground_of(graph):
            self._ground = None
        parts, whole = headline(graph)
        self.setAccessibleName(graph.title)
        self.setAccessibleDescription(" · ".join(part for part in (parts, whole) if part))
        if self.isVisible():
            self.update()

    def reading(self) -> Reading | None:
        """What stands under the line now."""
        if self._graph is None or self._at is None:
            return None
        return reading(self._graph, self._at)

    def point_at(self, number: int | None) -> None:
        """Put the line at a slice, or take it away."""
        self._at = number
        self.read.emit(self.reading())
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(320, 120)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 64)

    # --- pointer and keys -------------------------------------------------------------------

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._graph is not None:
            frame = self._frame(self._graph)
            inside = frame.plot.adjusted(-2, 0, 2, 0).contains(event.position())
            self.point_at(frame.number_at(event.position().x()) if inside else None)

    def leaveEvent(self, event: object) -> None:
        self.point_at(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if self._graph is None or (step is None and event.key() != Qt.Key.Key_Escape):
            super().keyPressEvent(event)
            return
        if step is None:
            self.point_at(None)
            return
        last = len(self._graph.times_s) - 1
        begin = last + 1 if self._at is None else self._at
        self.point_at(min(last, max(0, begin + step)))

    def focusOutEvent(self, event: object) -> None:
        self.point_at(None)

    # --- drawing ----------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._ground = None

    def paintEvent(self, event: QPaintEvent) -> None:
        self.paints += 1
        painter = QPainter(self)
        if self._graph is None:
            painter.end()
            return
        frame = self._frame(self._graph)
        painter.drawPixmap(0, 0, self._ground_picture(self._graph, frame))
        self._draw_bands(painter, self._graph, frame)
        self._draw_series(painter, self._graph, frame)
        self._draw_limit(painter, self._graph, frame)
        if self._graph.is_empty:
            self._draw_centred(painter, frame, _("No figures yet for this time."))
        if (now := self.reading()) is not None:
            self._draw_reading(painter, frame, now)
        if self.hasFocus():
            self._draw_focus(painter)
        painter.end()

    def _colour(self, name: str) -> QColor:
        return theme().colour(name)

    def _small(self) -> QFont:
        return theme().font("caption")

    def changeEvent(self, event: QEvent) -> None:
        """Another theme: the grid is drawn anew."""
        if event.type() is QEvent.Type.StyleChange:
            self._ground = None
        super().changeEvent(event)

    def _frame(self, graph: Graph) -> Frame:
        metrics = QFontMetrics(self._small())
        labels = [label for _value, label in graph.ticks(self._ticks())]
        unit = f" {graph.unit}" if self.width() >= WIDE else ""
        left = max((metrics.horizontalAdvance(label + unit) for label in labels), default=0) + PAD + 3
        half = metrics.height() // 2 + 1
        plot = QRectF(left, half, self.width() - left - 1, self.height() - half - metrics.height() - 3)
        return Frame(plot=plot, top=graph.top, count=len(graph.times_s))

    def _ticks(self) -> int:
        return 5 if self.height() >= 130 else 3

    def _ground_picture(self, graph: Graph, frame: Frame) -> QPixmap:
        """Plot, grid and labels: the same until size, theme or range change."""
        ratio = self.devicePixelRatioF()
        if self._ground is None or self._ground.devicePixelRatio() != ratio:
            self._ground = QPixmap(self.size() * ratio)
            self._ground.setDevicePixelRatio(ratio)
            self._ground.fill(Qt.GlobalColor.transparent)
            painter = QPainter(self._ground)
            painter.setFont(self._small())
            painter.fillRect(frame.plot, self._colour("chart-plot"))
            self._draw_grid(painter, graph, frame)
            painter.setPen(self._colour("chart-axis"))
            self._draw_times(painter, graph, frame)
            painter.end()
        return self._ground

    def _draw_grid(self, painter: QPainter, graph: Graph, frame: Frame) -> None:
        metrics = painter.fontMetrics()
        unit = f" {graph.unit}" if self.width() >= WIDE else ""
        for value, label in graph.ticks(self._ticks()):
            y = round(frame.y(value)) + 0.5
            painter.setPen(QPen(self._colour("chart-axis" if value == 0 else "chart-grid"), 1))
            painter.drawLine(QPointF(frame.plot.left(), y), QPointF(frame.plot.right(), y))
            painter.setPen(self._colour("chart-axis"))
            box = QRectF(0, y - metrics.height() / 2, frame.plot.left() - PAD + 2, metrics.height())
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, label + unit)

    def _draw_times(self, painter: QPainter, graph: Graph, frame: Frame) -> None:
        parts = 6 if self.width() >= 2 * WIDE else 2 if self.width() >= 200 else 1
        length_s = graph.end_s - graph.begin_s
        for number in range(parts + 1):
            share = number / parts
            text = on_axis(graph.begin_s + length_s * share, length_s)
            width = painter.fontMetrics().horizontalAdvance(text)
            x = frame.plot.left() + frame.plot.width() * share - width * share
            painter.drawText(QPointF(x, self.height() - 3), text)

    def _draw_bands(self, painter: QPainter, graph: Graph, frame: Frame) -> None:
        painter.setFont(self._small())
        for band in graph.bands:
            left = frame.x(max(0, band.first - 0.5))
            box = QRectF(left, frame.plot.top(), frame.x(min(frame.count - 1, band.last + 0.5)) - left,
                         frame.plot.height())  # fmt: skip
            painter.fillRect(box, self._colour("chart-band"))
            painter.fillRect(box, QBrush(self._colour("chart-band-hatch"), Qt.BrushStyle.BDiagPattern))
            text = painter.fontMetrics().boundingRect(band.name)
            if text.width() + 2 * PAD < box.width():
                painter.setPen(self._colour("chart-axis"))
                place = QRectF(box.left() + PAD - 3, box.top() + 3, text.width() + 6, text.height() + 2)
                painter.fillRect(place, self._colour("chart-band"))
                painter.drawText(place, Qt.AlignmentFlag.AlignCenter, band.name)

    def _draw_series(self, painter: QPainter, graph: Graph, frame: Frame) -> None:
        base: tuple[float | None, ...] = tuple(0.0 for _time in graph.times_s)
        for line in graph.series:
            heights = _heights(base, line) if graph.stacked else line.values
            for part in _parts(heights):
                self._draw_part(painter, line.role, base if graph.stacked else None, part, frame)
            if graph.stacked:
                base = heights

    def _draw_part(
        self, painter: QPainter, role: Role, base: tuple[float | None, ...] | None,
        part: list[tuple[int, float]], frame: Frame,
    ) -> None:  # fmt: skip
        edge = [QPointF(frame.x(number), frame.y(value)) for number, value in part]
        if len(edge) == 1:  # a single known slice is a short level line, not nothing
            edge.insert(0, QPointF(max(frame.plot.left(), edge[0].x() - 2), edge[0].y()))
        if role in FILLS:
            below = [
                QPointF(frame.x(number), frame.y((base[number] or 0.0) if base else 0.0))
                for number, _value in reversed(part)
            ]
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._colour(FILLS[role]))
            painter.drawPolygon(QPolygonF([*edge, *below]))
        pen = QPen(self._colour(LINES[role]), 1)
        if role in DASHED:
            pen.setDashPattern(DASHED[role])
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF(edge))

    def _draw_limit(self, painter: QPainter, graph: Graph, frame: Frame) -> None:
        if graph.limit is None or not 0 < graph.limit.value < graph.top:
            return
        y = round(frame.y(graph.limit.value)) + 0.5
        pen = QPen(self._colour("chart-limit"), 1)
        pen.setDashPattern([4, 3])
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(pen)
        painter.drawLine(QPointF(frame.plot.left(), y), QPointF(frame.plot.right(), y))
        if graph.limit.name and self.width() >= WIDE:
            self._draw_limit_name(painter, graph.limit.name, frame, y)

    def _draw_limit_name(self, painter: QPainter, name: str, frame: Frame, y: float) -> None:
        painter.setFont(self._small())
        metrics = painter.fontMetrics()
        width = metrics.horizontalAdvance(name)
        above = y - metrics.height() - 3
        top = above if above > frame.plot.top() else y + 3
        place = QRectF(frame.plot.right() - width - 2 * PAD, top, width + 8,
                       metrics.height() + 1)  # fmt: skip
        painter.fillRect(place, self._colour("chart-plot"))
        painter.setPen(self._colour("chart-axis"))
        painter.drawText(place, Qt.AlignmentFlag.AlignCenter, name)

    def _draw_centred(self, painter: QPainter, frame: Frame, text: str) -> None:
        painter.setFont(self._small())
        painter.setPen(self._colour("text-2"))
        painter.drawText(frame.plot, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, text)

    def _draw_reading(self, painter: QPainter, frame: Frame, now: Reading) -> None:
        assert self._graph is not None
        x = round(frame.x(now.number)) + 0.5
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(QPen(self._colour("text"), 1))
        painter.drawLine(QPointF(x, frame.plot.top()), QPointF(x, frame.plot.bottom()))
        self._draw_card(painter, frame, x, now)

    def _head(self, now: Reading) -> str:
        """When it was: to the second, over days with the day."""
        assert self._graph is not None
        length_s = self._graph.end_s - self._graph.begin_s
        moment = clock_time(now.at_s, seconds=length_s <= HOURS_S)
        if length_s > DAYS_S:
            moment = f"{day(now.at_s)} {moment}"
        return f"{moment} · {now.note}" if now.note else moment

    def _draw_card(self, painter: QPainter, frame: Frame, x: float, now: Reading) -> None:
        head, rows, total = self._head(now), now.rows, now.total
        painter.setFont(self._small())
        metrics = painter.fontMetrics()
        line = metrics.height() + 3
        names = max(metrics.horizontalAdvance(name) for _role, name, _value in rows)
        values = max(metrics.horizontalAdvance(value) for value in [total, *(row[2] for row in rows)])
        width = max(MARK + 6 + names + 2 * PAD + values, metrics.horizontalAdvance(head)) + 2 * PAD
        height = line * (len(rows) + 1 + bool(total)) + PAD
        left = x - width - 6 if x - width - 6 > frame.plot.left() else x + 6
        box = QRect(round(left), round(frame.plot.top()) + 2, width, height)
        painter.setPen(self._colour("line-strong"))
        painter.setBrush(self._colour("surface"))
        painter.drawRoundedRect(box, 4, 4)
        painter.setPen(self._colour("text-2"))
        y = box.top() + metrics.ascent() + PAD // 2
        painter.drawText(box.left() + PAD, y, head)
        for role, name, value in rows:
            y += line
            self._draw_mark(painter, QRect(box.left() + PAD, y - MARK + 1, MARK, MARK), role)
            self._draw_row(painter, box, y, (name, value), MARK + 6)
        if total:
            self._draw_row(painter, box, y + line, (_("total"), total), 0)

    def _draw_row(self, painter: QPainter, box: QRect, y: int, words: tuple[str, str], indent: int) -> None:
        painter.setPen(self._colour("text"))
        painter.drawText(box.left() + PAD + indent, y, words[0])
        width = painter.fontMetrics().horizontalAdvance(words[1])
        painter.drawText(box.right() - PAD - width, y, words[1])

    def _draw_mark(self, painter: QPainter, place: QRect, role: Role) -> None:
        painter.setPen(self._colour(LINES[role]))
        if role in FILLS:
            painter.setBrush(self._colour(FILLS[role]))
            painter.drawRect(place)
        else:
            pen = QPen(self._colour(LINES[role]), 2)
            if role in DASHED:
                pen.setDashPattern([2, 1])
            painter.setPen(pen)
            painter.drawLine(place.left(), place.center().y(), place.right(), place.center().y())

    def _draw_focus(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(self._colour("focus"), 2))
        painter.drawRoundedRect(self.rect().adjusted(1, 1, -1, -1), 4, 4)


def _ground_of(graph: Graph) -> tuple[object, ...]:
    """What the cached picture depends on; times move by a slice, not at every figure."""
    length_s = graph.end_s - graph.begin_s
    label = on_axis(graph.begin_s, length_s), on_axis(graph.end_s, length_s)
    return (graph.kind, graph.unit, graph.top, len(graph.times_s), label)


def _heights(base: Iterable[float | None], line: Series) -> tuple[float | None, ...]:
    return tuple(
        None if below is None or value is None else below + value
        for below, value in zip(base, line.values, strict=True)
    )


def _parts(values: Iterable[float | None]) -> Iterable[list[tuple[int, float]]]:
    """Unbroken stretches of known values."""
    part: list[tuple[int, float]] = []
    for number, value in enumerate(values):
        if value is not None:
            part.append((number, value))
        elif part:
            yield part
            part = []
    if part:
        yield part
