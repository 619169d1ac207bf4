"""Use of the processor by other programs: all of it, less that of this worker and its tasks.

Asks for the known processes alone; a list of all would cost more than everything else here.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

CONTAINERS = ("docker", "libpod", "containerd")
NS_A_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnWork:
    """What tasks run: processes of this computer (of a container any one will do), and the cores that those
    use whose processes a virtual machine has."""

    pids: tuple[int, ...] = ()
    unseen_cores: float = 0.0


class OthersLoad:
    """`own` tells what tasks run. One thread only."""

    def __init__(
        self, own: Callable[[], OwnWork], *, proc: Path = Path("/proc"),
        cgroups: Path = Path("/sys/fs/cgroup"), steady: Callable[[], float] = time.monotonic,
        busy: Callable[[], float] | None = None,
    ) -> None:  # fmt: skip
        self._own_work = own
        self._proc, self._cgroups = proc, cgroups
        self._steady = steady
        self._busy_s = busy or busy_s
        self._cores = psutil.cpu_count() or 1
        self._at_s: float | None = None
        self._busy_before_s = 0.0
        self._own_before: dict[int, float] = {}

    def look(self) -> float | None:
        """Percent of the whole machine since the last look; None at the first."""
        now_s, all_s = self._steady(), self._busy_s()
        work = self._own_work()
        own = self._own(work.pids)
        passed_s = None if self._at_s is None else now_s - self._at_s
        others_s = all_s - self._busy_before_s - self._gained(own)
        self._at_s, self._busy_before_s, self._own_before = now_s, all_s, own
        if not passed_s or passed_s <= 0:
            return None
        others_s -= work.unseen_cores * passed_s
        return min(100.0, max(0.0, 100 * others_s / (passed_s * self._cores)))

    def _gained(self, own: dict[int, float]) -> float:
        """A process that is new counts from its beginning: it was born since the last look."""
        return sum(used_s - self._own_before.get(pid, 0.0) for pid, used_s in own.items())

    def _own(self, pids: tuple[int, ...]) -> dict[int, float]:
        found: dict[int, float] = {}
        times = psutil.Process().cpu_times()
        found[0] = times.user + times.system
        for pid in pids:
            with contextlib.suppress(psutil.Error, OSError, ValueError):
                found[pid] = self._container_s(pid) or _process_s(pid)
        return found

    def _container_s(self, pid: int) -> float | None:
        """Processor seconds of the container that this process is in, None when it is in none."""
        for line in _lines(self._proc / str(pid) / "cgroup"):
            _, controllers, path = line.split(":", 2)
            if not any(word in path for word in CONTAINERS):
                continue
            if not controllers:
                return self._unified_s(path)
            if "cpuacct" in controllers.split(","):
                usage = self._cgroups / "cpuacct" / path.lstrip("/") / "cpuacct.usage"
                return int(usage.read_text()) / NS_A_SECOND
        return None

    def _unified_s(self, path: str) -> float | None:
        for line in _lines(self._cgroups / path.lstrip("/") / "cpu.stat"):
            name, _, value = line.partition(" ")
            if name == "usage_usec":
                return int(value) / 1_000_000
        return None


BUSY = ("user", "nice", "system", "irq", "softirq")
"""Columns that count, where a system has them: tasks of the sandbox run at a low priority (nice)."""


def busy_s() -> float:
    """Processor seconds of all programs since the computer started."""
    times = psutil.cpu_times()
    return float(sum(getattr(times, name, 0.0) for name in BUSY))


def _process_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
