"""Every place of the window: accessible names, keyboard, room for text in both languages and in a longer one,
nothing untranslated, at the smallest window and at twice the text size.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QWidget,
)

from hivemind_worker.ui.graphs import GraphView
from hivemind_worker.ui.parts.text import Sentence
from hivemind_worker.ui.places import PLACES
from tests.fakes.node import FakeNode
from tests.screens import scenes
from tests.screens.stand import Stand, dress, language, standing

OURS = ("resources", "pools", "network", "rules", "history", "doctor", "settings", "account")
SCENES: dict[str, Callable[[FakeNode], None]] = {
    "busy": scenes.busy, "paused": scenes.paused, "fresh": scenes.fresh, "broken": scenes.broken,
}  # fmt: skip
PRESSED = (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    GraphView,
)
SMALL = (828, 508)  # the smallest window less rail and strip
SMALLEST = (807, 456)
"""The same at twice the text size, with which rail and strip are larger."""
MOST_LINES = 4
FROM_OUTSIDE = re.compile("|".join((
    r"[\d.,:%–+−/ ·°C]+", r".*\d+\.\d+\.\d+\.\d+.*", "[A-Z_]{4,}", "mira.*", r"m\.lindgren.*",
    "coast-tiles", "thumbs-oct", "word-count", "task_.*", "mill.example:50051", "worker-.*",
    ".* GiB", ".* MiB.*", ".* CPT.*",
    "CPU.*", "GPU.*", "Docker", "built-in; a test.*", "Sandbox", "C?Python.*", "larch.*", "[a-z0-9]+",
)))  # fmt: skip
"""Texts without a sentence of ours: numbers, names, variables, what the fake worker's world is called."""


def test_the_rail_leads_to_every_screen() -> None:
    assert [place.key for place in PLACES] == [
        *("home", "tasks", "resources", "pools", "network", "rules", "history"),
        *("logs", "doctor", "help", "settings", "account"),
    ]  # fmt: skip


@pytest.fixture(params=OURS)
def key(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def visible(stand: Stand) -> Iterator[QWidget]:
    return (child for child in stand.screen.findChildren(QWidget) if child.isVisible())


def test_whatever_takes_the_focus_has_a_name_for_screen_readers(
    tmp_path: Path, node: FakeNode, key: str
) -> None:
    with standing(tmp_path, key, node) as stand:
        nameless = [
            repr(child) for child in visible(stand)
            if isinstance(child, PRESSED) and child.focusPolicy() is not Qt.FocusPolicy.NoFocus
            and not (child.accessibleName() or (isinstance(child, QAbstractButton) and child.text()))
            and not isinstance(child.parent(), (QAbstractSpinBox, QComboBox))
        ]  # fmt: skip
        assert nameless == []


def test_what_is_pressed_is_reached_by_tab(tmp_path: Path, node: FakeNode, key: str) -> None:
    """Of a few choices in a row the one that is taken is; arrows lead to the others."""
    with standing(tmp_path, key, node) as stand:
        wanted = {
            child for child in visible(stand)
            if isinstance(child, (QAbstractButton, QComboBox, QAbstractSpinBox, GraphView))
            and child.isEnabled() and child.focusPolicy() & Qt.FocusPolicy.TabFocus
        }  # fmt: skip
        reached, at = set[QWidget](), stand.screen.nextInFocusChain()
        for _number in range(2000):
            reached.add(at)
            at = at.nextInFocusChain()
        assert wanted <= reached
        unreachable = [
            child.text() for child in visible(stand)
            if isinstance(child, QAbstractButton) and child.isEnabled() and child.text()
            and child.group() is None and not child.focusPolicy() & Qt.FocusPolicy.TabFocus
        ]  # fmt: skip
        assert unreachable == []


def clipped(stand: Stand) -> list[str]:
    """Words that do not fit where they stand, and sentences that are shortened or squeezed."""
    found = [text for child in visible(stand) if isinstance(child, Sentence) for text in squeezed(child)]
    found += overlapping(stand)
    for child in visible(stand):
        if (
            not isinstance(child, (QLabel, QAbstractButton))
            or not child.text()
            or isinstance(child, Sentence)
        ):
            continue
        needed = (
            child.minimumSizeHint() if isinstance(child, QLabel) and child.wordWrap() else child.sizeHint()
        )
        if child.width() < needed.width() - 1:
            found.append(f"{child.text()!r}: {child.width()} of {needed.width()} px")
    return found


def overlapping(stand: Stand) -> list[str]:
    """Sentences beside one another that are written over one another."""
    seen = [child for child in visible(stand) if isinstance(child, Sentence) and child.whole()]
    return [
        f"{one.whole()!r} over {other.whole()!r}"
        for number, one in enumerate(seen) for other in seen[number + 1:]
        if one.parent() is other.parent() and one.geometry().intersects(other.geometry())
    ]  # fmt: skip


def squeezed(sentence: Sentence, most_lines: int = MOST_LINES) -> Iterator[str]:
    """A sentence with an end that cannot be read, or in a column that is too narrow to read it in."""
    whole, metrics = sentence.whole(), sentence.fontMetrics()
    if sentence.text() != whole:
        yield f"{sentence.text()!r} of {whole!r}"
    if sentence.height() < sentence.heightForWidth(sentence.width()) - 1:
        yield f"{whole!r}: {sentence.height()} of {sentence.heightForWidth(sentence.width())} px high"
    if sentence.heightForWidth(sentence.width()) > most_lines * metrics.lineSpacing():
        yield f"{whole!r}: more than {most_lines} lines"
    yield from (
        f"{word!r} of {whole!r}: wider than {sentence.width()} px"
        for word in whole.split() if word.isascii() and metrics.horizontalAdvance(word) > sentence.width() + 1
    )  # fmt: skip


def scrolls_sideways(stand: Stand) -> bool:
    return any(
        area.horizontalScrollBar().maximum() > 0
        for area in stand.screen.findChildren(QScrollArea)
        if area.isVisible()
    )


@pytest.mark.parametrize("code", ["en", "zh_TW", "en_XA"])
@pytest.mark.parametrize("size", [(916, 668), SMALL])
def test_no_word_is_cut_off(
    tmp_path: Path, node: FakeNode, key: str, code: str, size: tuple[int, int]
) -> None:
    with language(code), standing(tmp_path, key, node, size=size) as stand:
        assert clipped(stand) == []
        assert not scrolls_sideways(stand) or code == "en_XA"


@pytest.mark.parametrize("scene", SCENES)
def test_every_scene_fits_in_both_themes(tmp_path: Path, key: str, scene: str) -> None:
    node = FakeNode(tmp_path)
    SCENES[scene](node)
    for name in ("light", "dark"):
        dress(name)
        with standing(tmp_path, key, node) as stand:
            assert clipped(stand) == []
            assert len(stand.texts()) >= 5, "an empty screen"
            image = stand.screen.grab().toImage()
            points = [(x, y) for x in range(0, image.width(), 9) for y in range(0, image.height(), 9)]
            colours = {image.pixel(x, y) for x, y in points}
            assert len(colours) > 8, "nothing is drawn"


def test_at_twice_the_text_size_everything_can_be_read(tmp_path: Path, node: FakeNode, key: str) -> None:
    dress("light", 2.0)
    with standing(tmp_path, key, node, size=(1032, 640)) as stand:
        assert clipped(stand) == []


@pytest.mark.release
@pytest.mark.parametrize("code", ["en", "zh_TW", "en_XA"])
@pytest.mark.parametrize("scene", ["busy", "broken"])
@pytest.mark.parametrize(("scale", "size"), [(1.0, SMALL), (2.0, (1032, 640)), (2.0, SMALLEST)])
def test_no_sentence_is_shortened_on_any_screen(
    tmp_path: Path, code: str, scene: str, scale: float, size: tuple[int, int]
) -> None:
    dress("light", scale)
    found: dict[str, list[str]] = {}
    for place in PLACES:
        node = FakeNode(tmp_path)
        SCENES[scene](node)
        with language(code), standing(tmp_path, place.key, node, size=size) as stand:
            seen = [child for child in visible(stand) if isinstance(child, Sentence)]
            most = MOST_LINES + 2 * (code == "en_XA")
            found[place.key] = [text for child in seen for text in squeezed(child, most)] + overlapping(stand)
            if code != "en_XA":  # whose words are a third longer than any that people write
                found[place.key] += ["scrolls sideways"] if scrolls_sideways(stand) else []
                least = stand.screen.minimumSizeHint().width()
                found[place.key] += [f"needs {least} px"] if least > size[0] else []
    assert {key: texts for key, texts in found.items() if texts} == {}


def test_no_sentence_goes_past_the_catalogue(tmp_path: Path, node: FakeNode, key: str) -> None:
    """In the pseudo-language every sentence of ours stands in brackets."""
    with language("en_XA"), standing(tmp_path, key, node) as stand:
        bare = [
            text for text in stand.texts() if text and "⟦" not in text and not FROM_OUTSIDE.fullmatch(text)
        ]
        assert bare == []
