"""How many logins may be tried: by address, by name, and in all. No aiohttp, no clock: the moment is given.

Every attempt counts from its start, so that many at once gain nothing; one that succeeds is taken back.
"""

from __future__ import annotations

from collections import OrderedDict, deque

MOST, WINDOW_S = 10, 900.0
MOST_IN_ALL = 100
REMEMBERED = 1000
SLOWER_S, SLOWEST_S = 0.1, 1.0
EVERYBODY = "all"


class LoginLimits:
    """The attempts of the last quarter of an hour."""

    def __init__(self) -> None:
        self._tried: OrderedDict[str, deque[float]] = OrderedDict()

    def begin(self, address: str, name: str, now_s: float) -> float | None:
        """Count an attempt; the seconds to hold it back, or None: too many, it must not be made."""
        counts = [self._of(key, now_s) for key in self._keys(address, name)]
        if any(len(tried) >= most for tried, most in zip(counts, (MOST, MOST, MOST_IN_ALL), strict=True)):
            return None
        for tried in counts:
            tried.append(now_s)
        return min(SLOWEST_S, SLOWER_S * max(len(tried) - 1 for tried in counts[:2]))

    def succeeded(self, address: str, name: str, began_s: float) -> None:
        """Take the attempt back; earlier ones of this address keep counting, whoever it was."""
        address_key, name_key, everybody = self._keys(address, name)
        for key in (address_key, everybody):
            tried = self._tried.get(key)
            if tried and began_s in tried:
                tried.remove(began_s)
        self._tried.pop(name_key, None)

    def wait_s(self, address: str, name: str, now_s: float) -> float:
        """How long until another attempt may be made."""
        waits = [0.0]
        for key, most in zip(self._keys(address, name), (MOST, MOST, MOST_IN_ALL), strict=True):
            tried = self._of(key, now_s)
            if len(tried) >= most:
                waits.append(tried[-most] + WINDOW_S - now_s)
        return max(waits)

    def _keys(self, address: str, name: str) -> tuple[str, str, str]:
        return f"address {address}", f"name {name.lower()[:64]}", EVERYBODY

    def _of(self, key: str, now_s: float) -> deque[float]:
        tried = self._tried.setdefault(key, deque())
        self._tried.move_to_end(key)
        while tried and tried[0] <= now_s - WINDOW_S:
            tried.popleft()
        while len(self._tried) > REMEMBERED:
            self._tried.popitem(last=False)
        return tried
