"""A look at everything that the window can show, for `selftest`: all there, and it paints.

Drives the window as a reader would, from place to place, beside the worker; decides nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication

from hivemind_worker.places import resources
from hivemind_worker.presentation.catalogue import LANGUAGES, language_in_use, use_language
from hivemind_worker.ui.icons import pixmap
from hivemind_worker.ui.main_window import MainWindow

SEEN_S = 0.05
"""How long each place stays open: its questions to the worker are on their way by then."""


async def tour() -> int:
    """Open every place of the window in every language; how many pictures were looked at.

    Raises:
        AssertionError: one of them is empty.
        OSError, ValueError: a file of the program is missing or damaged.
    """
    looked = sum(_icons())
    before = language_in_use()
    try:
        for code in LANGUAGES:
            use_language(resources() / "locale", code)
            looked += await _places()
    finally:
        use_language(resources() / "locale", before)
    return looked


def _icons() -> Iterator[int]:
    for path in sorted((resources() / "icons").glob("*.svg")):
        assert _shows(pixmap(path.stem).toImage()), f"{path.name} draws nothing"
        yield 1


async def _places() -> int:
    window = next(each for each in QApplication.topLevelWidgets() if isinstance(each, MainWindow))
    for key in window.places:
        window.open(key)
        await asyncio.sleep(SEEN_S)
        assert _shows(window.grab().toImage()), f"{key} paints nothing"
    return len(window.places)


def _shows(image: QImage) -> bool:
    """Whether a picture has more than one colour."""
    width, height = image.width(), image.height()
    step = max(1, min(width, height) // 64)
    points = ((x, y) for x in range(0, width, step) for y in range(0, height, step))
    return len({image.pixel(x, y) for x, y in points}) > 1
