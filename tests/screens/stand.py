"""A screen on a bench: the real widgets and bridge, a node that holds values, nothing that waits.

The node of the tests answers at once, so whatever a screen asks for is there when `ask` returns.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QWidget

from hivemind_worker.nursery import Nursery
from hivemind_worker.places import resources
from hivemind_worker.presentation.catalogue import use_language
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.parts.text import Sentence
from hivemind_worker.ui.places import PLACES
from hivemind_worker.ui.screens import Screen
from hivemind_worker.ui.theme import appearance
from tests.fakes.node import FakeNode


class Done:
    """A task that has ended."""

    def done(self) -> bool:
        return True

    def cancel(self) -> None:
        pass

    def add_done_callback(self, callback: Any) -> None:
        callback(self)


class AtOnce(Nursery):
    """Runs each coroutine to its end where it is started."""

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            work.send(None)
        except StopIteration:
            return Done()
        raise AssertionError(f"{name} waits for something: the node of the tests answers at once")


class Stand:
    """One screen, shown at 1100 by 720 less rail and strip."""

    def __init__(self, node: FakeNode, key: str, size: tuple[int, int] = (916, 668)) -> None:
        memory = QSettings(str(node.folder / "window.ini"), QSettings.Format.IniFormat)
        self.node, self.bridge = node, Bridge(AtOnce("stand"), memory)
        self.bridge.attach(node)
        self.bridge.look(True)
        self.bridge._ticker.stop()
        place = next(place for place in PLACES if place.key == key)
        self.screen: Screen = place.build(self.bridge)
        self.screen.resize(*size)
        self.screen.show()
        self.bridge.snapshot_changed.connect(self.screen.render_picture)
        self.screen.opened()
        self.look()

    def look(self) -> None:
        """Let the screen see what holds now, as the bridge's timer would."""
        self.bridge._soon.stop()
        self.bridge._tell()
        self.bridge.query("sample", lambda node: node.sample(), self.bridge._sampled)
        for _round in range(8):  # a new height asks the layouts around it, one by one
            QApplication.processEvents()

    def texts(self) -> list[str]:
        """Every word that can be read on the screen."""
        return list(texts_of(self.screen))

    def says(self, text: str) -> bool:
        """Whether this is written anywhere on the screen."""
        return any(text in shown for shown in self.texts())

    def button(self, text: str) -> QAbstractButton:
        """The button with this word."""
        found = [b for b in self.screen.findChildren(QAbstractButton) if b.text() == text and b.isVisible()]
        assert found, (
            f"no button {text!r} among {[b.text() for b in self.screen.findChildren(QAbstractButton)]}"
        )
        return found[0]

    def press(self, text: str) -> None:
        """Press it, and let the screen see what came of it."""
        self.button(text).click()
        self.look()

    def close(self) -> None:
        self.screen.closed()
        self.bridge.detach()
        self.screen.close()
        self.screen.deleteLater()
        QApplication.processEvents()


def texts_of(widget: QWidget) -> Iterator[str]:
    """The words of the visible labels and buttons below a widget."""
    for child in widget.findChildren(QWidget):
        if not child.isVisible():
            continue
        if isinstance(child, Sentence):
            yield child.whole()
        elif isinstance(child, (QLabel, QAbstractButton)) and child.text():
            yield child.text()


@contextmanager
def standing(tmp_path: Path, key: str, node: FakeNode | None = None, **look: Any) -> Iterator[Stand]:
    """A screen, taken down again."""
    stand = Stand(node or FakeNode(tmp_path), key, **look)
    try:
        yield stand
    finally:
        stand.close()


@contextmanager
def language(code: str) -> Iterator[None]:
    """Everything in another language."""
    use_language(resources() / "locale", code)
    try:
        yield
    finally:
        use_language(resources() / "locale", "en")


def dress(theme: str = "light", scale: float = 1.0) -> None:
    """The look of what is made from here on."""
    appearance().choose(theme, scale)


def wait_until(holds: Any, limit_s: float = 5.0) -> None:
    """Let Qt work until something holds."""
    end_s = time.monotonic() + limit_s
    while not holds() and time.monotonic() < end_s:
        QApplication.processEvents()
    assert holds()
