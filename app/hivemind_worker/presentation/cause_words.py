"""The sentence of a cause by its code and values: of this machine, and of others that told them from afar.

What came from afar is checked value by value. Where a code is not known here, or a value is not what the
sentence needs, there is none, and that machine's own words are shown. Counterpart: presentation.health.
"""

from __future__ import annotations

from collections.abc import Callable

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.fleet import Value, Values
from hivemind_worker.model.judgement import Follows, RuleCode, RuleView
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.amounts import duration_words
from hivemind_worker.presentation.catalogue import _, translate_many
from hivemind_worker.presentation.faults import words as fault_words
from hivemind_worker.presentation.plain_text import shown_line
from hivemind_worker.presentation.rule_words import WORDS, held_back_words

Sentence = Callable[[Values, float | None], str]
"""Of the values, and of the seconds that are left until the cause ends by itself."""


def cause_words(code: str, values: Values, left_s: float | None = None) -> str:
    """The sentence.

    Raises:
        LookupError: the code is unknown, or a value is not there.
        ValueError: a value is none of its kind.
    """
    if code in SENTENCES:
        return SENTENCES[code](values, left_s)
    if code in set(RuleCode):
        return WORDS[RuleCode(code)].text(_rule(RuleCode(code), values))
    return fault_words(Problem(code=FaultCode(_name(values, "fault")), about=_name(values, "about")))[0]


def words_from_afar(code: str, values: Values, left_s: float | None) -> str | None:
    """The same of another machine's cause; None when its own words must do."""
    try:
        return cause_words(code, values, left_s)
    except (LookupError, ValueError):
        return None


def _count(values: Values, name: str) -> int:
    found = values[name]
    if not isinstance(found, int) or found < 0:
        raise ValueError(f"{name} is no count")
    return found


def _name(values: Values, name: str) -> str:
    found = values[name]
    if not isinstance(found, str):
        raise ValueError(f"{name} is no text")
    return shown_line(found)


def _figure(value: Value) -> float | None:
    if isinstance(value, str):
        raise ValueError("a text is no figure")
    return value


def _rule(code: RuleCode, values: Values) -> RuleView:
    value, limit = _figure(values["value"]), _figure(values["limit"])
    return RuleView(
        code, on=True, follows=Follows.NO_NEW, known=True, blocks=True, value=value, limit=limit,
        about=_name(values, "about"),
    )  # fmt: skip


def _time(left_s: float | None) -> str:
    if left_s is None:
        raise ValueError("it has no end")
    return duration_words(left_s)


def _working(values: Values, _left_s: float | None) -> str:
    if running := _count(values, "running"):
        return translate_many("Working on {count} task.", "Working on {count} tasks.", running)
    return translate_many("Starting {count} task.", "Starting {count} tasks.", _count(values, "starting"))


def _paused_elsewhere(values: Values, left_s: float | None) -> str:
    by = _name(values, "by")
    if left_s is None:
        return _("Paused from another of your machines ({name}): no task runs until you resume.", name=by)
    return _(
        "Paused from another of your machines ({name}): work resumes in {time}.", name=by, time=_time(left_s)
    )


def _task_paused(values: Values, _left_s: float | None) -> str:
    return translate_many(
        "{count} task is paused by you, alone.", "{count} tasks are paused by you, one by one.",
        _count(values, "count"),
    )  # fmt: skip


def _finishing(values: Values, _left_s: float | None) -> str:
    left, by = _count(values, "count"), _name(values, "by")
    if values["quits"] is True:
        return translate_many(
            "Finishing: no new task is taken; the worker ends after the last one.",
            "Finishing: no new task is taken; the worker ends after these {count}.",
            left,
        )
    if by:
        return translate_many(
            "Finishing, as asked from another of your machines ({name}): it pauses after the last task.",
            "Finishing, as asked from another of your machines ({name}): it pauses after these {count}.",
            left, name=by,
        )  # fmt: skip
    return translate_many(
        "Finishing: no new task is taken; it pauses after the last one.",
        "Finishing: no new task is taken; it pauses after these {count}.",
        left,
    )


def _held_back(values: Values, _left_s: float | None) -> str:
    return held_back_words(
        _count(values, "count"), _name(values, "image"), _name(values, "last_code"), _name(values, "about")
    )[1]


SENTENCES: dict[str, Sentence] = {
    "stopping": lambda _values, _left_s: _("The worker is stopping."),
    "working": _working,
    "finishing": _finishing,
    "paused": lambda _values, _left_s: _("Paused: no task runs until you resume."),
    "snoozed": lambda _values, left_s: _("Snoozed: work resumes in {time}.", time=_time(left_s)),
    "paused_elsewhere": _paused_elsewhere,
    "task_paused": _task_paused,
    "image_held_back": _held_back,
    "connecting": lambda values, _left_s: _(
        "Connecting to the pool at {address}.", address=_name(values, "pool")
    ),
    "loopback_only": lambda values, _left_s: _(
        "The pool at {pool} cannot send tasks here: only this computer reaches {own}.",
        pool=_name(values, "pool"),
        own=_name(values, "own"),
    ),
    "waiting_for_work": lambda values, _left_s: _(
        "Connected to {pool}. Waiting for work.", pool=_name(values, "pool")
    ),
}
