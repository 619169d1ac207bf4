"""Moments in this computer's own time, as people read them. No clock: the moment is given."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from hivemind_worker.presentation.amounts import DAY_S, MINUTE_S
from hivemind_worker.presentation.catalogue import _, mark

MONTHS = (
    mark("Jan"),
    mark("Feb"),
    mark("Mar"),
    mark("Apr"),
    mark("May"),
    mark("Jun"),
    mark("Jul"),
    mark("Aug"),
    mark("Sep"),
    mark("Oct"),
    mark("Nov"),
    mark("Dec"),
)
WEEKDAYS = (mark("Mon"), mark("Tue"), mark("Wed"), mark("Thu"), mark("Fri"), mark("Sat"), mark("Sun"))
FINE_S = 10 * MINUTE_S
MORNING = time(6, 0)


def local(at_s: float) -> datetime | None:
    """The moment in local time; None for one that no calendar has."""
    try:
        return datetime.fromtimestamp(at_s).astimezone()
    except (OverflowError, ValueError, OSError):
        return None


def clock_time(at_s: float, *, seconds: bool = False) -> str:
    """14:32, or 14:32:07."""
    moment = local(at_s)
    if moment is None:
        return ""
    return f"{moment:%H:%M:%S}" if seconds else f"{moment:%H:%M}"


def day(at_s: float) -> str:
    """24 Nov."""
    moment = local(at_s)
    return "" if moment is None else _("{day} {month}", day=moment.day, month=_(MONTHS[moment.month - 1]))


def weekday(at_s: float) -> str:
    """Tue 24 Nov."""
    moment = local(at_s)
    if moment is None:
        return ""
    return _("{weekday} {date}", weekday=_(WEEKDAYS[moment.weekday()]), date=day(at_s))


def day_number(at_s: float) -> int:
    """Counts local days: the same for moments of the same day."""
    moment = local(at_s)
    return 0 if moment is None else moment.toordinal()


def on_axis(at_s: float, length_s: float) -> str:
    """As fine as a picture of `length_s` needs it."""
    if length_s > 2 * DAY_S:
        return day(at_s)
    return clock_time(at_s, seconds=length_s <= FINE_S)


def when(at_s: float, now_s: float) -> str:
    """The time of today, else the day with the time."""
    if day_number(at_s) == day_number(now_s):
        return clock_time(at_s, seconds=True)
    return _("{day}, {time}", day=day(at_s), time=clock_time(at_s))


def moment_words(at_s: float, now_s: float) -> str:
    """As `when`, to the minute: for moments that were set, not measured."""
    if day_number(at_s) == day_number(now_s):
        return clock_time(at_s)
    return _("{day}, {time}", day=day(at_s), time=clock_time(at_s))


def next_morning(now: datetime) -> datetime:
    """Six in the morning of the next day by the clock on the wall, however many hours that day has."""
    return datetime.combine(now.date() + timedelta(days=1), MORNING).astimezone()


def local_time(moment: object, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """An ISO 8601 moment on this computer's clock; a dash for none."""
    if not isinstance(moment, str):
        return "–"
    return datetime.fromisoformat(moment).astimezone().strftime(form)
