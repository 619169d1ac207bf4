"""The running time of a task: the clock stands still while it is frozen."""

from __future__ import annotations

import time
from collections.abc import Callable


class RunningClock:
    """Starts with `begin`; `before_s` is what an earlier life has counted."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._counted_s = 0.0
        self._since: float | None = None
        self.is_paused = False

    def begin(self, before_s: float = 0.0) -> None:
        """The program runs."""
        self._counted_s = before_s
        self._since = None if self.is_paused else self._monotonic()

    def pause(self) -> None:
        """It is frozen."""
        self._counted_s, self._since, self.is_paused = self.running_s, None, True

    def resume(self) -> None:
        """It goes on."""
        if self.is_paused:
            self._since, self.is_paused = self._monotonic(), False

    @property
    def running_s(self) -> float:
        """So far."""
        return self._counted_s + (self._monotonic() - self._since if self._since is not None else 0.0)
