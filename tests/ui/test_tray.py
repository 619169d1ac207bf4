"""The tray: states by shape, its first line in words, what can be pressed; and no tray at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QApplication, QSystemTrayIcon

from hivemind_worker.model.events import FinishAsked, PauseAsked, ResumeAsked, RunModeAsked
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.snapshot import LinkState, Mode
from hivemind_worker.model.task import Problem
from hivemind_worker.model.vpn import VpnState
from hivemind_worker.places import resources
from hivemind_worker.presentation.catalogue import use_language
from hivemind_worker.ui.notice_strip import KEPT
from hivemind_worker.ui.notifier import EVERY_S
from hivemind_worker.ui.theme import appearance
from hivemind_worker.ui.theme import theme as theme_in_force
from tests.fakes.node import NOW_S, make_task
from tests.ui.conftest import Desk
from tests.web.test_tokens import contrast


@pytest.fixture
async def trayed(tmp_path: Path, qapp: QApplication) -> AsyncIterator[Desk]:
    made = Desk(tmp_path, tray=True)
    made.open()
    yield made
    await made.close()


async def test_each_state_has_a_shape_and_a_first_line_of_its_own(trayed: Desk) -> None:
    tray, node = trayed.shell.tray, trayed.node
    base = node.picture
    held, ending = replace(base.node, mode=Mode.PAUSED), replace(base.node, mode=Mode.FINISHING)
    scenes = {
        "tray-waiting": base,
        "tray-working": replace(base, tasks=(make_task("a"),)),
        "tray-paused": replace(base, node=held),
        "tray-snoozed": replace(base, node=replace(held, until_s=NOW_S + 3600)),
        "tray-finishing": replace(base, node=ending, tasks=(make_task("a"),)),
        "tray-offline": replace(base, pool=replace(base.pool, link=LinkState.UNREACHABLE)),
        "tray-warning": replace(base, blocker=Problem(code=FaultCode.DISK_FULL, about="/x")),
    }
    lines = set()
    for shape, scene in scenes.items():
        node.picture = scene
        await trayed.until(lambda shape=shape: tray._shape == shape)
        lines.add(tray._state.text())
        assert tray.icon.toolTip().endswith(tray._state.text())
    assert len(lines) == len(scenes)
    assert "Working: 1 of 3 tasks" in lines


def standing_out(picture: QImage, panel: str) -> float:
    """The share of what is drawn, by its covering of pixels, that has 3:1 on a panel of this colour."""
    seen = QImage(picture.size(), QImage.Format.Format_RGB32)
    seen.fill(QColor(panel))
    painter = QPainter(seen)
    painter.drawImage(0, 0, picture)
    painter.end()
    covered = clear = 0.0
    for x in range(picture.width()):
        for y in range(picture.height()):
            part = picture.pixelColor(x, y).alphaF()
            covered += part
            clear += part if contrast(seen.pixelColor(x, y).name(), panel) >= 3 else 0
    return clear / covered


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "shape", ["working", "waiting", "paused", "snoozed", "finishing", "warning", "error", "offline"]
)
async def test_each_shape_stands_out_from_a_light_and_from_a_dark_panel(
    trayed: Desk, shape: str, theme: str
) -> None:
    appearance().choose(theme, 1.0)
    tray = trayed.shell.tray
    tray._shape = f"tray-{shape}"
    tray._draw()
    assert contrast(tray_ink(), "#ffffff") >= 4.5
    assert contrast(tray_ink(), "#000000") >= 4.5
    for px in (16, 22, 32):
        picture = tray.icon.icon().pixmap(QSize(px, px)).toImage()
        assert (picture.width(), picture.height()) == (px, px)
        for panel in ("#ffffff", "#000000"):
            assert standing_out(picture, panel) > 0.65, (px, panel, standing_out(picture, panel))


def tray_ink() -> str:
    return theme_in_force().colour("tray").name()


async def test_the_menu_pauses_for_a_while_resumes_and_finishes(trayed: Desk) -> None:
    tray, node = trayed.shell.tray, trayed.node
    await trayed.settle()
    titles = [action.text() for action in tray.pause_menu.actions()]
    assert titles == ["15 minutes", "1 hour", "4 hours", "Until tomorrow 06:00", "Until I resume"]
    tray.pause_menu.actions()[1].trigger()
    await trayed.until(lambda: node.asked)
    asked = node.asked[-1]
    assert isinstance(asked, PauseAsked)
    assert asked.until_s == pytest.approx(asked.at_s + 3600)
    await trayed.until(tray.resume.isVisible)
    tray.resume.trigger()
    await trayed.until(lambda: isinstance(node.asked[-1], ResumeAsked))
    node.put(make_task("a"))
    await trayed.until(tray.finish.isVisible)
    tray.finish.trigger()
    await trayed.until(lambda: isinstance(node.asked[-1], FinishAsked))


async def test_the_run_mode_and_the_card_alone_are_chosen_in_the_menu_and_the_strip(trayed: Desk) -> None:
    tray, strip, node = trayed.shell.tray, trayed.shell.window.strip, trayed.node
    await trayed.settle()
    assert [action.text() for action in tray.mode_menu.actions()] == ["Run", "Run by my rules", "Paused"]
    assert tray.modes["rules"].isChecked()
    assert not tray.gpu.isVisible()  # this computer has no card
    tray.modes["run"].trigger()
    await trayed.until(lambda: strip.mode.text() == "Run")
    asked = node.asked[-1]
    assert isinstance(asked, RunModeAsked)
    assert (asked.ignores_rules, asked.until_s) == (True, None)
    strip.modes["paused"].trigger()
    await trayed.until(tray.modes["paused"].isChecked)
    assert isinstance(node.asked[-1], PauseAsked)
    strip.modes["rules"].trigger()
    await trayed.until(tray.modes["rules"].isChecked)
    assert strip.mode.text() == "Run by my rules"
    node.picture = replace(node.picture, total=replace(node.picture.total, gpu=1.0))
    await trayed.until(tray.gpu.isVisible)
    tray.gpu.trigger()
    await trayed.until(lambda: node.picture.node.gpu_paused and tray.gpu.isChecked())
    tray.gpu.trigger()
    await trayed.until(lambda: not node.picture.node.gpu_paused and not tray.gpu.isChecked())


async def test_help_opens_from_the_tray_although_the_window_is_away(trayed: Desk) -> None:
    trayed.shell.window.hide()
    trayed.shell.tray.help.trigger()
    await trayed.until(trayed.shell.window.is_seen)
    assert trayed.shell.window.place() == "help"


async def test_a_click_toggles_the_window_and_closing_hides_it(trayed: Desk) -> None:
    window, reasons = trayed.shell.window, QSystemTrayIcon.ActivationReason
    await trayed.until(window.isActiveWindow)
    trayed.shell.tray._activated(reasons.Trigger)
    assert not window.isVisible()
    trayed.shell.tray._activated(reasons.Trigger)
    assert window.isVisible()
    window.close()
    assert not window.isVisible()
    trayed.shell.tray._activated(reasons.MiddleClick)
    assert window.isVisible()
    assert trayed.quits == 0


async def test_without_a_tray_closing_never_hides_and_says_why(desk: Desk) -> None:
    desk.shell.window.close()
    assert desk.shell.window.isVisible()
    assert desk.shell.window.isMinimized()
    assert "no tray" in desk.shell._banners
    assert desk.quits == 0


async def _ticked(desk: Desk, now_s: list[float], **picture: object) -> None:
    """So much later that notices are looked for again, with this in the worker's picture."""
    now_s[0] += EVERY_S
    desk.node.picture = replace(desk.node.picture, **picture)  # type: ignore[arg-type]
    await desk.settle()


async def test_without_a_tray_the_latest_notice_stands_in_the_window_until_it_is_put_away(
    desk: Desk,
) -> None:
    now_s, board = [NOW_S], desk.shell.notices
    desk.node._clock = lambda: now_s[0]
    await desk.settle()
    assert board.strip is None
    full = Problem(code=FaultCode.DISK_FULL, about="0.1 GiB free")
    await _ticked(desk, now_s, blocker=full)
    await desk.until(lambda: len(board._told) == 1)
    assert desk.shell.window.strip.reason.whole() == "The disk is too full: 0.1 GiB free."
    assert board.strip is None, "it stands in the status strip, right above"
    wrong = Problem(code=FaultCode.WRONG_PASSWORD, about="anna")
    base = desk.node.picture.pool
    await _ticked(desk, now_s, pool=replace(base, link=LinkState.LOGIN_REFUSED, problem=wrong))
    await desk.until(lambda: board.strip is not None)
    strip = board.strip
    assert strip is not None
    await desk.until(strip.isVisible)
    assert strip.title.text() == "Sign in again"
    assert strip.title.text() in strip.accessibleName()
    assert strip.text.text() in strip.accessibleName()
    assert strip.earlier.isHidden()
    desk.node.picture = replace(desk.node.picture, blocker=None, pool=base)
    desk.shell.notify("coast-tiles is done", "Its result is here.", "pools")
    await desk.settle()
    assert strip.title.text() == "coast-tiles is done"
    assert strip.earlier.text() == "2 earlier", "what it hides is not lost"
    assert strip.lead.text() == "Open Pools"
    strip.lead.click()
    assert desk.shell.window.place() == "pools"
    assert strip.title.text() == "Sign in again"
    strip.dismiss.click()
    assert strip.title.text() == "The disk is too full: 0.1 GiB free."
    strip.dismiss.setFocus()
    desk.press("Space")
    await desk.until(lambda: board.strip is None)
    await _ticked(desk, now_s)
    assert board.strip is None, "the same is not told again"


async def test_without_a_tray_too_no_notice_is_shown_that_the_owner_does_not_want(desk: Desk) -> None:
    now_s, board = [NOW_S], desk.shell.notices
    desk.node._clock = lambda: now_s[0]
    desk.node.settings = replace(desk.node.settings, notify_computer=False)
    await _ticked(desk, now_s, blocker=Problem(code=FaultCode.DISK_FULL, about="0.1 GiB free"))
    await _ticked(desk, now_s)
    assert board.strip is None
    desk.shell.snooze_notices()
    desk.shell.notify("put off", "")
    assert board.strip is None


async def test_a_notice_outlives_a_change_of_the_language_and_many_are_bounded(desk: Desk) -> None:
    for number in range(KEPT + 5):
        desk.shell.notify(f"notice {number}", "words", "history")
    before = desk.shell.notices.strip
    assert before is not None
    assert before.earlier.text() == f"{KEPT - 1} earlier"
    use_language(resources() / "locale", "zh_TW")
    try:
        desk.shell.use_language()
        strip = desk.shell.notices.strip
        assert strip is not None
        assert strip is not before
        assert desk.shell.window.isAncestorOf(strip)
        assert strip.title.text() == f"notice {KEPT + 4}"
        assert strip.lead.text() != "Open History"
    finally:
        use_language(resources() / "locale", "en")


async def test_with_a_tray_notices_are_shown_there_alone(
    trayed: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(trayed.shell.tray, "say", lambda title, *_more: said.append(title))
    trayed.shell.notify("one", "")
    assert said == ["one"]
    assert trayed.shell.notices.strip is None


async def test_hidden_in_the_tray_nothing_is_asked_or_drawn(trayed: Desk) -> None:
    await trayed.settle()
    trayed.shell.window.hide()
    asked = trayed.node.samples
    assert not trayed.bridge._ticker.isActive()
    trayed.node.put(make_task("a"))
    await trayed.until(lambda: trayed.shell.tray._shape == "tray-working")
    assert trayed.node.samples == asked
    assert trayed.shell.window.strip.pill.word.text() == "Waiting"  # nobody sees it: it was not touched


async def test_the_dashboard_is_opened_by_a_link_that_is_good_once(
    trayed: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(
        "PySide6.QtGui.QDesktopServices.openUrl", lambda url: opened.append(url.toString()) or True
    )
    await trayed.settle()
    trayed.shell.tray.dashboard.trigger()
    assert opened == ["http://127.0.0.1:5000/login?t=once"]


async def test_notices_can_be_put_off(trayed: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(trayed.shell.tray, "say", lambda title, *_more: said.append(title))
    trayed.shell.notify("one", "")
    trayed.shell.snooze_notices()
    trayed.shell.notify("two", "")
    assert said == ["one"]


async def test_the_tunnels_state_stands_in_the_menu_with_what_can_be_done(trayed: Desk) -> None:
    tray, node = trayed.shell.tray, trayed.node
    await trayed.settle()
    assert not tray.vpn_menu.menuAction().isVisible(), "there is none"
    node.vpn.show(state=VpnState.STALE, interface="hivemind0", has_profile=True, is_ours=True)
    await trayed.until(lambda: tray.vpn_menu.title() == "VPN: silent")
    reconnect, disconnect = tray.vpn_menu.actions()
    assert reconnect.text() == "Reconnect"
    disconnect.trigger()
    await trayed.until(lambda: tray.vpn_menu.title() == "VPN: off")
    assert reconnect.text() == "Connect"
    reconnect.trigger()
    await trayed.until(lambda: tray.vpn_menu.title() == "VPN: connected")
    assert node.vpn.asked == [("down",), ("up",)]
    assert tray.vpn_menu.menuAction().isVisible()
