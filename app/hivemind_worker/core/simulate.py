"""Rules over a trace of facts, by the very function that judges live: previews and replays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from hivemind_worker.core.judge import Memory, judge
from hivemind_worker.model.facts import Condition, RuleFacts
from hivemind_worker.model.judgement import Follows, Judgement, RuleCode
from hivemind_worker.model.preview import Moment, Preview, Span
from hivemind_worker.model.rules import Rules


def judgements(
    rules: Rules, trace: Iterable[Moment], conditions: tuple[Condition, ...] = ()
) -> Iterable[Judgement]:
    """What the rules say at each moment, oldest first."""
    memory = Memory()
    for moment in trace:
        judgement, memory = judge(rules, moment.facts, memory, at_s=moment.at_s, conditions=conditions)
        yield judgement


LONGEST_S = 1800.0
"""A moment stands for no more than this: after it the worker did not run."""


def simulate(
    rules: Rules,
    trace: Sequence[Moment],
    conditions: tuple[Condition, ...] = (),
    longest_s: float = LONGEST_S,
) -> Preview:
    """The picture of the trace; each moment lasts until the next, the last one as long as that before it."""
    if len(trace) < 2:
        return Preview()
    ends = [moment.at_s for moment in trace[1:]]
    ends.append(trace[-1].at_s + min(longest_s, trace[-1].at_s - trace[-2].at_s))
    spans: list[Span] = []
    for judgement, to_s in zip(judgements(rules, trace, conditions), ends, strict=True):
        known_s = min(to_s, judgement.at_s + longest_s)
        cause = freezing(judgement)
        _add(spans, Span(from_s=judgement.at_s, to_s=known_s, level=judgement.level, cause=cause))
        if to_s > known_s:
            _add(spans, Span(from_s=known_s, to_s=to_s, level=judgement.level, cause=None, here=False))
    return Preview(spans=tuple(spans))


def _add(spans: list[Span], span: Span) -> None:
    last = spans[-1] if spans else None
    if last is not None and (last.level, last.cause, last.here) == (span.level, span.cause, span.here):
        spans[-1] = replace(last, to_s=span.to_s)
    else:
        spans.append(span)


def freezing(judgement: Judgement) -> RuleCode | None:
    """The first rule for which nothing runs."""
    rules = judgement.holding(Follows.FREEZE)
    return rules[0].code if rules else None


# --- what is usual -------------------------------------------------------------------------------

PREVIEW_S = 86400.0
PREVIEW_STEP_S = 300.0
AT_WORK_S = 1800.0
_MIDDLE = ("idle_s", "battery_percent", "others_cpu_percent", "cpu_celsius", "gpu_celsius")
_MOSTLY = ("on_battery", "power_saver", "full_screen", "metered")


def usual_day(history: Sequence[Moment], now: Moment) -> tuple[Moment, ...]:
    """The next 24 hours, if they go as the last days did at the same time by the clock on the wall."""
    zone = now.facts.zone
    by_slot: dict[int, list[RuleFacts]] = {}
    for moment in history:
        by_slot.setdefault(_slot_of_day(moment.at_s + zone.offset_at(moment.at_s)), []).append(moment.facts)
    usual = {slot: _usual(facts) for slot, facts in by_slot.items()}
    day = [now]
    for number in range(1, int(PREVIEW_S // PREVIEW_STEP_S)):
        passed_s = number * PREVIEW_STEP_S
        at_s = now.at_s + passed_s
        known = usual.get(_slot_of_day(at_s + zone.offset_at(at_s)), _untouched(now.facts, passed_s))
        facts = replace(now.facts, steady_s=now.facts.steady_s + passed_s, **known)
        day.append(Moment(at_s=at_s, facts=facts))
    return tuple(day)


def _untouched(facts: RuleFacts, passed_s: float) -> dict[str, Any]:
    """Where nothing is remembered: nobody comes, and what programs do now they do for half an hour."""
    found: dict[str, Any] = {} if facts.idle_s is None else {"idle_s": facts.idle_s + passed_s}
    if passed_s >= AT_WORK_S:
        at_rest = {"others_cpu_percent": 0.0, "programs": frozenset[str](), "full_screen": False}
        found |= {name: value for name, value in at_rest.items() if getattr(facts, name) is not None}
    return found


def _slot_of_day(local_s: float) -> int:
    return int(local_s % 86400 // 1800)


def _usual(facts: Sequence[RuleFacts]) -> dict[str, Any]:
    """The middle of what was measured, and what held mostly."""
    found: dict[str, Any] = {}
    for name in _MIDDLE:
        values = sorted(value for each in facts if (value := getattr(each, name)) is not None)
        found[name] = values[len(values) // 2] if values else None
    for name in _MOSTLY:
        known = [value for each in facts if (value := getattr(each, name)) is not None]
        found[name] = sum(known) * 2 > len(known) if known else None
    return found
