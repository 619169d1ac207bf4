"""When an earlier life of the worker last wrote anything: so long what it was cut off from ran at least.

Files that others may touch as well (the journal, which commands read) tell nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from hivemind_worker.model.metrics import Step
from hivemind_worker.store.history import MetricHistory


async def last_figures_s(history: MetricHistory) -> float:
    """The last moment of which figures were kept (UTC epoch seconds); 0.0 where there is none."""
    points = await history.read(Step.SECOND, 0.0, 1)
    return float(points[-1].at_s) if points else 0.0


def newest_s(files: Iterable[Path]) -> float:
    """The newest modification of these files; 0.0 where none is there. Blocks."""
    found = [0.0]
    for file in files:
        with contextlib.suppress(OSError):
            found.append(file.stat().st_mtime)
    return max(found)
