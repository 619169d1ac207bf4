"""What is measured of the computer, and the lines of the worker's own log."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class GpuTrouble(StrEnum):
    """Why a card that was found cannot be used."""

    NO_DRIVER = "no_driver"
    DRIVER_NOT_LOADED = "driver_not_loaded"
    DRIVER_CHANGED = "driver_changed"  # driver and library are of different versions until a restart
    NO_PERMISSION = "no_permission"
    LOST = "lost"
    OTHER_MAKER = "other_maker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One graphics card. None where it does not tell; `trouble` when it is there and cannot work."""

    name: str
    driver: str = ""
    memory_gb: float = 0.0
    memory_used_gb: float | None = None
    percent: float | None = None
    celsius: float | None = None
    watts: float | None = None
    trouble: GpuTrouble | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The computer at one moment: percentages of the whole machine, free memory and disk in GiB.

    `ours_…` are the shares of the tasks: the processes that this worker has started. Rates are bytes a
    second since the last look, None at the first. Temperatures are degrees Celsius, None without sensor.
    """

    cpu_percent: float
    memory_percent: float
    memory_available_gb: float
    memory_total_gb: float = 0.0
    disk_available_gb: float
    gpu_percent: float | None = None
    ours_cpu_percent: float = 0.0
    ours_memory_percent: float = 0.0
    gpu_memory_percent: float | None = None
    net_down_bps: float | None = None
    net_up_bps: float | None = None
    disk_read_bps: float | None = None
    disk_write_bps: float | None = None
    ours_disk_bps: float | None = None
    cpu_celsius: float | None = None
    gpu_celsius: float | None = None
    gpus: tuple[Gpu, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One line of the worker's own log; `number` grows by one a line."""

    number: int
    timestamp: str
    level: str
    message: str
