"""A figure over time as a drawing and as the table beside it. Pure geometry: templates draw it, in any theme.

The plot is WIDTH by HEIGHT; x grows with time, y downwards. A gap in what is known is a gap in the line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hivemind_worker.model.metrics import COLUMNS, Point, Step
from hivemind_worker.presentation.amounts import DAY_S, HOUR_S, MINUTE_S
from hivemind_worker.presentation.catalogue import _, mark
from hivemind_worker.presentation.page_words import ABSENT

WIDTH, HEIGHT = 600, 100
BUCKETS = 120
TABLE_ROWS = 12
RUNNING, PAUSED = COLUMNS.index("running_tasks"), COLUMNS.index("paused")
HALF = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """How far back a chart looks, and which points it is drawn from."""

    name: str
    title: str
    length_s: int
    step: Step


RANGES = {
    "1m": Range(name="1m", title=mark("Last minute"), length_s=MINUTE_S, step=Step.SECOND),
    "1h": Range(name="1h", title=mark("Last hour"), length_s=HOUR_S, step=Step.SECOND),
    "24h": Range(name="24h", title=mark("Last 24 hours"), length_s=DAY_S, step=Step.MINUTE),
    "30d": Range(name="30d", title=mark("Last 30 days"), length_s=30 * DAY_S, step=Step.HOUR),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A stretch of time on the x axis."""

    x: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """All that a template needs: the parts of the line, its ground, bands, labels and the table."""

    lines: tuple[str, ...]  # "x,y x,y …"
    grounds: tuple[str, ...]  # the same, closed along the x axis
    paused: tuple[Band, ...]
    ran: tuple[Band, ...]
    y_labels: tuple[str, ...]  # top to bottom
    begin_s: float
    end_s: float
    rows: tuple[tuple[float, str], ...]  # newest first

    @property
    def middle_s(self) -> float:
        return (self.begin_s + self.end_s) / 2

    @property
    def is_empty(self) -> bool:
        return not self.lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """The mean of the points in one slice of the x axis; None where nothing is known."""

    x: float
    at_s: float
    value: float | None
    running: float
    paused: float


def chart(
    points: Sequence[Point], column: str, span: Range, end_s: float, *, factor: float = 1.0, top: float = 100,
    unit: str = "%", digits: int = 0,
) -> Chart:  # fmt: skip
    """A column over the range that ends at `end_s`, multiplied by `factor`; `top` ends the y axis."""
    begin_s = end_s - span.length_s
    buckets = tuple(_buckets(points, COLUMNS.index(column), begin_s, span, factor))
    lines = tuple(_lines(buckets, top or 1.0))
    return Chart(
        lines=tuple(" ".join(f"{x:g},{y:g}" for x, y in line) for line in lines),
        grounds=tuple(_closed(line) for line in lines),
        paused=_bands(buckets, lambda bucket: bucket.paused >= HALF),
        ran=_bands(buckets, lambda bucket: bucket.running > 0),
        y_labels=tuple(f"{top * part:.{digits}f}" for part in (1, 0.5, 0)),
        begin_s=begin_s,
        end_s=end_s,
        rows=tuple(_rows(buckets, unit, digits)),
    )


def _buckets(
    points: Sequence[Point], column: int, begin_s: float, span: Range, factor: float
) -> Iterable[Bucket]:
    count = min(BUCKETS, span.length_s // int(span.step))
    slices: list[list[Point]] = [[] for _number in range(count)]
    for point in points:
        number = int((point.at_s - begin_s) * count / span.length_s)
        if 0 <= number < count:
            slices[number].append(point)
    for number, inside in enumerate(slices):
        value = _mean(point.values[column] for point in inside)
        yield Bucket(
            x=number * WIDTH / (count - 1),
            at_s=begin_s + (number + 1) * span.length_s / count,
            value=None if value is None else value * factor,
            running=_mean(point.values[RUNNING] for point in inside) or 0.0,
            paused=_mean(point.values[PAUSED] for point in inside) or 0.0,
        )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _lines(buckets: Sequence[Bucket], top: float) -> Iterable[list[tuple[float, float]]]:
    """Unbroken parts; a single bucket between gaps is drawn as a short level line."""
    part: list[tuple[float, float]] = []
    for bucket in (*buckets, None):
        if bucket is not None and bucket.value is not None:
            y = HEIGHT * (1 - min(1.0, max(0.0, bucket.value / top)))
            part.append((round(bucket.x, 1), round(y, 1)))
        elif part:
            yield part if len(part) > 1 else [(max(0.0, part[0][0] - 2), part[0][1]), part[0]]
            part = []


def _closed(line: Sequence[tuple[float, float]]) -> str:
    ground = [(line[0][0], HEIGHT), *line, (line[-1][0], HEIGHT)]
    return " ".join(f"{x:g},{y:g}" for x, y in ground)


def _bands(buckets: Sequence[Bucket], holds: Callable[[Bucket], bool]) -> tuple[Band, ...]:
    width = WIDTH / max(1, len(buckets) - 1)
    found: list[Band] = []
    for bucket in buckets:
        if not holds(bucket):
            continue
        x = round(max(0.0, bucket.x - width), 1)
        if found and abs(found[-1].x + found[-1].width - x) < width / 2:
            found[-1] = Band(x=found[-1].x, width=round(bucket.x - found[-1].x, 1))
        else:
            found.append(Band(x=x, width=round(bucket.x - x, 1) or 1.0))
    return tuple(found)


def _rows(buckets: Sequence[Bucket], unit: str, digits: int) -> Iterable[tuple[float, str]]:
    """The latest known bucket and every tenth before it."""
    known = [bucket for bucket in buckets if bucket.value is not None]
    for bucket in known[:: -max(1, len(buckets) // TABLE_ROWS)]:
        text = ABSENT if bucket.value is None else f"{bucket.value:.{digits}f} {unit}"
        yield bucket.at_s, _("{value}, paused", value=text) if bucket.paused >= HALF else text
