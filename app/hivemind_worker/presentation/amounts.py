"""Amounts as people and programs read them: times, durations, sizes. No clock: the moment is given."""

from __future__ import annotations

from datetime import UTC, datetime

from hivemind_worker.presentation.catalogue import translate_many

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
        return translate_many("{count} minute", "{count} minutes", minutes)
    if minutes < DAY_S // MINUTE_S:
        return _two(
            divmod(minutes, 60), ("{count} hour", "{count} hours"), ("{count} minute", "{count} minutes")
        )
    hours = -(-minutes // 60)
    return _two(divmod(hours, 24), ("{count} day", "{count} days"), ("{count} hour", "{count} hours"))


def _two(counts: tuple[int, int], large: tuple[str, str], small: tuple[str, str]) -> str:
    words = [translate_many(*large, counts[0])]
    if counts[1]:
        words.append(translate_many(*small, counts[1]))
    return " ".join(words)


def clock(seconds: float) -> str:
    """A length of time for a table column: 0:07, 12:05, 3:04:09."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def size_words(count: int) -> str:
    """A number of bytes with its unit: 512 B, 12.5 KiB, 99.0 MiB."""
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
