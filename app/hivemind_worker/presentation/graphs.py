"""Graphs as values: what is drawn, what the line under the pointer says, the table twin.

Pure: points in, numbers and words out; `ui.graphs` draws them in any size, `presentation.drawing` for
pages. Ours and others are stacked, so that the edge of the picture is the whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hivemind_worker.model.metrics import COLUMNS, Point
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.page_words import ABSENT
from hivemind_worker.presentation.ranges import Range

BUCKETS = 120
HALF = 0.5
MEBI = 1024**2
MIB_UNIT, PERCENT, DEGREES, GIB_UNIT = "MiB/s", "%", "°C", "GiB"


class Role(StrEnum):
    """Whose part a series shows: decides its colour, never alone its meaning."""

    OURS = "ours"
    OTHERS = "others"
    FIRST = "first"
    SECOND = "second"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line; None where nothing is known. Of stacked ones each value is its own, not the sum."""

    role: Role
    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A stretch of time, by numbers of slices, that is shaded, and what it was."""

    first: int
    last: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A dashed line: a height in the graph's unit, and its name."""

    value: float
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """All that is drawn. `top` ends the y axis; slice n ends at `times_s[n]`."""

    kind: str
    title: str
    unit: str
    digits: int
    top: float
    stacked: bool
    begin_s: float
    end_s: float
    times_s: tuple[float, ...]
    series: tuple[Series, ...]
    bands: tuple[Band, ...] = ()
    limit: Limit | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is known in this range."""
        return all(value is None for line in self.series for value in line.values)

    def ticks(self, most: int) -> tuple[tuple[float, str], ...]:
        """Heights with their labels from 0 to the top, at most so many (2 up)."""
        parts = next(
            (part for part in (4, 2) if part < most and round(self.top / part, 1) == self.top / part), 1
        )
        digits = 0 if (self.top / parts).is_integer() else 1
        heights = [self.top * number / parts for number in range(parts + 1)]
        return tuple((height, f"{height:.{digits}f}") for height in heights)

    def figure(self, value: float | None) -> str:
        """A value as it is read: with its unit; a dash where it is not known."""
        return ABSENT if value is None else f"{value:.{self.digits}f} {self.unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a moment of the graph says: (role, name, value) a series, the sum where they are stacked."""

    number: int
    at_s: float
    rows: tuple[tuple[Role, str, str], ...]
    total: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How a graph is made of the columns: its series, its unit, its top (0: found from the values)."""

    title: Callable[[], str]
    unit: str
    columns: tuple[str, ...]  # all of them must be known for a slice to be
    make: Callable[[Mapping[str, float], float], tuple[float, ...]]
    digits: int = 0
    top: float = 0.0
    roles: tuple[Role, ...] = (Role.OURS, Role.OTHERS)
    names: Callable[[], tuple[str, ...]] = lambda: (_("ours"), _("others"))


def _split(part: float, whole: float) -> tuple[float, float]:
    """Ours and others: never more than the whole, never below nothing."""
    ours = min(max(0.0, part), max(0.0, whole))
    return ours, max(0.0, whole) - ours


KINDS: dict[str, Kind] = {
    "cpu": Kind(
        title=lambda: _("CPU"), unit=PERCENT, top=100.0, columns=("ours_cpu_percent", "cpu_percent"),
        make=lambda row, _scale: _split(row["ours_cpu_percent"], row["cpu_percent"]),
    ),
    "memory": Kind(
        title=lambda: _("Memory"), unit=GIB_UNIT, digits=1,
        columns=("ours_memory_percent", "memory_percent"),
        make=lambda row, scale: _split(
            row["ours_memory_percent"] * scale / 100, row["memory_percent"] * scale / 100
        ),
    ),
    "gpu by task": Kind(
        title=lambda: _("GPU"), unit=PERCENT, top=100.0, columns=("ours_gpu_percent", "gpu_percent"),
        make=lambda row, _scale: _split(row["ours_gpu_percent"], row["gpu_percent"]),
    ),
    "gpu": Kind(
        title=lambda: _("GPU"), unit=PERCENT, top=100.0, columns=("gpu_percent",), roles=(Role.OTHERS,),
        make=lambda row, _scale: (row["gpu_percent"],), names=lambda: (_("in use"),),
    ),
    "network": Kind(
        title=lambda: _("Network"), unit=MIB_UNIT, digits=1, columns=("net_down_bps", "net_up_bps"),
        roles=(Role.FIRST, Role.SECOND),
        make=lambda row, _scale: (row["net_down_bps"] / MEBI, row["net_up_bps"] / MEBI),
        names=lambda: (_("down"), _("up")),
    ),
    "disk": Kind(
        title=lambda: _("Disk"), unit=MIB_UNIT, digits=1,
        columns=("ours_disk_bps", "disk_read_bps", "disk_write_bps"),
        make=lambda row, _scale: _split(
            row["ours_disk_bps"] / MEBI, (row["disk_read_bps"] + row["disk_write_bps"]) / MEBI
        ),
    ),
    "temperature": Kind(
        title=lambda: _("Temperature"), unit=DEGREES, top=100.0, columns=("cpu_celsius",),
        roles=(Role.FIRST,), make=lambda row, _scale: (row["cpu_celsius"],), names=lambda: (_("CPU"),),
    ),
}  # fmt: skip
STACKED = (Role.OURS, Role.OTHERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """The points of a range, cut into slices of equal length: the mean of each column, None where not known.

    Made once for all graphs of a range.
    """

    span: Range
    end_s: float
    rows: tuple[Mapping[str, float | None] | None, ...]

    @property
    def begin_s(self) -> float:
        return self.end_s - self.span.length_s


def sliced(points: Sequence[Point], span: Range, end_s: float) -> Slices:
    """Cut the points of a range that ends at `end_s`."""
    count = min(BUCKETS, span.length_s // int(span.step))
    cut: list[list[Point]] = [[] for _number in range(count)]
    begin_s = end_s - span.length_s
    for point in points:
        number = int((point.at_s - begin_s) * count / span.length_s)
        if 0 <= number < count:
            cut[number].append(point)
    rows = [_means(inside) if inside else None for inside in cut]
    return Slices(span=span, end_s=end_s, rows=tuple(_bridged(rows, _reach(count, span))))


def _means(inside: Sequence[Point]) -> dict[str, float | None]:
    if len(inside) == 1:
        return dict(zip(COLUMNS, inside[0].values, strict=True))
    columns = zip(*(point.values for point in inside), strict=True)
    return {name: _mean(values) for name, values in zip(COLUMNS, columns, strict=True)}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _reach(count: int, span: Range) -> int:
    """How many empty slices in a row are no gap: figures are taken every 5 s while nobody looks."""
    return max(1, math.ceil(6 * count / span.length_s)) if int(span.step) == 1 else 1


def _bridged(
    rows: Sequence[Mapping[str, float | None] | None], reach: int
) -> Iterable[Mapping[str, float | None] | None]:
    last, since = None, 0
    for number, row in enumerate(rows):
        if row is not None:
            last, since = row, 0
            yield row
            continue
        since += 1
        following = rows[number + 1 : number + 1 + reach]
        goes_on = any(each is not None for each in following) or len(following) < reach
        yield last if since <= reach and goes_on else None


def graph(cut: Slices, kind: str, *, scale: float = 1.0, limit: Limit | None = None) -> Graph:
    """One figure over a range. `scale` is the whole where a kind needs it (GiB)."""
    made = KINDS["gpu by task" if kind == "gpu" and _tells_tasks_apart(cut) else kind]
    values = [_made(made, row, scale) for row in cut.rows]
    series = tuple(
        Series(
            role=made.roles[n], name=name,
            values=tuple(None if row is None else row[n] for row in values),
        )
        for n, name in enumerate(made.names())
    )  # fmt: skip
    stacked = made.roles == STACKED
    top = made.top or (_next_four(scale) if kind == "memory" else _round_top(series, stacked))
    length_s, count = cut.span.length_s, len(cut.rows)
    return Graph(
        kind=kind, title=made.title(), unit=made.unit, digits=made.digits, top=top, stacked=stacked,
        begin_s=cut.begin_s, end_s=cut.end_s, series=series, bands=tuple(_bands(cut.rows)), limit=limit,
        times_s=tuple(cut.begin_s + (n + 1) * length_s / count for n in range(count)),
    )  # fmt: skip


def _tells_tasks_apart(cut: Slices) -> bool:
    """Whether the cards' driver told the tasks' part whenever it told the whole."""
    told = [row["ours_gpu_percent"] for row in cut.rows if row is not None and row["gpu_percent"] is not None]
    return bool(told) and None not in told


def _made(kind: Kind, row: Mapping[str, float | None] | None, scale: float) -> tuple[float, ...] | None:
    """The kind's values of a slice; None when one of its columns is not known."""
    if row is None:
        return None
    known = {name: value for name in kind.columns if (value := row[name]) is not None}
    return kind.make(known, scale) if len(known) == len(kind.columns) else None


def _bands(rows: Sequence[Mapping[str, float | None] | None]) -> Iterable[Band]:
    """Stretches in which the worker was paused for most of the time."""
    begun: int | None = None
    for number, row in enumerate((*rows, None)):
        if row is not None and (row["paused"] or 0.0) >= HALF:
            begun = number if begun is None else begun
        elif begun is not None:
            yield Band(first=begun, last=number - 1, name=_("paused"))
            begun = None


def _next_four(whole: float) -> float:
    """An axis of memory ends at a whole number that halves well: 31.3 GiB at 32."""
    step = 4 if whole > 4 else 1
    return float(max(step, math.ceil(whole / step) * step))


def _round_top(series: Sequence[Series], stacked: bool) -> float:
    """The next of 1, 2, 4, 8, 20, 40 ... above the largest value."""
    columns = zip(*(line.values for line in series), strict=True)
    heights = [
        sum(value or 0.0 for value in column) if stacked else max(value or 0.0 for value in column)
        for column in columns
    ]
    largest = max(heights, default=0.0)
    if largest <= 1:
        return 1.0
    power = 10 ** math.floor(math.log10(largest))
    return float(next(step * power for step in (1, 2, 4, 8, 10, 20) if step * power >= largest))


def reading(made: Graph, number: int) -> Reading | None:
    """What slice `number` says; None where nothing is known or there is no such slice."""
    if not 0 <= number < len(made.times_s):
        return None
    values = [line.values[number] for line in made.series]
    if all(value is None for value in values):
        return None
    rows = tuple(
        (line.role, line.name, made.figure(value)) for line, value in zip(made.series, values, strict=True)
    )
    known = [value for value in values if value is not None]
    band = next((band for band in made.bands if band.first <= number <= band.last), None)
    return Reading(
        number=number, at_s=made.times_s[number], rows=rows,
        total=made.figure(sum(known)) if made.stacked and len(known) == len(values) else "",
        note=band.name if band else "",
    )  # fmt: skip


def latest(made: Graph) -> Reading | None:
    """The newest slice in which anything is known."""
    numbers = range(len(made.times_s) - 1, -1, -1)
    return next((found for number in numbers if (found := reading(made, number)) is not None), None)


def headline(made: Graph) -> tuple[str, str]:
    """Beside the title: the parts, and the whole, which is set off: ("ours 2.5 · others 9.6", "12.1 GiB")."""
    now = latest(made)
    if now is None:
        return (_("no figures yet"), "")
    unit = f" {made.unit}" if made.unit != PERCENT else ""
    figures = [figure.removesuffix(unit) for _role, _name, figure in now.rows]
    if not made.stacked:
        figures[-1] = now.rows[-1][2]
    parts = " · ".join(f"{row[1]} {figure}" for row, figure in zip(now.rows, figures, strict=True))
    if made.stacked:
        return parts, now.total
    return ("", now.rows[0][2]) if len(now.rows) == 1 else (parts, "")


def table_head(made: Graph) -> tuple[str, ...]:
    """The columns of the table twin."""
    total = (_("Total"),) if made.stacked else ()
    return (_("Time"), *(line.name.capitalize() for line in made.series), *total, _("Note"))


def table_rows(made: Graph) -> tuple[Reading, ...]:
    """Every known slice, newest first."""
    numbers = range(len(made.times_s) - 1, -1, -1)
    return tuple(found for number in numbers if (found := reading(made, number)) is not None)
