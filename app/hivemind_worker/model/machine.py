"""What is measured of the computer, and the lines of the worker's own log."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
class GpuProcess:
    """A process on a card. None where the driver does not tell; `task` is the first process of the task that
    it belongs to, None for other programs."""

    pid: int
    memory_gb: float | None = None
    percent: float | None = None
    task: int | None = None


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
    processes: tuple[GpuProcess, ...] | None = None  # None: the driver does not tell them apart

    def used_by(self, wanted: Callable[[GpuProcess], bool]) -> tuple[float | None, float | None]:
        """Percent and GiB of some of its processes; None where the driver does not tell."""
        if self.processes is None:
            return None, None
        own = [process for process in self.processes if wanted(process)]
        return _sum(process.percent for process in own), _sum(process.memory_gb for process in own)


def _sum(parts: Iterable[float | None]) -> float | None:
    """A sum of what is known altogether; None when a part of it is not."""
    values = list(parts)
    return None if None in values else float(sum(value for value in values if value is not None))


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
    ours_gpu_percent: float | None = None
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

    def gpu_use(self, task: int | None) -> tuple[float | None, float | None]:
        """What a task, by its first process, takes of the cards: percent of the one that it uses most, GiB of
        all. None where the driver does not tell, or the process is not known."""
        if task is None or not self.gpus:
            return None, None
        parts = [card.used_by(lambda process: process.task == task) for card in self.gpus]
        known = [percent for percent, _memory in parts if percent is not None]
        return max(known) if len(known) == len(parts) else None, _sum(memory for _percent, memory in parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One line of the worker's own log; `number` grows by one a line.

    `source` is the part of the program that wrote it, e.g. "pool"; `task` the key of the task that it is
    about, "" for none.
    """

    number: int
    timestamp: str
    level: str
    message: str
    source: str = ""
    task: str = ""
