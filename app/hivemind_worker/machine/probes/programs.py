"""Which of the named programs run. Linux reads one short file a process, elsewhere psutil lists names."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from hivemind_worker.model.rules import plain_name

KERNEL_NAME_LENGTH = 15
"""The kernel cuts a process's name to this."""


def from_proc(root: Path = Path("/proc")) -> Iterable[str]:
    """Names of all processes, as far as the kernel keeps them."""
    for number in os.listdir(root):  # noqa: PTH208 - plain calls: there are hundreds, every few seconds
        if number.isdigit():
            with contextlib.suppress(OSError):
                yield _first_line(f"{root}/{number}/comm")


def _first_line(file: str) -> str:
    opened = os.open(file, os.O_RDONLY)
    try:
        return os.read(opened, 64).decode(errors="replace").rstrip("\n")
    finally:
        os.close(opened)


def from_psutil() -> Iterable[str]:
    """Names of all processes."""
    return (process.info["name"] or "" for process in psutil.process_iter(["name"]))


def running_names(
    wanted: frozenset[str], names: Callable[[], Iterable[str]] | None = None
) -> frozenset[str] | None:
    """Those of `wanted` (as `plain_name` makes them) that run now; None when nothing can be listed."""
    if not wanted:
        return frozenset()
    short = {name[:KERNEL_NAME_LENGTH]: name for name in wanted}
    try:
        found = {
            plain_name(name) for name in (names or (from_proc if sys.platform == "linux" else from_psutil))()
        }
    except (OSError, psutil.Error):
        return None
    return frozenset(short[name[:KERNEL_NAME_LENGTH]] for name in found if name[:KERNEL_NAME_LENGTH] in short)
