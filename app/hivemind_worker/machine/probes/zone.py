"""Local time: how far it is ahead of UTC, and when that changes next."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from hivemind_worker.model.facts import Zone

AHEAD_S = 8 * 86400
STEP_S = 6 * 3600
FINE_S = 60


def offset_s(at_s: float) -> int:
    """Seconds ahead of UTC at a moment, by the system's own rules."""
    moved = datetime.fromtimestamp(at_s, UTC).astimezone().utcoffset()
    return 0 if moved is None else round(moved.total_seconds())


def zone_at(at_s: float) -> Zone:
    """The zone now, with a change within the next days. Notices a computer that has travelled."""
    if hasattr(time, "tzset"):
        time.tzset()
    now = offset_s(at_s)
    begin_s = at_s - at_s % FINE_S
    for hour in range(AHEAD_S // STEP_S):
        late_s = begin_s + (hour + 1) * STEP_S
        if offset_s(late_s) != now:
            return _narrowed(begin_s + hour * STEP_S, late_s, now)
    return Zone(offset_s=now)


def _narrowed(early_s: float, late_s: float, now: int) -> Zone:
    while late_s - early_s > FINE_S:
        middle_s = early_s + (late_s - early_s) // (2 * FINE_S) * FINE_S
        if offset_s(middle_s) == now:
            early_s = middle_s
        else:
            late_s = middle_s
    return Zone(offset_s=now, changes_at_s=late_s, then_offset_s=offset_s(late_s))
