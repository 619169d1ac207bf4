"""What the pool is offered, from the kept figures of the past hours: binds `core.offer` to the history."""

from __future__ import annotations

from collections.abc import Sequence

from hivemind_worker.core.offer import HOURS, Use, offer
from hivemind_worker.model.capacity import Offer
from hivemind_worker.model.metrics import COLUMNS, Point
from hivemind_worker.model.resources import Resources

__all__ = ["HOURS", "offering", "uses"]

CPU, MEMORY = COLUMNS.index("cpu_percent"), COLUMNS.index("memory_percent")


def uses(points: Sequence[Point]) -> tuple[Use, ...]:
    """The hours for which both figures are known, oldest first."""
    return tuple(
        Use(cpu_percent=cpu, memory_percent=memory)
        for point in points
        if (cpu := point.values[CPU]) is not None and (memory := point.values[MEMORY]) is not None
    )


def offering(lent: Resources, one_core: float | None, hours: Sequence[Point]) -> Offer:
    """What to offer of what is lent; `hours` are the points of the past hours, oldest first."""
    return offer(lent, one_core, uses(hours))
