"""Nothing goes past the catalogue: in the pseudo-language every sentence stands in brackets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QAbstractButton,
    QHeaderView,
    QLabel,
    QLineEdit,
    QMenu,
    QTabBar,
    QTableView,
    QWidget,
)

from hivemind_worker.places import resources
from hivemind_worker.presentation.catalogue import PSEUDO, use_language
from hivemind_worker.ui.parts.text import Sentence
from tests.ui.conftest import Desk
from tests.ui.scenes import furnish
from tests.ui.test_pictures import clipped

FROM_OUTSIDE = re.compile("|".join((
    r"[\d.,:%–+−/ ·°C…]*", r".*\d+\.\d+\.\d+\.\d+.*", "HiveMind Worker", "larch", ".* GiB",
    ".* MiB.*", ".* CPT.*",
    r"\d+ B / \d+ B", "CPT", "CPU.*", "GPU.*", "[0-9a-f]{8}-.*", "task-.*", "sha256:.*", r"\d+ h.*",
)))  # fmt: skip
"""Texts without a sentence of ours: numbers, names, what the fake worker's world is called."""


@pytest.fixture
def pseudo() -> Iterator[None]:
    use_language(resources() / "locale", PSEUDO)
    yield
    use_language(resources() / "locale", "en")


def texts(root: QWidget) -> Iterator[str]:
    for widget in root.findChildren(QWidget):
        if not widget.isVisible():
            continue
        if isinstance(widget, Sentence):
            yield widget.whole()
        elif isinstance(widget, (QLabel, QAbstractButton)):
            yield widget.text()
        elif isinstance(widget, QLineEdit):
            yield widget.placeholderText()
        elif isinstance(widget, QTabBar):
            yield from (widget.tabText(number) for number in range(widget.count()))
        elif isinstance(widget, QTableView):
            yield from headings(widget.horizontalHeader())
        yield widget.toolTip()
        yield widget.accessibleName()


def headings(header: QHeaderView) -> Iterator[str]:
    model = header.model()
    for number in range(header.count()):
        yield str(model.headerData(number, header.orientation()))


def entries(menu: QMenu) -> Iterator[str]:
    for action in menu.actions():
        yield action.text()
        inner = QAction.menu(action)
        if isinstance(inner, QMenu):
            yield from entries(inner)


def bare(found: Iterator[str]) -> list[str]:
    return [text for text in found if "⟦" not in text and not FROM_OUTSIDE.fullmatch(text)]


async def laid_out(desk: Desk) -> None:
    """Until what was asked for has come and has its place."""
    for _turn in range(3):
        await desk.settle()
        await asyncio.sleep(0)
    await desk.until(lambda: desk.bridge.sample is not None)
    for widget in desk.shell.window.findChildren(QWidget):
        if widget.layout() is not None:
            widget.layout().activate()


@pytest.mark.parametrize("state", ["empty", "busy", "paused", "broken"])
@pytest.mark.usefixtures("pseudo")
async def test_home_tasks_and_logs_say_nothing_past_the_catalogue_and_cut_nothing_off(
    desk: Desk, state: str
) -> None:
    desk.shell.use_language()
    furnish(desk.node, state)
    desk.shell.window.resize(1100, 720)
    for place in ("home", "tasks", "logs"):
        screen = desk.shell.window.open(place)
        await laid_out(desk)
        if place == "tasks" and desk.node.picture.tasks:
            screen.table().selectRow(0)
            screen.open_pane()
        await laid_out(desk)
        assert bare(texts(desk.shell.window)) == [], place
        assert clipped(desk.shell.window) == [], place


@pytest.mark.usefixtures("pseudo")
async def test_every_menu_is_translated(desk: Desk) -> None:
    desk.shell.use_language()
    furnish(desk.node, "busy")
    await desk.settle()
    strip = desk.shell.window.strip
    for menu in (desk.shell.tray.menu, strip.pause_menu, strip.mode_menu):
        assert bare(entries(menu)) == []
