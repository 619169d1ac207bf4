"""How fast the computer was given back: from the first input to all tasks frozen, each time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Yielding:
    """One time: when, how many tasks, and how long it took from the input on."""

    at_s: float
    tasks: int
    took_ms: float


STEPS_MS = (50, 120, 250, 500, 1200)
"""Upper ends of the classes that times are counted in; one more takes those above the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class YieldTimes:
    """The distribution in milliseconds; None while there is nothing to tell. `counts`: by STEPS_MS."""

    count: int = 0
    median_ms: float | None = None
    p95_ms: float | None = None
    longest_ms: float | None = None
    counts: tuple[int, ...] = (0,) * (len(STEPS_MS) + 1)
    last: Yielding | None = None


def yield_times(yieldings: Sequence[Yielding]) -> YieldTimes:
    """The distribution of these, oldest first."""
    if not yieldings:
        return YieldTimes()
    ordered = sorted(each.took_ms for each in yieldings)
    return YieldTimes(
        count=len(ordered), median_ms=_quantile(ordered, 0.5), p95_ms=_quantile(ordered, 0.95),
        longest_ms=ordered[-1], counts=_counted(ordered), last=yieldings[-1],
    )  # fmt: skip


def _counted(ordered: Sequence[float]) -> tuple[int, ...]:
    ends = [bisect_right(ordered, step) for step in STEPS_MS] + [len(ordered)]
    return tuple(end - before for before, end in pairwise([0, *ends]))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share does not exceed."""
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]
