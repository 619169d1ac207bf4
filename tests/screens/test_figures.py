"""For every figure and word of state in the window a fact is changed in the engine, and the new words are
read from the widget. What shows a figure and has no row here fails the test: see `figures`.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication, QWidget

from hivemind_worker.places import resources
from hivemind_worker.presentation.catalogue import use_language
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.main_window import MainWindow
from hivemind_worker.ui.places import PLACES
from hivemind_worker.ui.screens.tasks import FINISHED, RUNNING, Tasks
from hivemind_worker.ui.theme import appearance
from hivemind_worker.ui.tray import Tray
from tests.fakes.node import FakeNode
from tests.screens import scenes
from tests.screens.figure_rows import ROWS, Row, is_constant
from tests.screens.figures import A_FIGURE, Where, lines_of, places
from tests.screens.stand import AtOnce

OTHER_SCENES = (scenes.paused, scenes.broken, scenes.fresh)
WITHIN = {"window": "help", "tray": "help", "finished": "tasks", "pane": "tasks"}
PARTS = ("pools", "care", "vpn", "sending", "rules")
Said = Mapping[Where, list[str]]


class Kept:
    """What a worker is now, to be put back."""

    def __init__(self, node: FakeNode) -> None:
        self._node, self._own = node, _copied(node)
        self._parts = {name: _copied(getattr(node, name)) for name in PARTS}

    def put_back(self) -> None:
        for name, values in self._parts.items():
            vars(getattr(self._node, name)).update({key: copy.copy(value) for key, value in values.items()})
        vars(self._node).update({key: copy.copy(value) for key, value in self._own.items()})
        self._node.picture = self._node.picture


def _copied(thing: object) -> dict[str, Any]:
    kinds = (list, dict, set)
    held = {key: value for key, value in vars(thing).items() if key not in ("watchers", "_node", *PARTS)}
    return {key: copy.copy(value) if isinstance(value, kinds) else value for key, value in held.items()}


@dataclass
class Eye:
    """The window with its tray, looked at place by place."""

    node: FakeNode
    bridge: Bridge
    window: MainWindow
    tray: Tray
    kept: Kept

    def go(self, place: str) -> None:
        """Open it; of the tasks also the table of those that ended, and the details of one that runs."""
        screen = self.window.open(WITHIN.get(place, place))
        if isinstance(screen, Tasks):
            screen.tabs.setCurrentIndex(FINISHED if place == "finished" else RUNNING)
            if place == "pane":
                screen.table().selectRow(0)
                screen.open_pane()
            else:
                screen.close_pane()
        self.look()

    def look(self) -> None:
        self.bridge._soon.stop()
        self.bridge._tell()
        self.bridge.query("sample", lambda node: node.sample(), self.bridge._sampled)
        screen = self.window.current()
        assert screen is not None
        screen.refresh()
        self.bridge._soon.stop()
        self.bridge._tell()
        for _round in range(3):
            QApplication.processEvents()

    def read(self, place: str) -> Said:
        found = defaultdict[Where, list[str]](list)
        for where, text in self._all(place):
            if text:
                found[where].append(text)
        return found

    def _all(self, place: str) -> Iterator[tuple[Where, str]]:
        if place == "tray":
            yield from lines_of(self.tray.menu)
            yield (0, "tooltip"), self.tray.icon.toolTip()
            return
        screen = self.window.current()
        roots: tuple[QWidget | None, ...] = (screen,)
        if place == "pane":
            assert isinstance(screen, Tasks)
            roots = (screen.pane,)
        if place == "window":
            roots = (self.window.strip, self.window.rail)
        for root in roots:
            assert root is not None
            yield from places(root)


@pytest.fixture(scope="module")
def eye(qapp: QApplication, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Eye]:
    folder: Path = tmp_path_factory.mktemp("figures")
    appearance().choose("light", 1.0)
    use_language(resources() / "locale", "en")
    node = FakeNode(folder)
    scenes.busy(node)
    memory = QSettings(str(folder / "window.ini"), QSettings.Format.IniFormat)
    bridge = Bridge(AtOnce("figures"), memory)
    bridge.attach(node)
    window = MainWindow(memory)
    window.furnish(bridge)
    nothing: Callable[[], object] = lambda: None  # noqa: E731
    tray = Tray(bridge, toggle=nothing, show=nothing, dashboard=nothing, snooze_notices=nothing, quit=nothing,
                available=lambda: False)  # fmt: skip
    window.resize(1300, 720)  # room for all of the usual columns
    window.show()
    window.complete()
    bridge._ticker.stop()
    yield Eye(node, bridge, window, tray, Kept(node))
    tray.close()
    bridge.detach()
    window.close()
    window.deleteLater()
    QApplication.processEvents()


@pytest.fixture(autouse=True)
def nothing_is_left() -> None:
    """The window of all tests stays until the last: it is the fixture's to close."""


def holders(eye: Eye, place: str, base: Said) -> set[Where]:
    """The places that show a figure, or say something else in another scene."""
    found = {where for where, texts in base.items() if any(A_FIGURE.search(text) for text in texts)}
    for scene in OTHER_SCENES:
        scene(eye.node)
        eye.look()
        now = eye.read(place)
        found |= {where for where in base if where in now and now[where] != base[where]}
        eye.kept.put_back()
    eye.look()
    return found


def followed(eye: Eye, place: str, base: Said, row: Row) -> tuple[set[Where], list[str]]:
    """The places that follow the fact of this row, and what of it none of them says."""
    row.change(eye.node)
    eye.look()
    now = eye.read(place)
    eye.kept.put_back()
    follow, unsaid = set[Where](), []
    for before, after in row.words.items():
        those = {
            where for where, texts in base.items()
            if any(before in text for text in texts) and any(after in text for text in now.get(where, ()))
            and now[where] != texts
        }  # fmt: skip
        if any(after in text for where, texts in now.items() if where not in base for text in texts):
            those |= {  # a row that was made anew
                where for where, texts in base.items()
                if where not in now and any(before in text for text in texts)
            }  # fmt: skip
        follow |= those
        if not those:
            became = [now.get(where) for where, texts in base.items() if any(before in t for t in texts)]
            unsaid.append(f"{row.about}: {before!r} became {became!r:.300}, not {after!r}")
    return follow, unsaid


@pytest.mark.release
@pytest.mark.parametrize("place", list(ROWS))
def test_every_figure_follows_its_fact(eye: Eye, place: str) -> None:
    eye.go(place)
    first = eye.read(place)
    wanted = holders(eye, place, first)
    base = eye.read(place)
    follow, unsaid = set[Where](), list[str]()
    for row in ROWS[place]:
        those, missing = followed(eye, place, base, row)
        follow |= those
        unsaid += missing
    eye.look()
    without = [
        f"{where[1]}: {base[where][0]!r}" for where in base
        if where in wanted - follow and not all(is_constant(text) for text in base[where])
    ]  # fmt: skip
    said = ["figures without a row in figure_rows.ROWS:", *without] if without else []
    assert not unsaid and not without, "\n".join([*unsaid, *said])


def test_every_place_of_the_window_has_its_figures_looked_at() -> None:
    assert {place.key for place in PLACES} <= set(ROWS)
