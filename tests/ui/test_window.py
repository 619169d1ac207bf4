"""The window as a whole: places, strip, keys, closing and quitting, bad days."""

from __future__ import annotations

from dataclasses import replace

from hivemind_worker.model.events import FinishAsked, PauseAsked, ResumeAsked
from hivemind_worker.model.snapshot import Mode
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
