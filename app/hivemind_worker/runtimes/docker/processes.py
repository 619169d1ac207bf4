"""The processes of a container as this computer sees them, where it is the one that runs them (Linux)."""

from __future__ import annotations

import contextlib
from pathlib import Path

MOST = 512


def processes_of(first: int, container: str) -> tuple[int, ...]:
    """Ids of the container's first process and all below it; none where that is not ours to see."""
    with contextlib.suppress(OSError):
        if container not in Path(f"/proc/{first}/cgroup").read_text(encoding="ascii", errors="replace"):
            return ()  # another computer's number, e.g. of a virtual machine
        found = [first]
        for pid in found:
            found += _children(pid)[: MOST - len(found)]
        return tuple(found)
    return ()


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError, ValueError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
