"""How long to wait before trying again: full jitter, so that a thousand workers do not return as one."""

from __future__ import annotations

import random

FIRST_S = 1.0
MOST_S = 60.0
CUT_S = 25.0
"""No wait is longer: heartbeats are to resume within 30 s of the pool's return."""


class Backoff:
    """Waits of chance length under a ceiling that doubles from 1 s to 60 s."""

    def __init__(self, chance: random.Random, cut_s: float = CUT_S) -> None:
        self._chance = chance
        self._cut_s = cut_s
        self._ceiling_s = FIRST_S

    def next_s(self) -> float:
        """The next wait."""
        wait_s = self._chance.uniform(0.0, self._ceiling_s)
        self._ceiling_s = min(self._ceiling_s * 2, MOST_S)
        return min(wait_s, self._cut_s)

    def reset(self) -> None:
        """It worked: begin anew."""
        self._ceiling_s = FIRST_S
