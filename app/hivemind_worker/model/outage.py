"""Whether a pool process's store is away: that is told once, not with each request that fails."""

from __future__ import annotations

import logging


class Outage:
    """Held by the book. Who keeps the connection begins and ends it; who fails asks how loud to say so."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._told, self._given_up = False, 0

    def begins(self, at_s: float) -> None:
        """The store is away since this time, by a steady clock."""
        if self._since_s is None:
            self._since_s = at_s

    def tell(self) -> bool:
        """Whether it is still to be told; once each time."""
        told, self._told = self._told, True
        return not told

    def ends(self, at_s: float) -> tuple[float, int] | None:
        """The store is back: after how many seconds, and how many requests were given up.

        None when it has not been away.
        """
        since_s, given_up = self._since_s, self._given_up
        self._since_s, self._told, self._given_up = None, False, 0
        return None if since_s is None else (at_s - since_s, given_up)

    def level(self, usual: int) -> int:
        """Of a log line about something that failed."""
        return usual if self._since_s is None else logging.DEBUG

    def gave_up(self, usual: int) -> int:
        """The same of a request that failed, which is counted."""
        if self._since_s is not None:
            self._given_up += 1
        return self.level(usual)
