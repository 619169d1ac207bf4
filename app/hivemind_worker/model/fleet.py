"""The machines of one account at a pool, as each of them sees the others, and what their owner wishes.

A wish is one of three words: nothing else can be asked of a machine from afar.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

ONLINE_S = 75.0
"""A machine that was not heard from for so long is away: it tells its standing every 30 s."""
WISH_KEPT_S = 7 * 24 * 60 * 60.0
"""A wish for a machine that is away is kept for so long."""
LONGEST_PAUSE_S = 366 * 24 * 60 * 60.0
NAME_BYTES, TEXT_BYTES = 256, 1000
VALUES_MOST, VALUE_NAME_LETTERS, LARGEST = 8, 32, 10**12

Value = str | int | float | None
Values = Mapping[str, Value]
"""What a sentence is made of, by name."""


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
    """What a machine tells of itself: its verdict as a code with values, and in its own words.

    The words are for those who do not know the code; machines of earlier versions tell nothing else.
    """

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
    values: Values = field(default_factory=dict)


def values_from_afar(untrusted: object) -> Values:
    """Values that came from another machine, few and bounded; none of them where one is not."""
    if not isinstance(untrusted, dict) or len(untrusted) > VALUES_MOST:
        return {}
    is_sound = all(_is_name(name) and _is_value(value) for name, value in untrusted.items())
    return untrusted if is_sound else {}


def _is_name(untrusted: object) -> bool:
    return isinstance(untrusted, str) and len(untrusted) <= VALUE_NAME_LETTERS and untrusted.isidentifier()


def _is_value(untrusted: object) -> bool:
    if isinstance(untrusted, str):
        is_plain = all(letter >= " " and not "\x7f" <= letter < "\xa0" for letter in untrusted)
        return is_plain and len(untrusted.encode("utf-8", "surrogatepass")) <= TEXT_BYTES
    if isinstance(untrusted, int | float):  # a bool too
        return math.isfinite(untrusted) and abs(untrusted) <= LARGEST
    return untrusted is None


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
