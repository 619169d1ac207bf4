"""One dressed application for all screens; widgets and timers that a test leaves behind fail it."""

from __future__ import annotations

import os
from collections.abc import Iterator

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication

from hivemind_worker.places import resources
from hivemind_worker.presentation.catalogue import use_language
from hivemind_worker.ui.app import make_application
from hivemind_worker.ui.theme import appearance
from tests.fakes.node import FakeNode
from tests.screens.scenes import busy


@pytest.fixture(scope="session")
def qapp(tmp_path_factory: pytest.TempPathFactory) -> QApplication:
    """The application of all tests."""
    app = make_application([])
    appearance().start(tmp_path_factory.mktemp("look"), "light", 1.0)
    return app


@pytest.fixture(autouse=True)
def nothing_is_left(qapp: QApplication) -> Iterator[None]:
    """The look and the language end as they began; top-level widgets that are left fail the test."""
    before = set(QApplication.topLevelWidgets())
    yield
    appearance().choose("light", 1.0)
    use_language(resources() / "locale", "en")
    for _round in range(3):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QCoreApplication.processEvents()
    left = [repr(widget) for widget in set(QApplication.topLevelWidgets()) - before if widget.isVisible()]
    assert left == []


@pytest.fixture
def node(tmp_path: object) -> FakeNode:
    """A busy worker."""
    made = FakeNode(tmp_path)  # type: ignore[arg-type]
    busy(made)
    return made
