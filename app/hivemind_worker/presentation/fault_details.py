"""All that is known of one fault, as a text to keep or to send to somebody who helps. Pure.

What is private is taken out by the caller, who knows the names: see `engine.face.CareFace.redacted`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hivemind_worker import __version__
from hivemind_worker.model.checkup import Check
from hivemind_worker.model.task import Problem, Task
from hivemind_worker.presentation.amounts import iso
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.faults import words
from hivemind_worker.presentation.opening_words import PROGRAM
from hivemind_worker.presentation.page_words import Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One fault as it was told: its stable code, when (UTC epoch seconds), its cause, what to do."""

    code: str
    at_s: float
    text: str
    next_step: str = ""
    about: str = ""
    where: str = ""


def problem_told(problem: Problem, at_s: float) -> Told:
    """A problem of the faults table."""
    text, next_step = words(problem)
    return Told(code=problem.code.value, at_s=at_s, text=text, next_step=next_step, about=problem.about)


def task_told(task: Task, now_s: float) -> Told | None:
    """Why a task failed or was stopped; None where nothing went wrong."""
    if task.problem is None:
        return None
    told = problem_told(task.problem, task.ended_at_s or now_s)
    where = _("task {task}, {runtime}", task=task.task_id, runtime=task.runtime or _("unknown"))
    return replace(told, where=where)


def check_told(check: Check, at_s: float) -> Told:
    """A finding of Doctor."""
    code = f"{check.name.lower().replace(' ', '_')}: {check.state.value}"
    return Told(code=code, at_s=at_s, text=check.text, next_step=check.next_step, where=check.name)


def cause_told(cause: Cause, now_s: float) -> Told:
    """A line of why the worker does not work."""
    return Told(code=cause.code, at_s=cause.since_s or now_s, text=cause.text, next_step=cause.action)


def details_text(told: Told) -> str:
    """The text, a line for each thing that is known."""
    rows = (
        (_("Code"), told.code),
        (_("When"), iso(told.at_s) or ""),
        (_("Where"), told.where),
        (_("What happened"), told.text),
        (_("Particulars"), told.about),
        (_("What to do"), told.next_step),
        (_("Program"), f"{PROGRAM} {__version__}"),
    )
    return "".join(f"{name}: {text}\n" for name, text in rows if text)
