"""How far back a graph looks, and which points it is drawn from."""

from __future__ import annotations

from dataclasses import dataclass

from hivemind_worker.model.metrics import Step
from hivemind_worker.presentation.amounts import DAY_S, HOUR_S, MINUTE_S
from hivemind_worker.presentation.catalogue import mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A stretch of time that ends now."""

    name: str
    title: str
    length_s: int
    step: Step


RANGES = {
    "1m": Range(name="1m", title=mark("Last minute"), length_s=MINUTE_S, step=Step.SECOND),
    "1h": Range(name="1h", title=mark("Last hour"), length_s=HOUR_S, step=Step.SECOND),
    "24h": Range(name="24h", title=mark("Last 24 hours"), length_s=DAY_S, step=Step.MINUTE),
    "30d": Range(name="30d", title=mark("Last 30 days"), length_s=30 * DAY_S, step=Step.HOUR),
}
