"""The design tokens: every pair in use can be read (WCAG AA), and no other file holds a colour."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hivemind_worker
from hivemind_worker.places import resources

TEXT, GRAPHIC = 4.5, 3.0
GROUNDS = ("window", "rail", "surface", "sunken")
COLOUR = re.compile(r"#(?:[0-9a-fA-F]{8}|[0-9a-fA-F]{6}|[0-9a-fA-F]{3,4})\b")
LOOKED_AT = ("*.py", "*.css", "*.qss", "*.js", "*.html", "*.svg", "*.webmanifest")
MAY = frozenset({"app.svg"})
"""The mark of the program, which has the same colours on every ground."""


def luminance(colour: str) -> float:
    """The relative luminance of WCAG 2.2."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def pairs(look: dict[str, Any]) -> Iterator[tuple[str, str, str, float]]:
    """Ink, ground, their names, and the least contrast of everything that is drawn."""
    for ground in (*GROUNDS, "hover", "select"):
        for ink in ("text", "text_2", "text_3", "link"):
            yield look[ink], look[ground], f"{ink} on {ground}", TEXT
    for ground in GROUNDS:
        for line in ("line_strong", "focus", "accent_edge"):
            yield look[line], look[ground], f"{line} on {ground}", GRAPHIC
        for name, state in look["state"].items():
            yield state["ink"], look[ground], f"state {name} on {ground}", TEXT
    for name, state in look["state"].items():
        for ink, colour in (("ink", state["ink"]), ("text", look["text"]), ("text_2", look["text_2"])):
            yield colour, state["soft"], f"{ink} on the soft ground of {name}", TEXT
    yield look["on_accent"], look["accent"], "on_accent on accent", TEXT
    yield look["accent_text"], look["accent_soft"], "accent_text on accent_soft", TEXT
    yield look["on_select"], look["select"], "on_select on select", TEXT
    chart = look["chart"]
    yield chart["axis"], chart["plot"], "axis on plot", TEXT
    yield chart["axis"], chart["band"], "axis on band", TEXT
    for line in ("ours_line", "others_line", "limit"):
        yield chart[line], chart["plot"], f"{line} on plot", GRAPHIC
    for number, colour in enumerate(chart["series"]):
        yield colour, chart["plot"], f"series {number} on plot", GRAPHIC


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_pair_of_colours_in_use_can_be_told_apart(theme: str) -> None:
    look = json.loads((resources() / "tokens.json").read_text("utf-8"))[theme]
    faint = [
        f"{name}: {found:.2f} < {least}"
        for ink, ground, name, least in pairs(look)
        if (found := contrast(ink, ground)) < least
    ]
    assert faint == []


def test_no_file_but_the_tokens_holds_a_colour() -> None:
    roots = (Path(hivemind_worker.__file__).parent, resources())
    files = {path for root in roots for kind in LOOKED_AT for path in root.rglob(kind)}
    assert len(files) > 300
    held = {
        path.name: found
        for path in files
        if path.name not in MAY and (found := COLOUR.findall(path.read_text("utf-8")))
    }
    assert held == {}
