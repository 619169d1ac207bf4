"""Stops a container's processes by signal, ahead of the engine's freezer; lets them go on after it.

The engine starts a program for each freeze, which waits for its turn beside the very tasks that are in
the owner's way. A signal takes effect at once, also while the engine does not answer; the freezer then
holds what a signal cannot be sure of (docs/decisions/0023). Without the right to signal (rootless engines,
other users) or a view of the processes (virtual machines) there is the freezer alone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

from hivemind_worker.runtimes.docker.processes import processes_of

MOST = 32
"""Signalled ahead; reading more of /proc would hold up the loop. The freezer has the rest."""


class Halt:
    """One for a container. `sees` once its first process is known."""

    def __init__(self) -> None:
        self._first, self._container = 0, ""
        self._held: set[int] = set()

    def sees(self, first: int, container: str) -> None:
        """The container's first process, 0 or less where there is none, and its full id."""
        self._first, self._container = first, container

    def stop(self) -> None:
        """All of its processes that run; what its own program has stopped is left out."""
        for pid in self._all()[:MOST]:
            if not _is_stopped(pid) and self._signal(pid, signal.SIGSTOP):
                self._held.add(pid)

    def go_on(self, *, whatever: bool = False) -> None:
        """What was stopped here; with `whatever` all that an earlier life may have stopped."""
        held, self._held = self._held, set()
        for pid in {*held, *(self._all() if whatever else ())}:
            self._signal(pid, signal.SIGCONT)

    def _all(self) -> tuple[int, ...]:
        return processes_of(self._first, self._container) if self._first > 0 else ()

    def _signal(self, pid: int, what: signal.Signals) -> bool:
        """Whether it was sent: to this container's process, never to another that got its number."""
        if sys.platform != "linux":
            return False
        with contextlib.suppress(OSError, AttributeError):  # a Python that was built without
            process = os.pidfd_open(pid)
            try:
                if self._container in _text(f"/proc/{pid}/cgroup"):
                    signal.pidfd_send_signal(process, what)
                    return True
            finally:
                os.close(process)
        return False


def _is_stopped(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return _text(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1] == ["T"]
    return False


def _text(path: str) -> str:
    return Path(path).read_text(encoding="ascii", errors="replace")
