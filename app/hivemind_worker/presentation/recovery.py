"""What the last life of the worker left behind, in one sentence: what was found, kept and lost, and why."""

from __future__ import annotations

from collections.abc import Sequence

from hivemind_worker.model.task import Delivery, Task
from hivemind_worker.presentation.catalogue import translate, translate_many

NAMED = 3
NAME_CHARS = 40


def recovery_words(open_tasks: Sequence[Task], journal_trouble: str) -> str:
    """Empty when the last run ended in order and owes nothing."""
    cut_off = [task for task in open_tasks if not task.state.has_ended]
    unpacked = [task for task in open_tasks if task.state.has_ended and task.delivery is Delivery.NONE]
    owed = [task for task in open_tasks if task.state.has_ended and task.delivery is not Delivery.NONE]
    parts = [_journal(journal_trouble), _cut_off(cut_off), _unpacked(unpacked), _owed(owed)]
    found = "; ".join(part for part in parts if part)
    return translate("Found after the last run: {found}.", found=found) if found else ""


def _journal(trouble: str) -> str:
    if not trouble:
        return ""
    return translate("the journal was damaged and set aside ({reason})", reason=trouble)


def _cut_off(tasks: Sequence[Task]) -> str:
    if not tasks:
        return ""
    return translate_many(
        "{count} task was cut off ({names}): what it had written goes to the pool, it is not run again",
        "{count} tasks were cut off ({names}): what they wrote goes to the pool, they are not run again",
        len(tasks), names=_names(tasks),
    )  # fmt: skip


def _unpacked(tasks: Sequence[Task]) -> str:
    if not tasks:
        return ""
    return translate_many(
        "{count} task had ended ({names}): its result is packed now and lost nothing",
        "{count} tasks had ended ({names}): their results are packed now and lost nothing",
        len(tasks), names=_names(tasks),
    )  # fmt: skip


def _owed(tasks: Sequence[Task]) -> str:
    if not tasks:
        return ""
    return translate_many(
        "{count} finished result was not delivered yet ({names}): it is sent now",
        "{count} finished results were not delivered yet ({names}): they are sent now",
        len(tasks), names=_names(tasks),
    )  # fmt: skip


def _names(tasks: Sequence[Task]) -> str:
    """The first few ids, quoted: they are the requester's free text."""
    names = [_short(ascii(task.task_id)) for task in tasks[:NAMED]]
    return ", ".join([*names, "…"] if len(tasks) > NAMED else names)


def _short(name: str) -> str:
    return name if len(name) <= NAME_CHARS else f"{name[:NAME_CHARS]}…"
