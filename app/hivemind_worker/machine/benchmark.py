"""The processor's score: 100 is one core of the reference computer, the same scale that pools count cores by.

Five small programs, each the kind of work that tasks do, timed by the processor time that they took, so
that other programs disturb them little. They take turns in many rounds, and the rounds come in spells with
rests between, so that neither a disturbance of half a second nor one of three counts: the fastest tenth of
the rounds does. Nothing larger than a core's own cache is moved about: what lies beyond is shared with
others, and measured a tenth more or less from run to run. The score is the geometric mean.
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 75
SPELL = 15
REST_S = 0.5
REFERENCE = "one core of an AMD EPYC server of 2026 with CPython 3.11"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """`one_core` and `whole` (all lent cores) with 100 for one reference core; `parts` by program.

    `spread_percent` is how far the fastest third of the rounds lies apart, in the mean over the programs.
    """

    one_core: float
    whole: float
    spread_percent: float
    parts: dict[str, float]


def whole_numbers() -> int:
    """Whole numbers and branches."""
    state = found = 1
    for _ in range(60_000):
        state = (state * 1_103_515_245 + 12_345) & 0x7FFFFFFF
        if state & 1:
            found ^= state
    return found


def real_numbers() -> float:
    """Floating point."""
    total = 0.0
    for number in range(1, 50_000):
        total += math.sin(number) * math.sqrt(number)
    return total


def digests() -> str:
    """What C does at its best."""
    found = hashlib.sha256()
    block = bytes(1 << 16)
    for _ in range(64):
        found.update(block)
    return found.hexdigest()


def memory() -> int:
    """Moving bytes about, in one place: what a new one costs is the system's affair, and varies."""
    for _ in range(1024):
        _BLOCK[1:] = _BLOCK[:-1]
    return len(_BLOCK)


_BLOCK = memoryview(bytearray(1 << 18))


def packing() -> int:
    """Text in and out of a packed form."""
    text = json.dumps([{"number": number, "name": f"row {number}"} for number in range(3000)]).encode()
    return len(json.loads(zlib.decompress(zlib.compress(text, 6))))


PROGRAMS: dict[str, tuple[Callable[[], object], float]] = {
    "whole_numbers": (whole_numbers, 0.00712),
    "real_numbers": (real_numbers, 0.00434),
    "digests": (digests, 0.00233),
    "memory": (memory, 0.00316),
    "packing": (packing, 0.00307),
}
"""Each with the seconds that one core of the reference takes for it."""


def measure(
    cores: float, clock: Callable[[], float] = time.thread_time, rounds: int = ROUNDS,
    rest: Callable[[float], None] = time.sleep,
) -> Score:  # fmt: skip
    """The score of this computer; takes about four seconds, half of them rest."""
    fast, slow = rounds // 10, min(rounds - 1, rounds // 10 + max(2, rounds // 4))
    timed = {name: sorted(times) for name, times in _timed(clock, rounds, rest).items()}
    parts = {name: 100 * PROGRAMS[name][1] / max(times[fast], 1e-9) for name, times in timed.items()}
    one_core = statistics.geometric_mean(parts.values())
    spread = statistics.fmean(100 * (times[slow] / max(times[fast], 1e-9) - 1) for times in timed.values())
    return Score(one_core=one_core, whole=one_core * cores, spread_percent=spread, parts=parts)


def _timed(clock: Callable[[], float], rounds: int, rest: Callable[[float], None]) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for program, _reference_s in PROGRAMS.values():
        program()  # once unmeasured: caches and the interpreter's own adaptation
    for number in range(rounds):
        if number and number % SPELL == 0:
            rest(REST_S)
        for name, (program, _reference_s) in PROGRAMS.items():
            began = clock()
            program()
            taken[name].append(clock() - began)
    return taken
