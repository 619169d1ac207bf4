"""The set-up of the pool's network by keyboard alone: source, review, permission, connect, done."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import shiboken6
from PySide6.QtCore import QMimeData, QPointF, QSettings, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.model.vpn import Rung, RungResult, RungState, VpnState
from hivemind_worker.nursery import Nursery
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.setup.steps import Join
from hivemind_worker.ui.vpn_setup.source import Drop
from hivemind_worker.ui.vpn_setup.window import VpnSetup
from tests.fakes.node import FakeNode
from tests.vpn.corpus import GOOD, OWN, OWN_PUBLIC

PASSED = [
    RungResult(rung=rung, state=RungState.PASSED, fields=(("age", "1"), ("seconds", "0"))) for rung in Rung
]
BROKEN = [
    *PASSED[:6],
    RungResult(rung=Rung.HANDSHAKE, state=RungState.FAILED, reason="handshake_never",
               fields=(("sent", "444"), ("received", "0"), ("port", "51820"))),
]  # fmt: skip


@pytest.fixture
def node(tmp_path: Path) -> FakeNode:
    return FakeNode(tmp_path / "files")


@pytest.fixture
async def setup(qapp: QApplication, tmp_path: Path, node: FakeNode) -> AsyncIterator[VpnSetup]:
    """The window on a fake worker, shown."""
    nursery = Nursery("window")
    bridge = Bridge(nursery, QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat))
    bridge.attach(node)
    made = VpnSetup(bridge, None)
    made.open()
    yield made
    bridge.detach()
    await nursery.close()
    if shiboken6.isValid(made):  # a window that was closed is gone
        made.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


def press(setup: VpnSetup, key: str) -> None:
    """To what has the focus, as a keyboard does."""
    target = QApplication.focusWidget() or setup.focusWidget()
    assert target is not None, "nothing has the focus"
    QTest.keySequence(target, key)


async def forward(setup: VpnSetup, number: int) -> None:
    """Enter on the main button, once it can be pressed."""
    await until(lambda: setup.next.isEnabled() and setup.next.hasFocus())
    press(setup, "Return")
    await until(lambda: setup.number == number)


async def to_review(setup: VpnSetup, text: str = GOOD) -> None:
    """Paste, leave the field by Tab, go on."""
    await until(setup.source.paste.hasFocus)
    setup.source.paste.insertPlainText(text)
    setup.next.setFocus()
    press(setup, "Return")
    await until(lambda: setup.number == 1)


async def test_by_keyboard_from_a_pasted_text_to_a_tunnel_that_is_up(setup: VpnSetup, node: FakeNode) -> None:
    node.vpn.results = PASSED
    await to_review(setup)
    assert node.vpn.asked == [], "nothing has changed yet"
    assert ("Goes into the tunnel", "10.0.0.0/24", "10.0.0.1/32", "narrowed") in setup.review.table.texts()
    assert setup.source.paste.toPlainText() == "", "the private key is not shown again"
    await forward(setup, 2)
    assert node.vpn.asked == [("keep", False), ("auto", True)]
    assert "wg setconf hivemind0 /dev/stdin" in setup.permission.commands.text()
    assert OWN not in setup.permission.commands.text()
    await forward(setup, 3)
    await until(lambda: ("check",) in node.vpn.asked)
    assert ("up",) in node.vpn.asked
    await forward(setup, 4)
    assert setup.done_step.state.title.text() == "You are in the pool's network"
    await until(setup.next.hasFocus)
    press(setup, "Return")
    assert not setup.isVisible()


async def test_a_refused_profile_is_told_line_by_line_and_changes_nothing(
    setup: VpnSetup, node: FakeNode
) -> None:
    await until(setup.source.paste.hasFocus)
    setup.source.paste.insertPlainText(GOOD.replace("[Peer]", "PostUp = reboot\n[Peer]"))
    setup.next.click()
    assert setup.number == 0
    assert setup.source.trouble.isVisible()
    assert "Line 4: PostUp would run a command" in setup.source.trouble.text.text()
    assert node.vpn.asked == []


async def test_a_file_that_is_dropped_is_read_and_reviewed(setup: VpnSetup, tmp_path: Path) -> None:
    file = tmp_path / "larch.conf"
    file.write_text(GOOD)
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(file))])
    drop = setup.findChildren(Drop)[0]
    action, button = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    drop.dropEvent(QDropEvent(QPointF(5, 5), action, data, button, Qt.KeyboardModifier.NoModifier))
    assert setup.number == 1
    setup.go(0)
    setup.source.read(tmp_path / "absent.conf")
    assert "absent.conf cannot be read" in setup.source.trouble.title.text()


async def test_the_pools_site_is_asked_and_its_refusal_shown(setup: VpnSetup, node: FakeNode) -> None:
    node.vpn.site = Problem(code=FaultCode.SITE_REFUSED, about="Please wait 5 seconds")
    setup.source.site.setFocus()
    setup.source.site.setText("pool.example")
    press(setup, "Return")
    await until(setup.source.trouble.isVisible)
    assert "Please wait 5 seconds" in setup.source.trouble.title.text()
    assert setup.number == 0
    node.vpn.site = GOOD.encode()
    press(setup, "Return")
    await until(lambda: setup.number == 1)
    assert ("site", "pool.example") in node.vpn.asked


async def test_a_key_is_made_and_its_public_half_alone_reaches_the_clipboard(
    setup: VpnSetup, node: FakeNode
) -> None:
    setup.source._make_key()
    await until(setup.source.key.isVisible)
    assert QGuiApplication.clipboard().text() == setup.source.key.text()
    assert OWN not in QGuiApplication.clipboard().text()


async def test_the_pools_key_is_copied_as_it_is_shown_by_keyboard(setup: VpnSetup) -> None:
    await to_review(setup)
    shown = setup.review.key.text()
    assert re.fullmatch(r"([0-9a-f]{4} ){7}[0-9a-f]{4}", shown)
    setup.review.copy.setFocus()
    press(setup, "Space")
    assert QGuiApplication.clipboard().text() == shown


async def test_each_check_says_how_long_it_took_and_all_of_them_together(
    setup: VpnSetup, node: FakeNode
) -> None:
    times = (0.0004, 2.4, 0.006, 0.038, 0.003, 0.024, 6.2, 0.012, 0.002, 0.5)
    node.vpn.results = [
        *(replace(each, took_s=took) for each, took in zip(PASSED, times, strict=False)),
        RungResult(rung=Rung.CLOCK, state=RungState.SKIPPED, reason="clock_unknown"),
    ]  # fmt: skip
    await to_review(setup)
    await forward(setup, 2)
    await forward(setup, 3)
    await until(setup.next.isEnabled)
    ladder = setup.connecting.ladder
    assert [row.took.text() for row in ladder.rows.rows()] == [
        "1 ms", "2.4 s", "6 ms", "38 ms", "3 ms", "24 ms", "6.2 s", "12 ms", "2 ms", "500 ms", "",
    ]  # fmt: skip
    assert all("2.4 s" in row.accessibleName() for row in ladder.rows.rows()[1:2])
    assert ladder.note.text() == "11 of 11 passed, 9.2 s so far"


async def test_letting_the_whole_network_in_is_an_explicit_choice(setup: VpnSetup, node: FakeNode) -> None:
    await to_review(setup)
    setup.review.wide.setFocus()
    press(setup, "Space")
    assert any(row[2] == "10.0.0.0/24" for row in setup.review.table.texts())
    setup.next.setFocus()
    await forward(setup, 2)
    assert ("keep", True) in node.vpn.asked


async def test_without_permission_the_command_is_shown_and_nothing_is_run(
    setup: VpnSetup, node: FakeNode
) -> None:
    node.vpn.results = PASSED
    node.vpn.show(command="sudo wg-quick up /home/anna/vpn/1/hivemind0.conf")
    await to_review(setup)
    await forward(setup, 2)
    assert setup.permission.commands.text() == "sudo wg-quick up /home/anna/vpn/1/hivemind0.conf"
    assert setup.next.text() == "I have run it"
    setup.permission.copy.click()
    assert QGuiApplication.clipboard().text() == setup.permission.commands.text()
    setup.next.setFocus()
    await forward(setup, 3)
    await until(lambda: ("check",) in node.vpn.asked)
    assert ("up",) not in node.vpn.asked
    assert ("auto", False) in node.vpn.asked


async def test_a_failed_check_says_what_to_do_and_the_old_profile_comes_back_when_asked(
    setup: VpnSetup, node: FakeNode
) -> None:
    node.vpn.results = BROKEN
    node.vpn.show(has_previous=True, own_key=OWN_PUBLIC)
    await to_review(setup)
    await forward(setup, 2)
    await forward(setup, 3)
    ladder = setup.connecting.ladder
    await until(ladder.trouble.isVisible)
    assert ladder.trouble.title.text() == "No handshake: 444 bytes went out and 0 came back."
    assert "UDP 51820" in ladder.trouble.text.text()
    assert not setup.next.isEnabled()
    assert ("back",) not in node.vpn.asked, "only when the owner says so"
    node.vpn.results = PASSED
    setup.connecting.back.setFocus()
    press(setup, "Space")
    await until(lambda: ("back",) in node.vpn.asked and setup.next.isEnabled())


async def test_the_first_run_leads_to_it_from_the_step_that_joins_a_pool(setup: VpnSetup) -> None:
    bridge = setup.source.bridge
    join = Join(bridge)
    join.show()
    sent = next(each for each in join.findChildren(Button) if each.text().startswith("It sent me a VPN"))
    sent.click()
    opened = join.findChild(VpnSetup)
    assert opened is not None and opened.isVisible()
    opened.reject()
    join.close()
    join.deleteLater()


async def test_everything_that_can_be_used_has_a_name(setup: VpnSetup, node: FakeNode) -> None:
    node.vpn.results = PASSED
    node.vpn.show(state=VpnState.OFF)
    for number in range(len(setup.steps)):
        if number:
            setup.pages.setCurrentIndex(number)
        for widget in setup.findChildren(QWidget):
            if widget.focusPolicy() is not Qt.FocusPolicy.NoFocus and widget.isVisible():
                name = widget.accessibleName() or getattr(widget, "text", str)()
                assert name, widget
