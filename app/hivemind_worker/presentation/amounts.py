"""Amounts as people and programs read them: times, durations, sizes. No clock: the moment is given."""

from __future__ import annotations

from datetime import UTC, datetime

from hivemind_worker.presentation.catalogue import translate, translate_many

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86_400


def iso(at_s: float | None) -> str | None:
    """A moment as ISO 8601 in UTC, to the millisecond; None stays None."""
    if at_s is None:
        return None
    try:
        return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):  # a clock that was set to nonsense must not hide the rest
        return None


def duration_words(seconds: float) -> str:
    """A length of time in at most two units, rounded up to whole seconds: "3 hours 5 minutes"."""
    whole = max(0, -int(-seconds // 1))
    if whole < MINUTE_S:
        return translate_many("{count} second", "{count} seconds", whole)
    minutes = -(-whole // MINUTE_S)
    if minutes < HOUR_S // MINUTE_S:
        return _minutes(minutes)
    if minutes < DAY_S // MINUTE_S:
        hours, rest = divmod(minutes, 60)
        return _joined(_hours(hours), _minutes(rest) if rest else "")
    days, rest = divmod(-(-minutes // 60), 24)
    return _joined(translate_many("{count} day", "{count} days", days), _hours(rest) if rest else "")


def _minutes(count: int) -> str:
    return translate_many("{count} minute", "{count} minutes", count)


def _hours(count: int) -> str:
    return translate_many("{count} hour", "{count} hours", count)


def _joined(large: str, small: str) -> str:
    return translate("{large} {small}", large=large, small=small) if small else large


def clock(seconds: float) -> str:
    """A length of time for a table column: 0:07, 12:05, 3:04:09."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def took_words(seconds: float) -> str:
    """How long a short thing took: 1 ms, 38 ms, 2.4 s."""
    if seconds < 1:
        return f"{max(1, round(seconds * 1000))} ms"
    return f"{seconds:.1f} s"


def size_words(count: int) -> str:
    """A number of bytes with its unit: 512 B, 12.5 KiB, 99.0 MiB."""
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def cores_words(cores: float) -> str:
    """1 core, 1.5 cores."""
    return translate_many("{number} core", "{number} cores", 1 if cores == 1 else 2, number=f"{cores:g}")


def unit_words(value: float, unit: str) -> str:
    """The unit of a setting or rule beside this value: 1 core, 1.5 cores."""
    count = 1 if value == 1 else 2
    match unit:
        case "cores":
            return translate_many("core", "cores", count)
        case "days":
            return translate_many("day", "days", count)
    return translate(unit) if unit else ""


def with_unit(value: float, unit: str) -> str:
    """A value of a setting or rule as a sentence names it."""
    return f"{value:g} {unit_words(value, unit)}".strip()
