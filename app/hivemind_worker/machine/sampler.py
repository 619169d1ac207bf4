"""Figures of the computer at this moment. Calls take a millisecond or two: use the probe thread."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil

from hivemind_worker.model.machine import Sample

GIB = 1024**3


def take_sample(disk: Path) -> Sample:
    """Use of processor since the last call (0.0 at the first), memory, and free disk where `disk` lies."""
    memory = psutil.virtual_memory()
    return Sample(
        cpu_percent=psutil.cpu_percent(interval=None),
        memory_percent=memory.percent,
        memory_available_gb=memory.available / GIB,
        memory_total_gb=memory.total / GIB,
        disk_available_gb=free_disk_bytes(disk) / GIB,
    )


def free_disk_bytes(folder: Path) -> int:
    """Bytes that a program may still write where `folder` lies."""
    return shutil.disk_usage(folder).free


def available_memory_bytes() -> int:
    """Memory that programs may still take without swapping."""
    return int(psutil.virtual_memory().available)
