"""What is written can be read in both themes: WCAG AA, by the colours that the widgets really have."""

from __future__ import annotations

from collections import Counter

import pytest
from PySide6.QtCore import QPoint, QRect
from PySide6.QtGui import QColor, QFont, QImage, QPalette
from PySide6.QtWidgets import QAbstractButton, QLabel, QWidget

from hivemind_worker.ui.places import PLACES
from hivemind_worker.ui.theme import appearance
from tests.ui.conftest import Desk
from tests.ui.scenes import furnish
from tests.web.test_tokens import contrast

LARGE_PX, LARGE_BOLD_PX = 24, 18.66
"""From these sizes on text needs 3:1 only (WCAG 1.4.3: 18 pt, or 14 pt bold)."""


def least(font: QFont) -> float:
    bold = font.weight() >= QFont.Weight.Bold
    return 3.0 if font.pixelSize() >= (LARGE_BOLD_PX if bold else LARGE_PX) else 4.5


def ground(picture: QImage, box: QRect) -> QColor:
    """The colour that most of a part of the picture has: what the text stands on."""
    box = box.intersected(picture.rect())
    points = Counter(
        picture.pixel(x, y)
        for x in range(box.left(), box.right() + 1, 2)
        for y in range(box.top(), box.bottom() + 1, 2)
    )
    return QColor(points.most_common(1)[0][0])


def faint(window: QWidget) -> list[str]:
    picture = window.grab().toImage()
    found = []
    for widget in window.findChildren(QWidget):
        if not isinstance(widget, (QLabel, QAbstractButton)) or not widget.text() or not widget.isEnabled():
            continue
        box = QRect(widget.mapTo(window, QPoint(0, 0)), widget.size())
        seen = widget.visibleRegion().boundingRect()
        if not widget.isVisible() or seen.isEmpty():
            continue
        role = QPalette.ColorRole.WindowText if isinstance(widget, QLabel) else QPalette.ColorRole.ButtonText
        ink, behind = widget.palette().color(role), ground(picture, seen.translated(box.topLeft()))
        ratio = contrast(ink.name(), behind.name())
        if ratio < least(widget.font()):
            found.append(f"{widget.text()!r}: {ink.name()} on {behind.name()} is {ratio:.2f}")
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("state", ["busy", "broken"])
async def test_every_word_stands_out_from_its_ground(desk: Desk, theme: str, state: str) -> None:
    furnish(desk.node, state)
    appearance().choose(theme, 1.0)
    desk.shell.window.resize(1100, 720)
    wrong = {}
    for place in PLACES:
        desk.shell.window.open(place.key)
        await desk.settle()
        if found := faint(desk.shell.window):
            wrong[place.key] = found
    assert wrong == {}
