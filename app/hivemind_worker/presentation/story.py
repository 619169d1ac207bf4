"""What happened to a task, told line by line. Names of events come from the journal."""

from __future__ import annotations

from collections.abc import Sequence

from hivemind_worker.model.history import StoryLine
from hivemind_worker.model.task import Task
from hivemind_worker.presentation.amounts import iso
from hivemind_worker.presentation.catalogue import _, mark
from hivemind_worker.presentation.rows import v1_task

SENTENCES = {
    "TaskAccepted": mark("Accepted from the pool"),
    "TaskRefusedLate": mark("Cannot be run here; its result tells why"),
    "OfferedAgain": mark("Offered again by the pool"),
    "Unpacked": mark("Its files are unpacked"),
    "RunPrepared": mark("Being prepared"),
    "RunStarted": mark("Its program runs"),
    "TaskPaused": mark("Paused"),
    "ClockSet": mark("The clock was set; its pause counts from here"),
    "TaskResumed": mark("Goes on"),
    "TaskPauseAsked": mark("Asked to wait alone, or to go on"),
    "StopAsked": mark("Asked to stop"),
    "RunEnded": mark("Its program has ended"),
    "Interrupted": mark("Cut off by the end of the worker"),
    "Adopted": mark("Still there after a restart of the worker, which follows it again"),
    "RunLost": mark("Nothing was left of it after a restart of the worker"),
    "FoundAgain": mark("Found in the journal after a restart"),
    "ResultPacked": mark("Its result is packed"),
    "ResultDelivered": mark("The pool has its result"),
    "ResultRefused": mark("The pool did not take its result, which is kept here"),
}


def story_sentence(line: StoryLine) -> str:
    """One line in words; an event without words of its own is shown by its name."""
    sentence = _(SENTENCES.get(line.what, line.what))
    return f"{sentence}: {line.text}" if line.text else sentence


def story_report(task: Task, lines: Sequence[StoryLine], now_s: float, folder: str) -> dict[str, object]:
    """A task's story as the API answers it: the row, where it lies, and what happened, oldest first."""
    return {
        "task": v1_task(task, now_s),
        "where": task.where,
        "folder": folder,
        "lines": [
            {"at": iso(line.at_s), "what": line.what, "text": line.text, "sentence": story_sentence(line)}
            for line in lines
        ],
    }
