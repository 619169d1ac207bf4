"""The words for a problem, from the faults table through the catalogue."""

from __future__ import annotations

from hivemind_worker.model.faults import FAULTS
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.catalogue import translate


def words(problem: Problem) -> tuple[str, str]:
    """What happened, and what to do about it, as two sentences."""
    fault = FAULTS[problem.code]
    about = problem.about or translate("unknown")
    return translate(fault.sentence, about=about), translate(fault.next_step, about=about)


def problem_row(problem: Problem | None) -> dict[str, str] | None:
    """A problem as the API shows it; None stays None."""
    if problem is None:
        return None
    sentence, next_step = words(problem)
    return {"code": problem.code.value, "about": problem.about, "sentence": sentence, "next_step": next_step}
