"""What people read holds no code of the program's: verdicts, faults, stories, notices, in each language.
And in window and dashboard each cause leads on by a button or a place, never by a command to type."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import hivemind_worker
from hivemind_worker.core.transitions import TABLE
from hivemind_worker.model.faults import FAULTS, FaultCode
from hivemind_worker.model.history import StoryLine
from hivemind_worker.model.rules import rule_rows
from hivemind_worker.model.settings import Settings, rows
from hivemind_worker.model.snapshot import FailureRun, Snapshot
from hivemind_worker.model.task import Phase, Problem, StopReason, TaskState
from hivemind_worker.presentation.catalogue import LANGUAGES
from hivemind_worker.presentation.faults import words
from hivemind_worker.presentation.health import verdicts
from hivemind_worker.presentation.notices import Notices
from hivemind_worker.presentation.page_facts import findings
from hivemind_worker.presentation.page_words import (
    COMMAND,
    PAGES,
    PLACE_NAMES,
    Cause,
    buttons,
    causes,
    headline,
    subline,
)
from hivemind_worker.presentation.story import SENTENCES, story_sentence
from hivemind_worker.presentation.window_words import nothing_here, strip, tray_line
from tests.fakes.node import make_task
from tests.screens.stand import language
from tests.screens.verdict_scenes import scenes

CODE = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)+|[A-Z0-9]+(?:_[A-Z0-9]+)+|[A-Z]{5,}|(?:[A-Z][a-z]+){2,}")
"""snake_case, UPPER_CASE, SHOUTED, CamelCase."""
NAMES = {
    *(row.name for row in (*rows(), *rule_rows())), *(row.metadata.get("env") for row in rows()),
    "HIVEMIND_HOME", "HiveMind", "WireGuard",
}  # fmt: skip
"""What the owner types himself, and names."""
SCENES = scenes()
IMAGE = "registry.example/tiles:2.1"


def held_back_by(code: str, about: str) -> Snapshot:
    quiet = SCENES["waiting_for_work"]
    run = FailureRun(image=IMAGE, count=3, last_code=code, last_about=about, since_s=1.0, until_s=301.0)
    return replace(quiet, node=replace(quiet.node, failures=(run,)))


def codes_in(text: str) -> list[str]:
    return [found for found in CODE.findall(text) if found not in NAMES]


def said_of(snapshot: Snapshot) -> Iterator[str]:
    """Every sentence about this picture, in all front ends."""
    for verdict in verdicts(snapshot):
        yield from (verdict.text, verdict.action)
    for cause in shown_causes(snapshot):
        yield from (cause.text, cause.action, cause.look.word)
    yield from (button.label for button in buttons(snapshot))
    yield from (subline(snapshot, None), tray_line(snapshot), strip(snapshot).reason, strip(snapshot).more)
    yield from nothing_here(0, False, snapshot)
    for fact in findings(snapshot):
        yield from (fact.text, fact.next_step)
    for notice in Notices().look(snapshot, (), (), Settings()):
        yield from (notice.title, notice.body)


def shown_causes(snapshot: Snapshot) -> Iterator[Cause]:
    """In the window, then on the dashboard."""
    for places in (tuple(PLACE_NAMES), PAGES):
        yield headline(snapshot, places)
        yield from causes(snapshot, Settings(), places)


@pytest.mark.parametrize("code", LANGUAGES)
def test_no_verdict_shows_a_code(code: str) -> None:
    with language(code):
        found = {name: codes_in(text) for name, scene in SCENES.items() for text in said_of(scene)}
    assert {name: codes for name, codes in found.items() if codes} == {}


@pytest.mark.parametrize("code", LANGUAGES)
def test_an_image_that_is_held_back_is_told_with_its_cause_in_words_whatever_the_fault(code: str) -> None:
    with language(code):
        for fault in FaultCode:
            snapshot = held_back_by(fault.value, "7")
            texts = list(said_of(snapshot))
            assert [codes_in(text) for text in texts if codes_in(text)] == [], fault
            cause = words(Problem(code=fault, about="7"))[0]
            assert any(IMAGE in text and cause in text for text in texts), fault
        unknown = next(text for text in said_of(held_back_by("from_a_later_version", "")))
    assert IMAGE in unknown
    assert codes_in(unknown) == []


@pytest.mark.parametrize("code", LANGUAGES)
def test_no_fault_shows_a_code(code: str) -> None:
    with language(code):
        for fault in FAULTS:
            for text in words(Problem(code=fault, about="7")):
                assert codes_in(text) == [], fault


def events_told() -> set[str]:
    """The names under which lines are written: those of the table, and literal ones."""
    core = Path(hivemind_worker.__file__).parent / "core"
    found = {kind.__name__ for kind in TABLE}
    for file in core.glob("*.py"):
        for call in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") in ("put", "take"):
                found |= {str(each.value) for each in call.args if isinstance(each, ast.Constant)}
    return {name for name in found if re.fullmatch(r"(?:[A-Z][a-z]+)+", name)}


def test_every_event_of_a_story_has_its_sentence() -> None:
    assert len(events_told()) > 15
    assert events_told() - SENTENCES.keys() == set()


def lines_of_stories() -> Iterator[tuple[str, str]]:
    yield from (("RunEnded", fault.value) for fault in FaultCode)
    yield from (("TaskRefusedLate", fault.value) for fault in FaultCode)
    yield from (("RunEnded", state.value) for state in TaskState if state.has_ended)
    yield from (("StopAsked", f"by {reason.value}") for reason in StopReason)
    yield from (("RunPrepared", f"{phase.value} it") for phase in Phase if phase)
    yield from (("RunStarted", f"{runtime} of this worker") for runtime in ("wasm", "docker"))
    yield from (("TaskPauseAsked", wish) for wish in ("pause", "resume"))


@pytest.mark.parametrize("code", LANGUAGES)
def test_no_line_of_a_story_shows_a_code(code: str) -> None:
    with language(code):
        for what, text in lines_of_stories():
            said = story_sentence(StoryLine(key=make_task("a").key, at_s=1.0, what=what, text=text))
            assert codes_in(said) == [], said
            assert not re.search(r"\b(wasm|by (shutdown|memory|owner))\b", said), said


def test_the_end_of_a_task_is_told_with_its_particulars() -> None:
    problem = Problem(code=FaultCode.EXIT_CODE, about="3")
    line = StoryLine(key=make_task("a").key, at_s=1.0, what="RunEnded", text="exit_code")
    assert story_sentence(line, problem) == (
        "Its program has ended: The task's program ended with exit code 3"
    )


def told_by_command(snapshot: Snapshot) -> list[str]:
    shown = [text for cause in shown_causes(snapshot) for text in (cause.text, cause.action)]
    said = [strip(snapshot).more, *nothing_here(0, False, snapshot)]
    said += [notice.body for notice in Notices().look(snapshot, (), (), Settings())]
    return [text for text in (*shown, *said) if COMMAND in text]


@pytest.mark.parametrize("code", LANGUAGES)
def test_window_and_dashboard_name_no_command(code: str) -> None:
    with language(code):
        found = {name: told_by_command(scene) for name, scene in SCENES.items()}
    assert {name: texts for name, texts in found.items() if texts} == {}


def test_what_the_command_line_does_by_a_command_is_a_place_or_a_button_elsewhere() -> None:
    for name, scene in SCENES.items():
        by_command = [verdict for verdict in verdicts(scene)[1:] if COMMAND in verdict.action]
        for places in (tuple(PLACE_NAMES), PAGES):
            others = causes(scene, Settings(), places)
            for verdict in by_command:
                cause = next(each for each in others if each.text == verdict.text)
                pressed = {"resume", "retry"} & {button.action for button in buttons(scene)}
                assert cause.way or cause.press or pressed, (name, verdict.code)


def test_a_place_of_the_dashboard_is_a_page_that_is_there() -> None:
    from hivemind_worker.web.pages import PLACES as PAGES_THERE

    assert set(PAGES) <= {place.path for place in PAGES_THERE}


def test_particulars_that_are_our_own_words_are_translated() -> None:
    with language("zh_TW"):
        assert "it was running" not in words(Problem(code=FaultCode.INTERRUPTED, about="it was running"))[0]
