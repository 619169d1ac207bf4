"""What the last life of the worker left behind, in one sentence for the first status."""

from __future__ import annotations

from collections.abc import Sequence

from hivemind_worker.model.task import Task
from hivemind_worker.presentation.catalogue import translate


def recovery_words(open_tasks: Sequence[Task], journal_trouble: str) -> str:
    """Empty when the last run ended in order."""
    cut_off = sum(not task.state.has_ended for task in open_tasks)
    owed = len(open_tasks) - cut_off
    parts = []
    if journal_trouble:
        parts.append(translate("the journal was damaged and set aside ({reason})", reason=journal_trouble))
    if cut_off:
        parts.append(
            translate("{count} unfinished, reported to the pool with what they had written", count=cut_off)
        )
    if owed:
        parts.append(translate("{count} finished with a result still to deliver", count=owed))
    return translate("Found after the last run: {found}.", found="; ".join(parts)) if parts else ""
