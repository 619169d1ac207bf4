"""Whether a pool process's store is away or full: that is told once, not with each request that fails."""

from __future__ import annotations

import errno
from collections.abc import Callable

DEBUG = 10
"""The level of that name of `logging`, which no value imports."""
FULL_TOLD_S = 60.0
"""Of a store that is full one failure is told of in so long a time."""


class Outage:
    """Held by the book. Who keeps the connection begins and ends it; who fails asks how loud to say so."""

    def __init__(self, steady: Callable[[], float]) -> None:
        """`steady`: seconds of a clock that is never set."""
        self._steady = steady
        self._since_s: float | None = None
        self._told, self._given_up = False, 0
        self._full_again_s = steady()

    def begins(self) -> None:
        """The store is away from now on."""
        if self._since_s is None:
            self._since_s = self._steady()

    def tell(self) -> bool:
        """Whether it is still to be told; once each time."""
        told, self._told = self._told, True
        return not told

    def ends(self) -> tuple[float, int] | None:
        """The store is back: after how many seconds, and how many requests were given up.

        None when it has not been away.
        """
        since_s, given_up = self._since_s, self._given_up
        self._since_s, self._told, self._given_up = None, False, 0
        return None if since_s is None else (self._steady() - since_s, given_up)

    def level(self, usual: int, error: Exception) -> int:
        """Of a log line about what failed."""
        if self._since_s is not None:
            return DEBUG
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            if self._steady() < self._full_again_s:
                return DEBUG
            self._full_again_s = self._steady() + FULL_TOLD_S
        return usual

    def gave_up(self, usual: int, error: OSError) -> int:
        """The same of a request that failed, which is counted while the store is away."""
        if self._since_s is not None:
            self._given_up += 1
        return self.level(usual, error)
