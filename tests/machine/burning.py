"""What a process and its children have had of the computer's processor, read beside the worker's own look."""

from __future__ import annotations

import time

import psutil


class Share:
    """From here on; however busy the computer is with others."""

    def __init__(self, pid: int) -> None:
        self._program = psutil.Process(pid)
        self._begun_s, self._before_s = time.monotonic(), self._used_s()

    def percent(self) -> float:
        """Of all cores, since it was made: 0 to 100."""
        took_s = time.monotonic() - self._begun_s
        return 100 * (self._used_s() - self._before_s) / (took_s * (psutil.cpu_count() or 1))

    def _used_s(self) -> float:
        both = [each.cpu_times() for each in (self._program, *self._program.children(recursive=True))]
        return sum(times.user + times.system for times in both)
