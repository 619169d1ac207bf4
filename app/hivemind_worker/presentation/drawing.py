"""A graph as the shapes of a page's SVG: a slice is one wide, all is HEIGHT high, y downwards. Pure geometry.

Colours come from the classes that templates give the shapes. A gap in what is known is a gap in the line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hivemind_worker.presentation.graphs import Graph, Reading, table_rows

HEIGHT = 100
TICKS = 3
TABLE_ROWS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One series: the parts of its line as "x,y x,y …", and the grounds under them, closed."""

    role: str
    lines: tuple[str, ...]
    grounds: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shade:
    """A stretch of time that is shaded, in percent of the width."""

    x: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """All that a template needs beside the graph itself. Labels go from top to bottom."""

    width: int
    shapes: tuple[Shape, ...]
    shades: tuple[Shade, ...]
    limit_y: float | None
    labels: tuple[str, ...]
    middle_s: float
    rows: tuple[Reading, ...]  # of the table beside it: a dozen, newest first


Part = list[tuple[int, float, float]]
"""x, and y of a line and of the ground under it, without a gap."""


def drawing(made: Graph) -> Drawing:
    """The shapes of a graph, the ones behind first."""
    below = [0.0] * len(made.times_s)
    shapes = []
    for line in made.series:
        parts = list(_parts(made, line.values, below))
        filled = made.stacked or len(made.series) == 1
        shapes.append(
            Shape(
                role=line.role.value,
                lines=tuple(" ".join(f"{x:g},{y:g}" for x, y, _ground in part) for part in parts),
                grounds=tuple(_closed(part) for part in parts) if filled else (),
            )
        )
        if made.stacked:
            below = [under + (value or 0.0) for under, value in zip(below, line.values, strict=True)]
    rows = table_rows(made)
    return Drawing(
        width=_width(made), shapes=tuple(shapes), shades=tuple(_shades(made)),
        limit_y=None if made.limit is None else _y(made, made.limit.value),
        labels=tuple(label for _height, label in reversed(made.ticks(TICKS))),
        middle_s=(made.begin_s + made.end_s) / 2,
        rows=rows[:: max(1, len(made.times_s) // TABLE_ROWS)],
    )  # fmt: skip


def _width(made: Graph) -> int:
    return max(1, len(made.times_s) - 1)


def _y(made: Graph, value: float) -> float:
    return round(HEIGHT * (1 - min(1.0, max(0.0, value / made.top))), 1)


def _parts(made: Graph, values: Sequence[float | None], below: Sequence[float]) -> Iterable[Part]:
    """Unbroken parts; a single slice between gaps is drawn as a short level line."""
    part: Part = []
    for number, value in enumerate((*values, None)):
        if value is not None:
            under = below[number]
            part.append((number, _y(made, under + value), _y(made, under)))
        elif part:
            x, y, ground = part[0]
            yield part if len(part) > 1 else [(max(0, x - 1), y, ground), part[0]]
            part = []


def _closed(part: Part) -> str:
    back = [(x, ground) for x, _y, ground in reversed(part)]
    return " ".join(f"{x:g},{y:g}" for x, y in (*((x, y) for x, y, _ground in part), *back))


def _shades(made: Graph) -> Iterable[Shade]:
    for band in made.bands:
        begin = max(0, band.first - 1)
        yield Shade(x=_percent(made, begin), width=_percent(made, max(1, band.last - begin)))


def _percent(made: Graph, slices: int) -> float:
    return round(100 * slices / _width(made), 2)
