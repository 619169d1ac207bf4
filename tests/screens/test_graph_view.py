"""The graph widget: what it draws, nothing while hidden; keys read it as the pointer does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from hivemind_worker.model.metrics import Point, Step
from hivemind_worker.presentation.graphs import Limit, graph, sliced
from hivemind_worker.presentation.ranges import RANGES
from hivemind_worker.ui.graphs import GraphView
from hivemind_worker.ui.theme import theme
from tests.fakes.node import NOW_S, FakeNode
from tests.screens.stand import dress

HOUR = RANGES["1h"]


@pytest.fixture
def view(qapp: QApplication) -> Iterator[GraphView]:
    made = GraphView()
    made.resize(700, 180)
    made.show()
    QApplication.processEvents()
    yield made
    made.close()
    made.deleteLater()


def show(view: GraphView, points: list[Point], kind: str = "cpu") -> None:
    limit = Limit(value=50.0, name="lent") if kind == "cpu" else None
    view.set_graph(graph(sliced(points, HOUR, NOW_S), kind, scale=16.0, limit=limit))
    QApplication.processEvents()


def has(view: GraphView, *tokens: str) -> list[bool]:
    """Whether each colour is in the picture in more than a few places."""
    image = view.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    counts = dict.fromkeys(tokens, 0)
    wanted = {theme().colour(token).rgb(): token for token in tokens}
    for y in range(0, image.height(), 2):
        for x in range(0, image.width(), 2):
            token = wanted.get(QColor(image.pixel(x, y)).rgb())
            if token is not None:
                counts[token] += 1
    return [counts[token] > 20 for token in tokens]


PARTS = ("chart-ours-fill", "chart-others-fill", "chart-band")


@pytest.mark.parametrize("name", ["light", "dark"])
def test_ours_others_and_pauses_are_drawn_in_both_themes(view: GraphView, node: FakeNode, name: str) -> None:
    dress(name)
    show(view, node.points[Step.SECOND])
    assert has(view, *PARTS) == [True, True, True]
    show(view, [])
    assert has(view, *PARTS) == [False, False, False], "an empty graph draws no areas"


def test_nothing_is_drawn_while_it_is_hidden(view: GraphView, node: FakeNode) -> None:
    show(view, node.points[Step.SECOND])
    view.hide()
    QApplication.processEvents()
    painted = view.paints
    for _number in range(5):
        show(view, node.points[Step.SECOND])
    assert view.paints == painted
    view.show()
    QApplication.processEvents()
    assert view.paints > painted


def test_a_screen_reader_is_told_the_figures_of_now(view: GraphView, node: FakeNode) -> None:
    show(view, node.points[Step.SECOND])
    assert view.accessibleName() == "CPU"
    assert view.accessibleDescription().startswith("ours ")
    before = view.accessibleDescription()
    show(view, node.points[Step.SECOND][:300])
    assert view.accessibleDescription() != before


def test_keys_read_the_graph_as_the_pointer_does(view: GraphView, node: FakeNode) -> None:
    show(view, node.points[Step.SECOND])
    read: list[object] = []
    view.read.connect(read.append)
    QTest.keyClick(view, Qt.Key.Key_Left)
    newest = view.reading()
    assert newest is not None
    assert newest.number == 119
    QTest.keyClick(view, Qt.Key.Key_Left)
    second = view.reading()
    assert second is not None
    assert second.at_s < newest.at_s
    QTest.keyClick(view, Qt.Key.Key_Escape)
    assert view.reading() is None
    QTest.mouseMove(view, QPoint(350, 80))
    middle = view.reading()
    assert middle is not None
    assert 50 < middle.number < 70
    QTest.mouseMove(view, QPoint(2, 2))
    assert view.reading() is None
    assert len(read) >= 4


def test_the_card_of_the_pointer_stays_inside_the_widget(view: GraphView, node: FakeNode) -> None:
    show(view, node.points[Step.SECOND])
    for number in (0, 60, 119):
        view.point_at(number)
        assert not view.grab().isNull()


@pytest.mark.parametrize("kind", ["memory", "network", "disk", "temperature", "gpu"])
def test_every_kind_can_be_drawn_at_every_size(view: GraphView, node: FakeNode, kind: str) -> None:
    for width, height in ((120, 64), (240, 90), (900, 260)):
        view.resize(width, height)
        show(view, node.points[Step.SECOND], kind)
        view.point_at(100)
        assert not view.grab().isNull()
