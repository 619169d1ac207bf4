"""Figures of the computer at this moment. Calls take a few milliseconds: use the probe thread."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from hivemind_worker.machine.gpu import GpuProbe
from hivemind_worker.machine.gpu_owners import GpuOwners
from hivemind_worker.model.machine import Gpu, Sample

GIB = 1024**3
CPU_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "acpitz")
"""Names of the kernel's drivers for the processor's temperature, the best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Processor seconds and bytes of disk since the processes began, and resident bytes now."""

    cpu_s: float = 0.0
    disk_bytes: float = 0.0
    memory_bytes: int = 0


class Sampler:
    """Takes samples; keeps what is needed for rates. One thread only.

    `roots` names processes beside our own children whose trees are tasks (containers).
    """

    def __init__(
        self, disk: Path, *, gpus: GpuProbe | None = None, roots: Callable[[], Iterable[int]] = lambda: (),
        steady: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._disk = disk
        self._gpus = gpus or GpuProbe()
        self._steady = steady
        self._roots, self._owners = roots, GpuOwners()
        self._ours = OwnProcesses(roots)
        self._at_s: float | None = None
        self._counters: Mapping[str, float] = {}

    def take(self) -> Sample:
        """Use of processor and rates since the last call (0 or None at the first), all else as it is now."""
        memory = psutil.virtual_memory()
        gpus = self._owners.find(self._gpus.look(), self._roots())
        passed_s = self._pass()
        ours = self._ours.since_last(passed_s)
        rates = self._rates(passed_s)
        return Sample(
            cpu_percent=psutil.cpu_percent(interval=None),
            memory_percent=memory.percent,
            memory_available_gb=memory.available / GIB,
            memory_total_gb=memory.total / GIB,
            disk_available_gb=free_disk_bytes(self._disk) / GIB,
            ours_cpu_percent=_percent(ours.cpu_s, (passed_s or 0.0) * (psutil.cpu_count() or 1)),
            ours_memory_percent=_percent(ours.memory_bytes, memory.total),
            ours_disk_bps=None if not passed_s else ours.disk_bytes / passed_s,
            cpu_celsius=cpu_celsius(),
            gpu_percent=_largest(gpu.percent for gpu in gpus),
            ours_gpu_percent=_largest(_ours(gpu) for gpu in gpus),
            gpu_memory_percent=_largest(_memory_percent(gpu) for gpu in gpus),
            gpu_celsius=_largest(gpu.celsius for gpu in gpus),
            gpus=gpus,
            **rates,
        )

    def _pass(self) -> float | None:
        """Seconds since the last sample."""
        before, self._at_s = self._at_s, self._steady()
        return None if before is None else max(1e-3, self._at_s - before)

    def _rates(self, passed_s: float | None) -> dict[str, float | None]:
        before, self._counters = self._counters, counters()
        return {
            name: None if passed_s is None or name not in before
            else max(0.0, count - before[name]) / passed_s  # counters begin anew after sleep on some systems
            for name, count in self._counters.items()
        }  # fmt: skip


class OwnProcesses:
    """What the processes under this one have taken, ended ones included until the look after their end."""

    def __init__(self, roots: Callable[[], Iterable[int]]) -> None:
        self._roots = roots
        self._before: dict[tuple[int, float], Taken] = {}

    def since_last(self, passed_s: float | None) -> Taken:
        """Differences since the last look, and the memory of now. A new process counts from its beginning."""
        now = {(process.pid, _born(process)): _taken(process) for process in self._trees()}
        first = passed_s is None
        before, self._before = self._before, now
        gained = [
            Taken(
                cpu_s=taken.cpu_s - before.get(key, Taken()).cpu_s,
                disk_bytes=taken.disk_bytes - before.get(key, Taken()).disk_bytes,
            )
            for key, taken in now.items()
        ]
        return Taken(
            cpu_s=0.0 if first else max(0.0, sum(part.cpu_s for part in gained)),
            disk_bytes=0.0 if first else max(0.0, sum(part.disk_bytes for part in gained)),
            memory_bytes=sum(taken.memory_bytes for taken in now.values()),
        )

    def _trees(self) -> Iterable[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            yield from psutil.Process().children(recursive=True)
        for pid in self._roots():
            with contextlib.suppress(psutil.Error):
                root = psutil.Process(pid)
                yield root
                yield from root.children(recursive=True)


def _born(process: psutil.Process) -> float:
    """Part of a process's identity: numbers are used again."""
    try:
        return process.create_time()
    except psutil.Error:
        return 0.0


def _taken(process: psutil.Process) -> Taken:
    try:
        with process.oneshot():
            times = process.cpu_times()
            return Taken(
                cpu_s=times.user + times.system,
                disk_bytes=_disk_bytes(process),
                memory_bytes=process.memory_info().rss,
            )
    except psutil.Error:
        return Taken()


def _disk_bytes(process: Any) -> float:
    """Bytes read and written; 0 where the system does not tell (macOS, or another user's process)."""
    try:
        io = process.io_counters()
    except (psutil.Error, AttributeError, OSError):
        return 0.0
    return float(io.read_bytes + io.write_bytes)


def counters() -> dict[str, float]:
    """Bytes since the computer started, by the names of the sample's rates; loopback does not count."""
    found: dict[str, float] = {}
    with contextlib.suppress(OSError, RuntimeError):
        nets = [row for name, row in psutil.net_io_counters(pernic=True).items() if not _is_loopback(name)]
        found["net_down_bps"] = float(sum(row.bytes_recv for row in nets))
        found["net_up_bps"] = float(sum(row.bytes_sent for row in nets))
    with contextlib.suppress(OSError, RuntimeError):
        if disk := psutil.disk_io_counters():
            found["disk_read_bps"], found["disk_write_bps"] = float(disk.read_bytes), float(disk.write_bytes)
    return found


def _is_loopback(name: str) -> bool:
    return name == "lo" or name.startswith(("lo0", "Loopback"))


def cpu_celsius() -> float | None:
    """The processor's temperature; None without a sensor that this system shows."""
    read = getattr(psutil, "sensors_temperatures", None)  # Linux and FreeBSD only
    try:
        found = read() if read else {}
    except (OSError, RuntimeError, ValueError):
        return None
    for name in CPU_SENSORS:
        if values := [row.current for row in found.get(name, ()) if row.current and row.current > 0]:
            return float(max(values))
    return None


def _percent(part: float, whole: float) -> float:
    return min(100.0, 100 * part / whole) if whole else 0.0


def _ours(gpu: Gpu) -> float | None:
    """The tasks' part of a card's use: never more than the whole, which is measured over another span."""
    percent, _memory = gpu.used_by(lambda process: process.task is not None)
    return percent if percent is None or gpu.percent is None else min(percent, gpu.percent)


def _memory_percent(gpu: Gpu) -> float | None:
    return None if gpu.memory_used_gb is None else _percent(gpu.memory_used_gb, gpu.memory_gb)


def _largest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def free_disk_bytes(folder: Path) -> int:
    """Bytes that a program may still write where `folder` lies."""
    return shutil.disk_usage(folder).free


def available_memory_bytes() -> int:
    """Memory that programs may still take without swapping."""
    return int(psutil.virtual_memory().available)


def own_costs() -> tuple[float, int]:
    """What this process itself takes: processor seconds since its start, resident bytes now."""
    process = psutil.Process()
    times = process.cpu_times()
    return times.user + times.system, int(process.memory_info().rss)
