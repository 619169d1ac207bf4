"""The window as a whole: places, strip, keys, closing and quitting, bad days."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QAbstractButton, QApplication, QPushButton

from hivemind_worker.model.checkup import Check, CheckState
from hivemind_worker.model.events import FinishAsked, PauseAsked, ResumeAsked
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.snapshot import LinkState, Mode
from hivemind_worker.model.task import Problem
from hivemind_worker.model.vpn import VpnState
from hivemind_worker.places import resources
from hivemind_worker.presentation.catalogue import PSEUDO, use_language
from hivemind_worker.presentation.faults import words
from hivemind_worker.ui.life import _unexpected
from hivemind_worker.ui.screens.help import Help
from hivemind_worker.ui.theme import appearance, theme
from tests.fakes.node import make_task
from tests.ui.conftest import Desk


async def test_the_strip_says_what_the_worker_says(desk: Desk) -> None:
    strip = desk.shell.window.strip
    assert strip.pill.word.text() == "Waiting"
    desk.node.picture = replace(desk.node.picture, tasks=(make_task("a"), make_task("b")))
    await desk.until(lambda: strip.reason.whole() == "Working on 2 tasks.")
    assert strip.pill.word.text() == "Working"


async def test_ctrl_p_pauses_and_resumes(desk: Desk) -> None:
    desk.press("Ctrl+P")
    await desk.until(lambda: desk.shell.window.strip.pill.word.text() == "Paused")
    assert isinstance(desk.node.asked[-1], PauseAsked)
    desk.press("Ctrl+P")
    await desk.until(lambda: desk.shell.window.strip.pill.word.text() == "Waiting")
    assert isinstance(desk.node.asked[-1], ResumeAsked)
    assert desk.node.picture.node.mode is Mode.RUN


async def test_quitting_asks_once_and_finishing_is_the_first_choice(desk: Desk) -> None:
    desk.node.put(make_task("a"))
    await desk.settle()
    desk.press("Ctrl+Q")
    question = desk.shell._question
    assert question is not None
    desk.shell.ask_to_quit()
    assert desk.shell._question is question
    question.buttons["finish"].click()
    await desk.until(lambda: desk.node.asked)
    assert desk.node.asked == [FinishAsked(at_s=desk.node.asked[0].at_s, quit_after=True)]
    await desk.until(lambda: desk.shell._question is None)
    assert desk.quits == 0


async def test_an_unexpected_error_in_a_slot_is_logged_and_said_and_the_window_lives_on(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    with _unexpected(desk.bridge):
        sys.excepthook(ValueError, ValueError("oops"), None)
        await desk.until(lambda: "bug" in desk.shell._banners)
    assert "oops" in caplog.text
    assert desk.shell.window.isVisible()
    desk.press("Ctrl+2")
    assert desk.shell.window.current() is desk.shell.window.screens["tasks"]


async def test_a_coroutine_that_fails_is_logged_and_said(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> None:
        raise ValueError("oops")

    desk.bridge.start("something", broken())
    await desk.until(lambda: "bug" in desk.shell._banners)
    assert "oops" in caplog.text


async def test_a_wish_that_is_refused_says_why(desk: Desk) -> None:
    desk.node.refuse_with = Problem(code=FaultCode.DISK_FULL, about="/home")
    desk.press("Ctrl+P")
    await desk.until(lambda: "refused" in desk.shell._banners)
    assert "/home" in desk.shell._banners["refused"].title.text()


@pytest.mark.parametrize(
    ("code", "word", "place"),
    [
        (FaultCode.DISK_FULL, "Open Doctor", "doctor"),
        (FaultCode.NOT_LOGGED_IN, "Open Account", "account"),
        (FaultCode.POOL_UNREACHABLE, "Open Pools", "pools"),
        (FaultCode.BUG, "Show the log", "logs"),
    ],
)
async def test_a_fault_has_its_sentence_its_step_and_a_button_to_where_it_is_seen_to(
    desk: Desk, code: FaultCode, word: str, place: str
) -> None:
    desk.node.refuse_with = Problem(code=code, about="/home")
    desk.press("Ctrl+P")
    await desk.until(lambda: "refused" in desk.shell._banners)
    banner = desk.shell._banners["refused"]
    assert (banner.title.text(), banner.text.text()) == words(desk.node.refuse_with)
    button = next(each for each in banner.findChildren(QPushButton) if each.text() == word)
    button.click()
    assert desk.shell.window.current() is desk.shell.window.screens[place]
    assert "refused" not in desk.shell._banners


async def test_a_worker_that_cannot_start_says_why_and_can_be_quit(
    tmp_path: Path, qapp: QApplication
) -> None:
    desk = Desk(tmp_path)
    desk.shell.start(hidden=False)
    desk.shell.cannot_start(Problem(code=FaultCode.DISK_FULL, about="/home"))
    banner = desk.shell._banners["start"]
    assert "/home" in banner.title.text()
    next(each for each in banner.findChildren(QPushButton) if each.text() == "Quit").click()
    assert desk.quits == 1
    await desk.close()


async def test_theme_and_text_size_change_at_once(desk: Desk) -> None:
    before = desk.shell.window.strip.reason.font().pixelSize()
    appearance().choose("dark", 2.0)
    assert QApplication.palette().window().color() == theme().colour("window")
    assert desk.shell.window.strip.reason.fontInfo().pixelSize() >= 2 * before - 1
    assert desk.shell.window.minimumWidth() <= 880


async def test_the_window_remembers_its_place_and_size(tmp_path: Path, qapp: QApplication) -> None:
    for expected in (720, 600):  # the screen of the tests is narrower than the window
        desk = Desk(tmp_path)
        desk.open()
        assert desk.shell.window.height() == expected
        desk.shell.window.resize(1000, 600)
        desk.shell.window.open("tasks")
        await desk.close()
    assert desk.memory.value("window/place") == "tasks"


async def test_the_rail_shrinks_to_icons_in_a_small_window(desk: Desk) -> None:
    desk.shell.window.resize(880, 560)
    await desk.until(lambda: desk.shell.window.rail.width() == 52)
    assert desk.shell.window.rail.items["tasks"].toolTip() == "Tasks"
    desk.shell.window.resize(1200, 800)
    await desk.until(lambda: desk.shell.window.rail.width() == 184)


async def test_the_rail_shows_what_is_wrong_behind_a_place_by_a_shape_and_a_word(desk: Desk) -> None:
    items, sound = desk.shell.window.rail.items, desk.node.picture
    network, doctor = items["network"], items["doctor"]
    drawn = network.grab().toImage()
    assert (network.accessibleDescription(), doctor.accessibleDescription()) == ("", "")
    pool = replace(sound.pool, link=LinkState.UNREACHABLE)
    desk.node.picture = replace(sound, pool=pool)
    await desk.until(lambda: network.accessibleDescription() == "trouble")
    assert network.grab().toImage() != drawn
    desk.node.picture = replace(sound, vpn=replace(sound.vpn, state=VpnState.BLOCKED))
    await desk.until(lambda: network.accessibleDescription() == "blocked")
    desk.node.picture = sound
    await desk.until(lambda: network.accessibleDescription() == "")
    assert network.grab().toImage() == drawn


async def test_the_rail_shows_the_worst_of_the_last_checkup_until_it_is_mended(desk: Desk) -> None:
    doctor, care = desk.shell.window.rail.items["doctor"], desk.node.care
    fine = care.checks
    care.checks = [*fine, Check(name="Disk", state=CheckState.WARN, text="old images")]
    screen = desk.shell.window.open("doctor")
    await desk.until(lambda: doctor.accessibleDescription() == "could be better")
    care.checks = [*care.checks, Check(name="Start", state=CheckState.FAIL, text="its program is gone")]
    screen.refresh()
    await desk.until(lambda: doctor.accessibleDescription() == "fails")
    desk.shell.window.resize(880, 560)  # icons alone: the shape stays
    await desk.until(lambda: desk.shell.window.rail.width() == 52)
    narrow = doctor.grab().toImage()
    care.checks = fine
    screen.refresh()
    await desk.until(lambda: doctor.accessibleDescription() == "")
    assert doctor.grab().toImage() != narrow
    desk.shell.window.resize(1200, 800)
    await desk.until(lambda: desk.shell.window.rail.width() == 184)


async def test_F1_and_learn_more_explain_the_place_that_one_is_at(desk: Desk) -> None:
    for place, page in (("rules", "rules.md"), ("network", "vpn.md"), ("home", "first-steps.md")):
        desk.shell.window.open(place)
        if place == "rules":
            buttons = desk.shell.window.findChildren(QAbstractButton)
            next(b for b in buttons if b.text() == "Learn more" and b.isVisible()).click()
        else:
            desk.press("F1")
        await desk.until(lambda: desk.shell.window.place() == "help")
        screen = desk.shell.window.current()
        assert isinstance(screen, Help) and screen.page == page


async def test_a_fault_leads_to_what_the_documentation_says_of_it(desk: Desk) -> None:
    desk.bridge.refused.emit(Problem(code=FaultCode.ENGINE_FORBIDDEN))
    await desk.settle()
    learn = next(b for b in desk.shell.window.findChildren(QAbstractButton) if b.text() == "Learn more")
    learn.click()
    screen = desk.shell.window.current()
    assert isinstance(screen, Help) and screen.page == "troubleshooting.md"
    await desk.until(lambda: screen.browser.verticalScrollBar().value() > 0)


async def test_an_upgrade_beneath_the_running_program_is_said_and_it_starts_anew_after_its_tasks(
    desk: Desk,
) -> None:
    desk.node.picture = replace(desk.node.picture, blocker=Problem(code=FaultCode.PROGRAM_REPLACED))
    words = "Finish tasks, then restart"

    def offered() -> QAbstractButton | None:
        buttons = desk.shell.window.findChildren(QAbstractButton)
        return next((button for button in buttons if button.text() == words), None)

    await desk.until(offered)
    assert not desk.shell.again
    button = offered()
    assert button is not None
    button.click()
    await desk.settle()
    asked = desk.node.asked[-1]
    assert desk.shell.again and isinstance(asked, FinishAsked) and asked.quit_after


async def test_the_keys_are_listed(desk: Desk) -> None:
    desk.press("?")
    await desk.until(lambda: any(w.accessibleName() == "Keys" for w in QApplication.topLevelWidgets()))
    dialog = next(w for w in QApplication.topLevelWidgets() if w.accessibleName() == "Keys")
    dialog.close()


async def test_the_language_changes_in_place(desk: Desk) -> None:
    use_language(resources() / "locale", PSEUDO)
    try:
        desk.shell.use_language()
        await desk.settle()
        assert desk.shell.window.rail.items["home"].text() not in ("", "Home")
    finally:
        use_language(resources() / "locale", "en")


async def test_a_folder_dropped_anywhere_on_the_window_is_sent_and_shown(desk: Desk, tmp_path: Path) -> None:
    window = desk.shell.window
    window.open("home")
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / "a-task"))])
    held = (Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    enter, drop = QDragEnterEvent(QPoint(300, 300), *held), QDropEvent(QPointF(300, 300), *held)
    enter.ignore()
    QApplication.sendEvent(window, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(window, drop)
    assert desk.node.sending.asked == [("send", str(tmp_path / "a-task"))]
    assert window.place() == "pools"
