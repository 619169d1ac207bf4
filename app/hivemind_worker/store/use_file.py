"""What a task has used over its time, as a small file in its folder. Disposable: one that cannot be read is
nothing, one that cannot be written is left out. All calls block."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from hivemind_worker.model.work import UsePoint

MOST_BYTES = 1 << 20


def read_use(path: Path, attempt: int) -> tuple[UsePoint, ...]:
    """The points of this attempt, oldest first."""
    try:
        with path.open("rb") as file:
            kept = json.loads(file.read(MOST_BYTES))
        kept_attempt = kept["attempt"]
        points = tuple(_point(*row) for row in kept["points"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return points if attempt == kept_attempt else ()


def write_use(path: Path, attempt: int, points: Sequence[UsePoint]) -> None:
    """Keep the points in place of those before; nothing where the folder has gone."""
    rows = [(point.at_s, point.cores, point.memory_bytes, point.paused) for point in points]
    part = path.with_suffix(".part")
    try:
        part.write_text(json.dumps({"attempt": attempt, "points": rows}), "utf-8")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)


def _point(at_s: float, cores: float | None, memory_bytes: int | None, paused: bool) -> UsePoint:
    return UsePoint(
        at_s=float(at_s), cores=None if cores is None else float(cores),
        memory_bytes=None if memory_bytes is None else int(memory_bytes), paused=bool(paused),
    )  # fmt: skip
