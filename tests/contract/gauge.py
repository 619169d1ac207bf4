"""How a process did since it was last asked: peak memory, and the longest time its loop was held up."""

from __future__ import annotations

import asyncio
import resource
import time
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
TICK_S = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Memory in MiB, time in milliseconds."""

    before_mib: float
    peak_mib: float
    stall_ms: float

    @property
    def grown_mib(self) -> float:
        return self.peak_mib - self.before_mib


class Gauge:
    """Start it in the process and loop to be measured."""

    def __init__(self) -> None:
        self._before = self._stall = 0.0

    async def run(self) -> None:
        """Tick for ever."""
        while True:
            started = time.perf_counter()
            await asyncio.sleep(TICK_S)
            self._stall = max(self._stall, time.perf_counter() - started - TICK_S)

    def reset(self) -> None:
        """Begin a new measurement."""
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts from the present size
        self._before, self._stall = _memory("VmRSS"), 0.0

    def read(self) -> Reading:
        """Since the last reset."""
        return Reading(before_mib=self._before, peak_mib=_memory("VmHWM"), stall_ms=1000 * self._stall)


def _memory(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
