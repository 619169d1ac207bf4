"""The machines of one account at a pool, as each of them sees the others, and what their owner wishes.

A wish is one of three words: nothing else can be asked of a machine from afar.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ONLINE_S = 75.0
"""A machine that was not heard from for so long is away: it tells its standing every 30 s."""
WISH_KEPT_S = 7 * 24 * 60 * 60.0
"""A wish for a machine that is away is kept for so long."""
LONGEST_PAUSE_S = 366 * 24 * 60 * 60.0
NAME_BYTES, TEXT_BYTES = 256, 1000


class WishKind(StrEnum):
    """All that can be asked of another machine."""

    PAUSE = "pause"
    RESUME = "resume"
    FINISH = "finish"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the owner asked on the machine `by` ("": on this one). `number` grows: the later wish counts."""

    kind: WishKind
    by: str
    number: int = 0
    until_s: float | None = None  # of a pause
    at_s: float = 0.0

    def is_over(self, now_s: float) -> bool:
        """Whether it came too late to be obeyed."""
        return now_s - self.at_s >= WISH_KEPT_S or (self.until_s is not None and self.until_s <= now_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a machine tells of itself. Its verdict is in its own language."""

    title: str  # its name in its own displays
    status: str  # one of `presentation.health.status_word`
    code: str  # of its first verdict
    text: str
    since_s: float | None
    ends_at_s: float | None
    running: int
    places: int
    trust: int
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine as the pool knows it. `seen_s`: by the pool's clock."""

    name: str
    standing: Standing
    seen_s: float
    online: bool
    earned: int = 0  # CPT that it earned at this pool, as far as the pool has counted
    waiting: Wish | None = None  # what it was not there to hear yet
    is_this: bool = False
    is_called: bool = False  # the pool calls it, and knows only what it reports; nothing can be asked of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All machines of the account, by name. `at_s` is the pool's time of the answer."""

    account: str
    machines: tuple[Machine, ...]
    balance: int | None
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of a wish: machines that hear it now, and those that will when they are back."""

    now: tuple[str, ...]
    later: tuple[str, ...]
