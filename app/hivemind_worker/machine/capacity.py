"""How much of this computer is lent: the owner's limits, else at most half of the machine."""

from __future__ import annotations

import os
from collections.abc import Collection

import psutil

from hivemind_worker.model.resources import CPU_SCORE_PER_CORE, MEMORY_FLOOR_GB, Resources
from hivemind_worker.model.settings import Settings

GIB = 1024**3
FEWEST_CORES = 1.0


def cores_here() -> int:
    """Processors that this program may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def memory_here_gb() -> float:
    """Installed memory in GiB."""
    return float(psutil.virtual_memory().total) / GIB


def lent(settings: Settings, set_by_hand: Collection[str]) -> Resources:
    """The ledger's total. A limit set by hand counts as it is, up to the whole machine; one that is
    not is cut to half the machine, but never below one core and the smallest task."""
    cores = _share(settings.max_cpu_cores, float(cores_here()), "max_cpu_cores" in set_by_hand, FEWEST_CORES)
    memory = _share(settings.max_memory_gb, memory_here_gb(), "max_memory_gb" in set_by_hand, MEMORY_FLOOR_GB)
    return Resources(cpu=cores * CPU_SCORE_PER_CORE, memory_gb=round(memory, 2))


def _share(limit: float, whole: float, by_hand: bool, least: float) -> float:
    return min(limit, whole) if by_hand else min(limit, max(whole / 2, least))
