"""Pools that the owner keeps, how one is left for another, and what an account's balance was."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ASKING = ("tls", "nats")
"""Schemes of addresses of pools that the worker asks for tasks, over NATS."""


def is_asked(address: str) -> bool:
    """Whether the worker asks this pool for tasks: then nothing needs to reach the worker."""
    return address.strip().startswith(tuple(f"{scheme}://" for scheme in ASKING))


class Leaving(StrEnum):
    """What becomes of the open tasks when the pool is left."""

    FINISH = "finish"  # they run to their end, their results are delivered, then it is left
    STOP = "stop"  # they are stopped and packed, and what they wrote is delivered
    KEEP = "keep"  # stopped as well; results that the pool does not take within seconds stay here


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPool:
    """One pool of the owner's list. `used_until_s` is when it was last the active one, 0.0 for never."""

    address: str
    user: str = ""
    signed_in: bool = False
    active: bool = False
    built_in: bool = False
    used_until_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """An account's balance in CPT at a moment."""

    at_s: float
    amount: int
