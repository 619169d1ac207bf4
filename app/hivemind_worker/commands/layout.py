"""How commands lay out plain text: aligned columns, local times, numbers with units."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from hivemind_worker.commands.printing import plain

ABSENT = "–"


def width_of(text: str) -> int:
    """Columns of a terminal that the text takes."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def short(text: str, width: int) -> str:
    """The text in one line of at most `width` columns, its end cut with a mark."""
    line = plain(text).replace("\n", "\\n").replace("\t", "\\t")
    if width_of(line) <= width:
        return line
    while width_of(line) > width - 1:
        line = line[:-1]
    return line + "…"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, each column as wide as its widest cell."""
    widths = [max(width_of(cell) for cell in column) for column in zip(*rows, strict=True)]
    padded = (
        (cell + " " * (width - width_of(cell)) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return ["  ".join(cells).rstrip() for cells in padded]
