"""The words for a problem, from the faults table through the catalogue."""

from __future__ import annotations

from hivemind_worker.model.faults import FAULTS
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.catalogue import mark, translate

PARTICULARS = (
    mark("it had not started yet"),
    mark("it was running"),
    mark("it was paused"),
    mark("the worker was shut down"),
    mark("it ended without saying how"),
    mark("the computer had no memory left"),
    mark("the computer was needed for too long"),
    mark("the journal cannot be written"),
    mark("without a reason"),
    mark("it had not been sent yet"),
    mark("it became shorter while being read"),
    mark("it was broken off"),
    mark("installing its packages was broken off"),
    mark("the package index could not be reached"),
    mark("the program was ended with it"),
    mark("its container is gone"),
    mark("it has been closed"),
    mark("the image is looked at"),
    mark("no interpreter is installed"),
    mark("it is not ready"),
    mark("what it held of this task"),
    mark("Docker is chosen and switched off"),
    mark("this takes a minute at most"),
)
"""Particulars that are sentences of ours, by which a problem is told; others are names and numbers."""


def words(problem: Problem) -> tuple[str, str]:
    """What happened, and what to do about it, as two sentences."""
    fault = FAULTS[problem.code]
    about = translate(problem.about or "unknown")
    return translate(fault.sentence, about=about), translate(fault.next_step, about=about)


def problem_row(problem: Problem | None) -> dict[str, str] | None:
    """A problem as the API shows it; None stays None."""
    if problem is None:
        return None
    sentence, next_step = words(problem)
    return {"code": problem.code.value, "about": problem.about, "sentence": sentence, "next_step": next_step}
