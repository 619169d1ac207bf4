"""The week grid: which half hour it is by the clock on the wall, and when the level changes."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from hivemind_worker.model.facts import Zone
from hivemind_worker.model.rules import SLOT_S, SLOTS_A_WEEK, Level, Rules

FIRST_MONDAY_S = 4 * 86400
"""1970-01-05 began a week."""


def slot_at(at_s: float, zone: Zone) -> int:
    """The half hour of the week, 0 to 335, in local time."""
    return _slot(at_s + zone.offset_at(at_s))


def _slot(local_s: float) -> int:
    return int((local_s - FIRST_MONDAY_S) // SLOT_S) % SLOTS_A_WEEK


def level_at(rules: Rules, slot: int) -> Level:
    """The level of a half hour."""
    return Level(int(rules.week[slot]))


def level_ends(rules: Rules, at_s: float, zone: Zone) -> float | None:
    """When the next half hour of another level begins, UTC; None when the whole week is the same."""
    local_s = at_s + zone.offset_at(at_s)
    slots = _slots_until_change(rules.week, _slot(local_s))
    if slots is None:
        return None
    ends_local_s = local_s - local_s % SLOT_S + slots * SLOT_S
    ends_s = ends_local_s - zone.offset_at(at_s)
    return ends_local_s - zone.offset_at(ends_s)


def month_ends(at_s: float, zone: Zone) -> float:
    """When the next calendar month begins in local time, UTC."""
    local = datetime.fromtimestamp(at_s + zone.offset_at(at_s), UTC)
    first = datetime(local.year + local.month // 12, local.month % 12 + 1, 1, tzinfo=UTC)
    ends_s = first.timestamp() - zone.offset_at(at_s)
    return first.timestamp() - zone.offset_at(ends_s)


@lru_cache(1024)
def _slots_until_change(week: str, slot: int) -> int | None:
    turned = week[slot:] + week[:slot]
    rest = turned.lstrip(turned[0])
    return SLOTS_A_WEEK - len(rest) if rest else None
