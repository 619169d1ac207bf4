"""How much the pool is offered: by the score, and 10 % more while the computer is little used.

The original documentation asks for the latter. It raises the offer alone, never the ledger, and never over
what is lent: tasks beyond that would only be refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from hivemind_worker.model.capacity import Offer, OfferReason
from hivemind_worker.model.resources import CPU_SCORE_PER_CORE, Resources

LITTLE_PERCENT = 70.0
MORE = 1.1
HOURS = 6


class Use(NamedTuple):
    """The means of one past hour, in percent of the whole computer."""

    cpu_percent: float
    memory_percent: float


def offer(lent: Resources, one_core: float | None, hours: Sequence[Use]) -> Offer:
    """What to offer of what is lent, and why. `one_core`: the score of a core, None before it is measured."""
    cpu = _mean([hour.cpu_percent for hour in hours[-HOURS:]])
    memory = _mean([hour.memory_percent for hour in hours[-HOURS:]])
    known = Offer(
        offered=lent, lent=lent, one_core=one_core, cpu_percent=cpu, memory_percent=memory,
        hours=len(hours[-HOURS:]),
    )  # fmt: skip
    if one_core is None:
        return known
    by_score = _by_score(lent, one_core)
    if by_score >= lent.cpu:
        return replace(known, reason=OfferReason.WHOLE)
    if cpu is None or memory is None:
        return _with(known, by_score, OfferReason.NO_HISTORY)
    if cpu < LITTLE_PERCENT and memory < LITTLE_PERCENT:
        return _with(known, min(lent.cpu, by_score * MORE), OfferReason.RAISED)
    return _with(known, by_score, OfferReason.BUSY)


def _by_score(lent: Resources, one_core: float) -> float:
    """Slower cores are worth less; one whole core stays on offer, or the usual task would never fit."""
    worth = lent.cpu * one_core / CPU_SCORE_PER_CORE
    return min(lent.cpu, max(worth, min(lent.cpu, CPU_SCORE_PER_CORE)))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _with(known: Offer, cpu: float, reason: OfferReason) -> Offer:
    return replace(known, offered=replace(known.offered, cpu=cpu), reason=reason)
