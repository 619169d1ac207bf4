"""Local days: which one a moment is of, and how a length of time is spread over them.

By the system's own rules of the zone: a day has 23 or 25 hours where the clocks change.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

MOST_DAYS = 400
"""A longer length of time comes from a clock that was wrong."""


def day_of(at_s: float) -> date:
    """The local day of a moment; the first of all for one that no calendar has."""
    try:
        return datetime.fromtimestamp(at_s).astimezone().date()
    except (OverflowError, ValueError, OSError):
        return date.min


def begin_s(day: date) -> float:
    """The moment at which a local day begins."""
    try:
        return datetime.combine(day, time()).astimezone().timestamp()
    except (OverflowError, ValueError, OSError):
        return 0.0


def spread(from_s: float, to_s: float) -> tuple[tuple[date, float], ...]:
    """The days between two moments with the share of that time which lies in each; the shares make 1.

    Without a length, or with one that cannot be, all of it lies in the last day.
    """
    first, last = day_of(from_s), day_of(to_s)
    if not from_s < to_s or not timedelta() < last - first <= timedelta(days=MOST_DAYS):
        return ((last, 1.0),)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    edges = [from_s, *(begin_s(day) for day in days[1:]), to_s]
    whole = to_s - from_s
    return tuple((day, (edges[n + 1] - edges[n]) / whole) for n, day in enumerate(days))
