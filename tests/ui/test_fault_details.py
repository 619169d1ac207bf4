"""Where the window tells a fault, all that is known of it can be opened and copied, less what is private."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QWidget

from hivemind_worker.model.checkup import Check, CheckState
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.snapshot import LinkState
from hivemind_worker.model.task import Problem, TaskState
from hivemind_worker.ui.fault_details import FaultDetails
from tests.fakes.node import NOW_S, make_task
from tests.ui.conftest import Desk


def links(root: QWidget) -> list[QAbstractButton]:
    return [b for b in root.findChildren(QAbstractButton) if b.text() == "Details" and b.isVisible()]


async def copied(desk: Desk, root: QWidget) -> str:
    """What the first of the links below a widget opens, as its Copy puts it on the clipboard."""
    links(root)[0].click()
    found = desk.shell.window.findChildren(FaultDetails)
    assert len(found) == 1
    QGuiApplication.clipboard().setText("")
    found[0].copy.click()
    text = QGuiApplication.clipboard().text()
    assert text == found[0].text.toPlainText()
    found[0].close()
    await desk.until(lambda: not desk.shell.window.findChildren(FaultDetails))
    return text


async def test_a_refusal_has_its_code_its_moment_its_cause_and_its_cure_without_private_words(
    desk: Desk,
) -> None:
    desk.node.care.private = (("/home/mira", "<home>"), ("mira", "<user>"))
    desk.bridge.refused.emit(Problem(code=FaultCode.NO_PERMISSION, about="/home/mira/out: 192.168.7.9"))
    await desk.until(lambda: links(desk.shell.window))
    text = await copied(desk, desk.shell.window)
    assert "Code: no_permission\nWhen: 20" in text
    assert "What happened: " in text and "What to do: " in text and "Program: HiveMind Worker " in text
    assert "Particulars: <home>/out: <address>\n" in text
    assert "mira" not in text and "192.168" not in text


async def test_a_failed_task_has_its_details_in_its_pane(desk: Desk) -> None:
    problem = Problem(code=FaultCode.EXIT_CODE, about="3")
    desk.node.ended = [
        make_task("t-1", TaskState.FAILED, ended_at_s=NOW_S, problem=problem, runtime="docker")
    ]
    screen = desk.shell.window.open("tasks")
    screen.tabs.setCurrentIndex(2)
    await desk.until(lambda: screen.table().model().rowCount() == 1)
    screen.table().selectRow(0)
    screen.open_pane()
    await desk.until(lambda: links(screen.pane.callout))
    text = await copied(desk, screen.pane.callout)
    assert "Code: exit_code\nWhen: " in text
    assert "Where: task t-1, docker" in text


async def test_the_causes_at_home_and_the_findings_of_doctor_have_theirs(desk: Desk) -> None:
    pool = replace(desk.node.picture.pool, link=LinkState.UNREACHABLE)
    desk.node.picture = replace(desk.node.picture, pool=pool)
    home = desk.shell.window.open("home")
    await desk.until(lambda: links(home))
    assert "Code: pool_unreachable" in await copied(desk, home)
    desk.node.care.checks = [
        Check(name="Python", state=CheckState.OK, text="fine"),
        Check(name="Docker", state=CheckState.FAIL, text="It does not answer.", next_step="Start it."),
    ]
    doctor = desk.shell.window.open("doctor")
    await desk.until(lambda: links(doctor))
    assert len(links(doctor)) == 1
    text = await copied(desk, doctor)
    assert "Code: docker: fail" in text and "What to do: Start it.\n" in text


async def test_a_click_on_a_notice_leads_to_the_place_that_tells_more(desk: Desk) -> None:
    said: list[str] = []
    desk.shell.tray.icon.showMessage = lambda title, *_more: said.append(title)
    desk.shell.tray.say("The disk is too full", "", lambda: desk.shell._show_place("doctor"))
    desk.shell.tray.icon.messageClicked.emit()
    assert (said, desk.shell.window.place()) == (["The disk is too full"], "doctor")
