"""How much of this computer is lent: the owner's limits, else at most half of the machine."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import psutil

from hivemind_worker.model.machine import Gpu
from hivemind_worker.model.resources import CPU_SCORE_PER_CORE, MEMORY_FLOOR_GB, Resources
from hivemind_worker.model.settings import Settings

GIB = 1024**3
FEWEST_CORES = 1.0


def cores_here() -> int:
    """Processors that this program may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


@functools.cache  # asked at each change of a task
def memory_here_gb() -> float:
    """Installed memory in GiB."""
    return float(psutil.virtual_memory().total) / GIB


def fingerprint() -> str:
    """Names the hardware (and the interpreter) that a score was measured on."""
    parts = (_processor(), cores_here(), round(memory_here_gb()), sys.version_info[:2], platform.machine())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _processor() -> str:
    """The processor's name; on Linux the kernel's word, as `platform` knows the architecture alone."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.lower().startswith(("model name", "hardware", "cpu model")):
                return line.partition(":")[2].strip()
    return platform.processor()


def lent(settings: Settings, set_by_hand: Collection[str], cards: Sequence[Gpu] = ()) -> Resources:
    """The ledger's total. A limit set by hand counts as it is, up to the whole machine; one that is
    not is cut to half the machine, but never below one core and the smallest task. `cards` are those
    that tasks can use."""
    cores = _share(settings.max_cpu_cores, float(cores_here()), "max_cpu_cores" in set_by_hand, FEWEST_CORES)
    memory = _share(settings.max_memory_gb, memory_here_gb(), "max_memory_gb" in set_by_hand, MEMORY_FLOOR_GB)
    card_gb = float(sum(int(card.memory_gb) for card in cards))
    return Resources(
        cpu=cores * CPU_SCORE_PER_CORE, memory_gb=round(memory, 2), gpu=gpu_score(cards),
        gpu_memory_gb=card_gb,
    )  # fmt: skip


def gpu_score(cards: Sequence[Gpu]) -> float:
    """The score of these cards on the scale that pools know: 500 a card, and 200 for each GiB of it."""
    return float(sum(500 + 200 * int(card.memory_gb) for card in cards))


def _share(limit: float, whole: float, by_hand: bool, least: float) -> float:
    return min(limit, whole) if by_hand else min(limit, max(whole / 2, least))
