"""What is measured of the computer, and the lines of the worker's own log."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The computer at one moment: percentages of the whole machine, free memory and disk in GiB."""

    cpu_percent: float
    memory_percent: float
    memory_available_gb: float
    memory_total_gb: float = 0.0
    disk_available_gb: float
    gpu_percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One line of the worker's own log; `number` grows by one a line."""

    number: int
    timestamp: str
    level: str
    message: str
