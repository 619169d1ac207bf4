"""Rules over a trace of facts, by the very function that judges live: previews and replays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hivemind_worker.core.judge import Memory, judge
from hivemind_worker.model.facts import Condition
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


def simulate(rules: Rules, trace: Sequence[Moment], conditions: tuple[Condition, ...] = ()) -> Preview:
    """The picture of the trace; each moment lasts until the next, the last one as long as that before it."""
    if len(trace) < 2:
        return Preview()
    ends = [moment.at_s for moment in trace[1:]]
    ends.append(2 * trace[-1].at_s - trace[-2].at_s)
    spans: list[Span] = []
    for judgement, to_s in zip(judgements(rules, trace, conditions), ends, strict=True):
        _extend(spans, judgement, to_s)
    return Preview(spans=tuple(spans))


def _extend(spans: list[Span], judgement: Judgement, to_s: float) -> None:
    cause = freezing(judgement)
    last = spans[-1] if spans else None
    if last is not None and (last.level, last.cause) == (judgement.level, cause):
        spans[-1] = Span(from_s=last.from_s, to_s=to_s, level=last.level, cause=cause)
    else:
        spans.append(Span(from_s=judgement.at_s, to_s=to_s, level=judgement.level, cause=cause))


def freezing(judgement: Judgement) -> RuleCode | None:
    """The first rule for which nothing runs."""
    rules = judgement.holding(Follows.FREEZE)
    return rules[0].code if rules else None
