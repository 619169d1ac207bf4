"""What this computer is worth to a pool: its measured score, and what the pool is offered because of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from hivemind_worker.model.machine import Gpu
from hivemind_worker.model.resources import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptScore:
    """A measured score: 100 is one core of the reference. It holds while `fingerprint` is this computer's."""

    one_core: float
    spread_percent: float
    at_s: float
    fingerprint: str


class OfferReason(StrEnum):
    """Why the pool is offered as much as it is."""

    UNMEASURED = "unmeasured"  # the score is not known yet: all that is lent
    WHOLE = "whole"  # all that is lent; more would break the owner's limits
    RAISED = "raised"  # the computer was little used: 10 % more than its score
    BUSY = "busy"  # its score, not raised: the computer was used
    NO_HISTORY = "no_history"  # its score, not raised: nothing is known of the past hours


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What registration tells the pool. The ledger stays as it is: `lent` is its total.

    `cpu_percent` and `memory_percent` are the means of the whole computer over the last `hours`.
    """

    offered: Resources = field(default_factory=Resources)
    lent: Resources = field(default_factory=Resources)
    reason: OfferReason = OfferReason.UNMEASURED
    one_core: float | None = None
    cpu_percent: float | None = None
    memory_percent: float | None = None
    hours: int = 0
    cards: tuple[Gpu, ...] = ()
    sandbox: str = ""  # the one in use; "" while there is none
