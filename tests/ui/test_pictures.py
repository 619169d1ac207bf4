"""Every screen in both themes and languages, in every state: painted, not empty, nothing cut off.

HIVEMIND_PICTURES=FOLDER keeps them. A dozen are compared with those in tests/ui/references (PNG), by the
share of pixels that differ clearly; HIVEMIND_PICTURES_RENEW=1 writes these anew.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QFontDatabase, QImage
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QWidget

from hivemind_worker.places import resources
from hivemind_worker.presentation.catalogue import use_language
from hivemind_worker.ui.parts.text import Sentence
from hivemind_worker.ui.places import PLACES
from hivemind_worker.ui.theme import appearance
from tests.ui.conftest import Desk
from tests.ui.scenes import furnish

REFERENCES = Path(__file__).parent / "references"
COMPARED = {
    ("home", "light", "en", "busy"), ("home", "dark", "en", "paused"), ("home", "light", "en", "empty"),
    ("home", "light", "zh_TW", "busy"), ("home", "light", "en", "broken"), ("tasks", "light", "en", "busy"),
    ("tasks", "dark", "en", "busy"), ("logs", "dark", "en", "busy"), ("resources", "dark", "en", "busy"),
    ("settings", "light", "en", "busy"), ("rules", "light", "en", "busy"), ("pools", "light", "en", "busy"),
}  # fmt: skip
FONTS = {"Inter", "Noto Sans Mono"}
"""Of the pictures that are compared; Debian's packages of the tests bring them."""
DIFFERS, MOST = 48, 0.02
STATES = ("empty", "busy", "paused", "broken")


def clipped(window: QWidget) -> list[str]:
    """Words and figures that do not fit where they stand; sentences that are shortened on purpose may."""
    found = []
    for widget in window.findChildren(QWidget):
        if not widget.isVisible() or isinstance(widget, Sentence):
            continue
        if isinstance(widget, QLabel) and not widget.wordWrap() and widget.text():
            if widget.fontMetrics().horizontalAdvance(widget.text()) > widget.width() + 2:
                found.append(widget.text())
        elif isinstance(widget, QAbstractButton) and widget.text():
            short = widget.sizeHint().width() > widget.width() + 4  # of an icon alone: the icon's
            if short and type(widget).__name__ in ("Button", "ToolButton"):
                found.append(widget.text())
    return found


def colours_in(image: QImage) -> int:
    small = image.scaled(QSize(220, 144))
    return len({small.pixel(x, y) for x in range(0, 220, 2) for y in range(0, 144, 2)})


def difference(image: QImage, other: QImage) -> float:
    """The share of pixels, of a coarse grid, that differ clearly."""
    if image.size() != other.size():
        return 1.0
    far = total = 0
    for x in range(0, image.width(), 4):
        for y in range(0, image.height(), 4):
            mine, theirs = image.pixelColor(x, y), other.pixelColor(x, y)
            far += max(abs(mine.red() - theirs.red()), abs(mine.green() - theirs.green()),
                       abs(mine.blue() - theirs.blue())) > DIFFERS  # fmt: skip
            total += 1
    return far / total


async def taken(desk: Desk, place: str) -> QImage:
    """The place's picture, once what it asked for has come."""
    desk.shell.window.resize(1100, 720)
    desk.shell.window.open(place)
    await desk.settle()
    await desk.until(lambda: desk.bridge.sample is not None)
    for _turn in range(3):  # never processEvents() here: it would enter other tasks from within this one
        await desk.settle()
        await asyncio.sleep(0)
    return desk.shell.window.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)


def judge(image: QImage, key: tuple[str, str, str, str]) -> str:
    """What is wrong with a picture that is compared, "" when nothing."""
    path = REFERENCES / f"{'-'.join(key)}.png"
    if os.environ.get("HIVEMIND_PICTURES_RENEW"):
        REFERENCES.mkdir(exist_ok=True)
        image.save(str(path))
    if not FONTS.issubset(QFontDatabase.families()) or not path.exists():
        return "" if path.exists() else f"{path.name} is missing"
    found = difference(image, QImage(str(path)).convertToFormat(QImage.Format.Format_RGB32))
    return f"{path.name}: {found:.1%} of it differs" if found > MOST else ""


@pytest.mark.release
@pytest.mark.parametrize("language", ["en", "zh_TW"])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("state", STATES)
async def test_every_screen_is_painted_and_nothing_is_cut_off(
    tmp_path: Path, qapp: QApplication, theme: str, language: str, state: str
) -> None:
    use_language(resources() / "locale", language)
    appearance().choose(theme, 1.0)
    desk = Desk(tmp_path)
    furnish(desk.node, state)
    wrong: list[str] = []
    try:
        desk.open()
        for place in PLACES:
            image = await taken(desk, place.key)
            key = (place.key, theme, language, state)
            if (folder := os.environ.get("HIVEMIND_PICTURES")) is not None:
                Path(folder).mkdir(exist_ok=True)
                image.save(str(Path(folder) / f"{'-'.join(key)}.png"))
            if colours_in(image) < 20:
                wrong.append(f"{key}: next to nothing in it")
            screen = desk.shell.window.current()
            wrong += [f"{key}: cut off: {text}" for text in clipped(screen or desk.shell.window)]
            if key in COMPARED:
                wrong += [said for said in [judge(image, key)] if said]
    finally:
        use_language(resources() / "locale", "en")
        await desk.close()
    assert wrong == []
