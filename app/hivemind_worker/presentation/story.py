"""What happened to a task, told line by line. Names of events come from the journal."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.history import StoryLine
from hivemind_worker.model.task import Phase, Problem, StopReason, Task
from hivemind_worker.presentation.amounts import iso
from hivemind_worker.presentation.catalogue import _, mark
from hivemind_worker.presentation.faults import words
from hivemind_worker.presentation.page_tasks import RUNTIMES, STATES
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
STOPPED_BY = {
    StopReason.POOL: mark("by the pool"),
    StopReason.OWNER: mark("by you"),
    StopReason.SHUTDOWN: mark("as the worker ends"),
    StopReason.PAUSE: mark("as its pause took too long"),
    StopReason.MEMORY: mark("as the computer had no memory left"),
}
PREPARED_BY = {
    Phase.UNPACKING: mark("unpacking"),
    Phase.PULLING: mark("fetching"),
    Phase.INSTALLING: mark("installing"),
}
PARTICULARS = {
    "pause": mark("to wait alone"),
    "resume": mark("to go on"),
    "only to return the reason for its refusal": mark("only to return the reason for its refusal"),
    "its result is sent again": mark("its result is sent again"),
    "its result is packed now": mark("its result is packed now"),
    "its result is sent now": mark("its result is sent now"),
    "its logs; the whole result stays in its folder here": mark(
        "its logs; the whole result stays in its folder here"
    ),
    **{f"by {reason.value}": said for reason, said in STOPPED_BY.items()},
    **{state.value: said for state, (_tone, _icon, said) in STATES.items()},
}
"""What the journal writes beside an event, and how it is said."""
_BYTES = re.compile(r"(archive of )?(\d+) bytes")


def story_sentence(line: StoryLine, problem: Problem | None = None) -> str:
    """One line in words; an event without words of its own is shown by its name.

    `problem` is the task's own: its particulars are told where a line names it.
    """
    sentence = _(SENTENCES.get(line.what, line.what))
    particulars = _particulars(line.text, problem)
    return f"{sentence}: {particulars}" if particulars else sentence


def _particulars(text: str, problem: Problem | None) -> str:
    if text in PARTICULARS:
        return _(PARTICULARS[text])
    if text in set(FaultCode):
        return _fault(FaultCode(text), problem)
    if size := _BYTES.fullmatch(text):
        return _("archive of {count} bytes", count=size[2]) if size[1] else _("{count} bytes", count=size[2])
    first, _space, rest = text.partition(" ")
    if first in PREPARED_BY:
        return f"{_(PREPARED_BY[Phase(first)])} {rest}".strip()
    if first in RUNTIMES:
        return f"{_(RUNTIMES[first][1])} {rest}".strip()
    return _(text)


def _fault(code: FaultCode, problem: Problem | None) -> str:
    known = problem is not None and problem.code is code
    about = problem.about if known and problem is not None else ""
    return words(Problem(code=code, about=about))[0].rstrip(".。")


def story_report(task: Task, lines: Sequence[StoryLine], now_s: float, folder: str) -> dict[str, object]:
    """A task's story as the API answers it: the row, where it lies, and what happened, oldest first."""
    return {
        "task": v1_task(task, now_s),
        "where": task.where,
        "folder": folder,
        "lines": [
            {"at": iso(line.at_s), "what": line.what, "text": line.text,
             "sentence": story_sentence(line, task.problem)}
            for line in lines
        ],
    }  # fmt: skip
