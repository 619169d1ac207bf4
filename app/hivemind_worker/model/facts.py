"""What rules are judged by: facts about the computer at one moment. None stands for "cannot tell"."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """Local time: seconds ahead of UTC, and the next change of that (summer time) when one is near."""

    offset_s: int = 0
    changes_at_s: float | None = None
    then_offset_s: int = 0

    def offset_at(self, at_s: float) -> int:
        """Seconds that local time is ahead of UTC at a moment."""
        if self.changes_at_s is not None and at_s >= self.changes_at_s:
            return self.then_offset_s
        return self.offset_s


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFacts:
    """The computer at one moment, as far as rules ask. `steady_s` never jumps: dwell times go by it.

    Percentages are of the whole machine, temperatures degrees Celsius. `programs` are those of the
    rules' names that run now, in the rules' spelling.
    """

    steady_s: float
    zone: Zone = Zone()
    idle_s: float | None = None
    idle_source: str = ""
    on_battery: bool | None = None
    battery_percent: float | None = None
    power_saver: bool | None = None
    others_cpu_percent: float | None = None
    programs: frozenset[str] | None = None
    full_screen: bool | None = None
    cpu_celsius: float | None = None
    gpu_celsius: float | None = None
    metered: bool | None = None
    month_bytes: int = 0
    disk_free_gb: float | None = None
    memory_percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What something outside has reported through the API; it counts until `ends_at_s`."""

    name: str
    ok: bool
    reason: str
    since_s: float
    ends_at_s: float
