"""One at a time for each key; nothing is kept for keys that nobody waits for."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary


class Turns:
    """The locks of those keys that somebody is at."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, key: str) -> asyncio.Lock:
        """The lock of a key."""
        return self._locks.setdefault(key, asyncio.Lock())
