"""The look is the tokens': none of them loses its value on the way to the style sheet or the painters."""

from __future__ import annotations

import re

import pytest
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication

from hivemind_worker.ui.bars import bounds
from hivemind_worker.ui.parts.text import Sentence
from hivemind_worker.ui.theme import appearance, theme
from tests.ui.conftest import Desk


@pytest.mark.parametrize("name", ["light", "dark"])
async def test_rail_and_heads_have_a_ground_of_their_own(desk: Desk, name: str) -> None:
    """The rail's width has the same name as its colour; the style sheet is given the colour."""
    appearance().choose(name, 1.0)
    await desk.settle()
    rail = desk.shell.window.rail
    shown = rail.grab().toImage().pixelColor(rail.width() // 2, rail.height() * 3 // 5)
    assert shown == theme().colour("rail") != theme().colour("window")


@pytest.mark.parametrize("name", ["light", "dark"])
def test_every_colour_of_the_style_sheet_is_one(qapp: QApplication, name: str) -> None:
    appearance().choose(name, 1.0)
    found = re.findall(r"\b(?:background|color|border-color|background-color):\s*([^;}]+)", qapp.styleSheet())
    assert len(found) > 80
    assert [each for each in found if not QColor(each.strip()).isValid()] == []


@pytest.mark.parametrize(
    ("amounts", "expected"), [([983, 1206], (900, 1300)), ([7, 7], (7, 9)), ([0, 3], (0, 4))]
)
def test_a_balance_has_round_numbers_at_its_axis(amounts: list[float], expected: tuple[float, float]) -> None:
    assert bounds(amounts) == expected


def test_a_word_that_no_space_lets_break_is_broken_all_the_same(qapp: QApplication) -> None:
    digest = Sentence("image@sha256:" + "0123456789abcdef" * 4)
    wide = digest.fontMetrics().horizontalAdvance(digest.whole())
    one_line = digest.fontMetrics().lineSpacing()
    assert digest.heightForWidth(wide + 10) < 2 * one_line
    assert digest.heightForWidth(wide // 2 + 40) >= 2 * one_line
    assert digest.accessibleName() == digest.whole()
    digest.deleteLater()
