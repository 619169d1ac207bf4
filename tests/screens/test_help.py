"""Help: pages are read, followed, searched; nothing on them comes from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices, QTextDocument
from PySide6.QtWidgets import QApplication

from hivemind_worker.presentation.help_pages import INDEX
from hivemind_worker.ui.screens.help import PAGE, Help
from hivemind_worker.ui.theme import appearance
from tests.fakes.node import FakeNode
from tests.screens.stand import Stand, standing

IMAGE = QTextDocument.ResourceType.ImageResource


def shown(stand: Stand) -> Help:
    assert isinstance(stand.screen, Help)
    return stand.screen


def pages(screen: Help) -> list[str]:
    """The pages that the contents offer now."""
    return [item.data(PAGE) for item in screen._items() if item.data(PAGE) and not item.isHidden()]


def test_every_page_of_the_contents_can_be_read(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "help", node) as stand:
        screen = shown(stand)
        assert screen.page == INDEX
        for item in screen._items():
            if item.data(PAGE):
                screen.list.setCurrentItem(item)
                assert screen.page == item.data(PAGE)
                assert len(screen.browser.toPlainText()) > 200


def test_a_link_leads_to_its_place_and_back_returns_to_where_one_was(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "help", node) as stand:
        screen, bar = shown(stand), shown(stand).browser.verticalScrollBar()
        screen.show_page("troubleshooting.md")
        assert bar.value() == 0
        bar.setValue(30)
        screen._follow(QUrl("docker.md#images"))
        QApplication.processEvents()
        assert (screen.page, bar.value() > 100) == ("docker.md", True)
        assert screen.list.currentItem().data(PAGE) == "docker.md"
        screen.back.click()
        assert (screen.page, bar.value()) == ("troubleshooting.md", 30)
        screen._follow(QUrl("#the-network"))
        assert (screen.page, bar.value() > 1000) == ("troubleshooting.md", True)


def test_what_is_looked_for_is_marked_and_the_contents_shrink_to_where_it_is(
    tmp_path: Path, node: FakeNode
) -> None:
    with standing(tmp_path, "help", node) as stand:
        screen = shown(stand)
        screen.show_page("troubleshooting.md")
        screen.look_for()
        screen.search.setText("engine_hung")
        assert pages(screen) == ["troubleshooting.md"]
        assert len(screen.browser.extraSelections()) == 1 and stand.says("1 place here")
        assert screen.browser.textCursor().selectedText() == "engine_hung"
        screen.search.setText("docker")
        first = screen.browser.textCursor().selectionStart()
        screen.next_hit.click()
        assert screen.browser.textCursor().selectionStart() > first
        screen.last_hit.click()
        assert screen.browser.textCursor().selectionStart() == first
        screen.search.setText("fifty ways")
        assert stand.says("Not here, but on")
        screen.search.returnPressed.emit()
        assert screen.page == "what-a-task-can-see.md" and stand.says("1 place here")
        screen.search.setText("no such words anywhere")
        assert stand.says("Found nowhere") and pages(screen) == []
        screen.search.clear()
        assert len(pages(screen)) > 15


def test_pictures_are_those_of_the_pages_and_never_wider_than_the_text(
    tmp_path: Path, node: FakeNode
) -> None:
    with standing(tmp_path, "help", node) as stand:
        screen = shown(stand)
        screen.show_page("rules.md")
        QApplication.processEvents()
        assert screen.browser.horizontalScrollBar().maximum() == 0
        assert screen.browser.loadResource(IMAGE, QUrl("pictures/home.png")).width() > 200
        for elsewhere in ("https://example.org/home.jpg", "file:///etc/passwd", "../../LICENSE"):
            assert screen.browser.loadResource(IMAGE, QUrl(elsewhere)) is None


def test_links_to_the_web_are_opened_by_the_browser(
    tmp_path: Path, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toString()))
    with standing(tmp_path, "help", node) as stand:
        shown(stand)._follow(QUrl("https://example.org/a"))
        assert (opened, shown(stand).page) == (["https://example.org/a"], INDEX)


def test_both_themes_have_their_own_colours(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "help", node) as stand:
        seen = set()
        for look in ("light", "dark"):
            appearance().choose(look, 1.0)
            seen.add(shown(stand).browser.document().defaultStyleSheet())
            assert shown(stand).page == INDEX
        appearance().choose("light", 1.0)
        assert len(seen) == 2
