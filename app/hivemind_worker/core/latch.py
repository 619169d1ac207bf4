"""Keeps one rule from flapping: a change must hold for its time, and changes keep their distance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

DWELL_S = 10.0
"""Seconds between two changes of one rule at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """Whether a rule blocks. `since_s` is UTC, for people; the others are steady seconds."""

    blocks: bool = False
    since_s: float = 0.0
    changed_s: float | None = None
    leaning_s: float | None = None  # since when the facts want the other state


class Lean(NamedTuple):
    """What the facts want: `over` the limit, or clearly `back` from it; between the two nothing changes."""

    over: bool
    back: bool
    trip_after_s: float = 0.0
    back_after_s: float = DWELL_S
    at_once: bool = False  # a change to blocking waits for nothing: somebody touched the keyboard


def stepped(latch: Latch, lean: Lean, steady_s: float, at_s: float) -> Latch:
    """The latch after a look at the facts."""
    wanted = lean.back if latch.blocks else lean.over
    if not wanted:
        return latch if latch.leaning_s is None else replace(latch, leaning_s=None)
    leaning_s = steady_s if latch.leaning_s is None else latch.leaning_s
    needed_s = lean.back_after_s if latch.blocks else lean.trip_after_s
    if steady_s - leaning_s >= needed_s and (_far_enough(latch, steady_s) or _urgent(latch, lean)):
        return Latch(blocks=not latch.blocks, since_s=at_s, changed_s=steady_s)
    return latch if latch.leaning_s is not None else replace(latch, leaning_s=leaning_s)


def _far_enough(latch: Latch, steady_s: float) -> bool:
    return latch.changed_s is None or steady_s - latch.changed_s >= DWELL_S


def _urgent(latch: Latch, lean: Lean) -> bool:
    return lean.at_once and not latch.blocks
