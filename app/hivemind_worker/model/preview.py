"""What rules would do, or would have done: the picture of a simulation."""

from __future__ import annotations

from dataclasses import dataclass

from hivemind_worker.model.facts import RuleFacts
from hivemind_worker.model.judgement import RuleCode
from hivemind_worker.model.rules import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One point of a trace: facts that were, or that are usual at this time."""

    at_s: float
    facts: RuleFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A time in which nothing changes. `cause` is the first rule for which nothing runs, None when it may.

    `here` is False for a time of which nothing is known: the worker did not run.
    """

    from_s: float
    to_s: float
    level: Level
    cause: RuleCode | None
    here: bool = True

    @property
    def works(self) -> bool:
        """Whether tasks may run."""
        return self.here and self.cause is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Spans without gaps, oldest first."""

    spans: tuple[Span, ...] = ()

    @property
    def works_s(self) -> float:
        """Seconds in which tasks may run."""
        return sum(span.to_s - span.from_s for span in self.spans if span.works)

    @property
    def whole_s(self) -> float:
        """Seconds that the picture covers."""
        return self.spans[-1].to_s - self.spans[0].from_s if self.spans else 0.0

    @property
    def pauses(self) -> int:
        """How often work would stop that ran before."""
        pairs = zip(self.spans, self.spans[1:], strict=False)
        return sum(before.works and after.here and not after.works for before, after in pairs)
