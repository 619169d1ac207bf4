"""For those who do not see or do not point: a name on every widget, every screen by keyboard."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QSlider,
    QTabBar,
    QWidget,
)

from hivemind_worker.ui.places import PLACES
from tests.ui.conftest import Desk
from tests.ui.scenes import furnish

NEED_A_NAME = (
    QAbstractButton, QAbstractItemView, QAbstractSpinBox, QComboBox, QLineEdit, QPlainTextEdit, QSlider,
    QTabBar,
)  # fmt: skip
INSIDE = (QAbstractItemView, QComboBox, QLineEdit)
INNER = ("qt_spinbox_lineedit", "qt_toolbar_ext_button", "ScrollLeftButton", "ScrollRightButton")


def nameless(root: QWidget) -> list[str]:
    found = []
    for widget in root.findChildren(QWidget):
        if not isinstance(widget, NEED_A_NAME) or not widget.isVisible() or widget.objectName() in INNER:
            continue
        seen = QAccessible.queryAccessibleInterface(widget)
        name = seen.text(QAccessible.Text.Name) if seen is not None else ""
        own = type(widget).__module__.startswith("hivemind_worker")
        if not name and (own or not isinstance(widget.parent(), INSIDE)):
            found.append(f"{type(widget).__name__} in {type(widget.parent()).__name__}")
    return found


async def test_everything_that_can_be_used_has_a_name(desk: Desk) -> None:
    furnish(desk.node, "busy")
    missing = {}
    for place in PLACES:
        desk.shell.window.open(place.key)
        await desk.settle()
        if found := nameless(desk.shell.window):
            missing[place.key] = found
    assert missing == {}


KEYED = [place for place in PLACES if place.key != "rules"]  # its grid of the week has keys of its own


async def test_tab_reaches_every_screen_and_leaves_it_again(desk: Desk) -> None:
    furnish(desk.node, "busy")
    for place in KEYED:
        screen = desk.shell.window.open(place.key)
        await desk.settle()
        desk.shell.window.rail.items[place.key].setFocus()
        reached, inside = set(), False
        for _step in range(200):
            focused = QApplication.focusWidget()
            if focused is None or focused in reached:
                break
            reached.add(focused)
            inside = inside or screen.isAncestorOf(focused)
            desk.press("Tab")
        wants = [w for w in screen.findChildren(QAbstractButton) if w.isVisible() and w.isEnabled()]
        wants = [w for w in wants if w.focusPolicy() & Qt.FocusPolicy.TabFocus]
        assert inside or not wants, place.key
        assert any(not screen.isAncestorOf(widget) for widget in reached), place.key


async def test_the_focus_ring_follows_the_keyboard_and_not_the_pointer(desk: Desk) -> None:
    ring = desk.shell.window.ring
    desk.shell.window.strip.pause.setFocus()
    desk.press("Tab")
    await desk.until(ring.isVisible)
    focused = QApplication.focusWidget()
    assert focused is not None
    at = focused.mapTo(desk.shell.window, focused.rect().center())
    assert ring.geometry().contains(at)
