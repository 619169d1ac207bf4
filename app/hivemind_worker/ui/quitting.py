"""Quitting with a choice: finish what runs, stop now and lose it, or stay in the background."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QWidget

from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.health import unended
from hivemind_worker.presentation.window_words import quit_question
from hivemind_worker.ui import wishes
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.dialogs import Choice, Question

FINISH, STOP, STAY = "finish", "stop", "stay"


def ask_to_quit(
    parent: QWidget | None, bridge: Bridge, *, quit_now: Callable[[], object], stay: Callable[[], object]
) -> Question:
    """Ask; nothing ends before an answer, and putting the question away changes nothing."""
    title, text = quit_question(bridge.snapshot)
    runs = bridge.snapshot is not None and bool(unended(bridge.snapshot))

    def answered(key: str) -> None:
        if key == FINISH:
            wishes.finish(bridge, quit_after=True)
        elif key == STOP:
            quit_now()
        elif key == STAY:
            stay()

    question = Question(parent, title, text, _choices(runs), answered)
    question.open()
    return question


def _choices(runs: bool) -> list[Choice]:
    stay = Choice(key=STAY, label=_("Keep in background"))
    if not runs:
        return [Choice(key=STOP, label=_("Quit"), kind="primary"), stay]
    return [
        Choice(key=FINISH, label=_("Finish, then quit"), icon="finish", kind="primary",
               note=_("No new task is taken; the program ends after the last one.")),
        Choice(key=STOP, label=_("Stop now"), icon="stop", kind="danger",
               note=_("The tasks are ended, and their output so far goes to the pool.")),
        stay,
    ]  # fmt: skip
