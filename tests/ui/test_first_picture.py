"""The window's first picture: painted by little, like what follows, and in the look of the settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QRect, QSettings
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication

from hivemind_worker.commands.first_picture import DEFAULTS, VARIABLES, look_of
from hivemind_worker.commands.resolve import Resolved, resolve
from hivemind_worker.model.settings import Settings, rows
from hivemind_worker.nursery import Nursery
from hivemind_worker.places import resources
from hivemind_worker.presentation.catalogue import use_language
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.main_window import MainWindow
from hivemind_worker.ui.rail_picture import rail_width
from hivemind_worker.ui.theme import appearance, theme

TOLD = """
import json, sys
from hivemind_worker.commands import first_picture
first_picture.show()
from PySide6 import QtCore
shown = first_picture.taken()
print(json.dumps({
    "seen": shown.opening.window.curtain.has_painted,
    "own": sorted(name for name in sys.modules if name.startswith("hivemind_worker.")),
    "asyncio": "asyncio" in sys.modules, "Qt": "Qt" in vars(QtCore),
}))
sys.stdout.flush()
__import__("os")._exit(0)
"""
LATER = (
    "cli",
    "model.",
    "engine",
    "nursery",
    "presentation.health",
    "ui.bridge",
    "ui.shell",
    "ui.parts",
)


def test_little_is_imported_and_the_namespace_of_qt_is_not_made_before_the_first_paint(
    tmp_path: Path,
) -> None:
    env = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "HIVEMIND_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", TOLD], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    early = [name.removeprefix("hivemind_worker.") for name in told["own"]]
    assert [name for name in early if name.startswith(LATER)] == []
    assert (told["seen"], told["asyncio"], told["Qt"]) == (True, False, False)


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("", {}),
        ('theme = "dark"\ntext_scale = 150\nlanguage = "zh_TW"\n', {}),
        ('theme = "dark"\n', {"HIVEMIND_THEME": "light", "HIVEMIND_TEXT_SCALE": "200"}),
        ("max_cpu_cores = 2.0\n", {"HIVEMIND_LANGUAGE": "en"}),
    ],
)
def test_its_look_is_that_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, variables: dict[str, str]
) -> None:
    for name in VARIABLES.values():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HIVEMIND_HOME", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "config" / "settings.toml"
    file.parent.mkdir()
    if text:
        file.write_text(text)
    resolved = resolve({})
    assert isinstance(resolved, Resolved)
    assert look_of(file, os.environ) == {key: getattr(resolved.settings, key) for key in VARIABLES}


@pytest.mark.parametrize("text", ['theme = "pink"\n', "text_scale = 20\n", "theme = \n", 'language = "xx"\n'])
def test_a_value_that_cannot_be_is_left_to_the_one_who_tells_of_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.toml").write_text(text)
    assert look_of(tmp_path / "settings.toml", {}) is None


def test_its_variables_and_defaults_are_those_of_the_table() -> None:
    table = {row.name: row for row in rows()}
    assert {key: table[key].metadata["env"] for key in VARIABLES} == VARIABLES
    assert {key: getattr(Settings(), key) for key in VARIABLES} == DEFAULTS


@pytest.mark.parametrize(
    ("look", "scale", "language", "width"),
    [
        ("light", 1.0, "en", 1100),
        ("dark", 1.0, "zh_TW", 1100),
        ("light", 1.5, "en", 1400),
        ("dark", 1.0, "en", 900),
    ],
)  # fmt: skip
def test_it_looks_like_the_window_that_follows(
    qapp: QApplication, tmp_path: Path, look: str, scale: float, language: str, width: int
) -> None:
    """But for the buttons and for a shade at the letters: nothing jumps when it gives way."""
    appearance().choose(look, scale)
    use_language(resources() / "locale", language)
    memory = QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)
    window = MainWindow(memory)
    try:
        window.resize(width, 720)
        window.show()
        before = window.grab().toImage()
        window.furnish(Bridge(Nursery("window"), memory))
        window.rail.take("home")
        qapp.processEvents()
        after = window.grab().toImage()
        narrow = window.rail.width() < 100
        edge = rail_width(narrow=narrow)
        assert edge == window.rail.width()
        words = QRect(edge, 0, window.strip.pause.x() - 1, before.height())
        for part in (QRect(0, 0, edge, before.height()), words):
            assert differing(before.copy(part), after.copy(part)) < 0.01
        assert before.pixelColor(edge + 5, 300) == theme().colour("window")
        assert before.pixelColor(3, 300) == after.pixelColor(3, 300) == theme().colour("rail")
    finally:
        use_language(resources() / "locale", "en")
        window.retire()


def differing(one: QImage, other: QImage) -> float:
    """The share of pixels, of every fourth, whose brightness differs by more than an eighth."""
    points = [(x, y) for x in range(0, one.width(), 2) for y in range(0, one.height(), 2)]
    far = [
        point for point in points
        if abs(one.pixelColor(*point).lightness() - other.pixelColor(*point).lightness()) > 32
    ]  # fmt: skip
    return len(far) / len(points)
