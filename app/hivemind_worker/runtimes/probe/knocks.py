"""Runs the probe through the Runtime port, a part at a time, in folders of its own.

The folder it is given holds, beside each task's workspace, a file that no task may read: the canary.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hivemind_worker import places
from hivemind_worker.model.task import Outcome, TaskId, key_of
from hivemind_worker.model.work import RunOrder
from hivemind_worker.runtimes.probe.judgement import (
    Finding,
    judge_disk,
    judge_doors,
    judge_log,
    judge_memory,
)

if TYPE_CHECKING:
    from hivemind_worker.engine.ports import Runtime

MIB = 1 << 20
MEMORY_BYTES = 512 * MIB  # the least that a container is given
DISK_BYTES = 64 * MIB
LOG_BYTES = 64 * MIB
TIME_LIMIT_S = 90.0
KEPT_OUTPUT_BYTES = 1 * MIB

Addresses = Mapping[str, Sequence[tuple[str, int]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the probe looks for. `canary` is a secret text; addresses by kind: host, lan, metadata, pool,
    containers."""

    host_name: str
    canary: str = field(repr=False)
    addresses: Addresses


@dataclass(slots=True)
class _Heard:
    """What one run printed: its beginning, and how it came."""

    text: bytearray = field(default_factory=bytearray)
    total_bytes: int = 0
    largest_piece_bytes: int = 0

    async def take(self, piece: bytes, _mark: bytes = b"", /) -> None:
        self.total_bytes += len(piece)
        self.largest_piece_bytes = max(self.largest_piece_bytes, len(piece))
        self.text += piece[: KEPT_OUTPUT_BYTES - len(self.text)]


async def knock(runtime: Runtime, around: Surroundings, folder: Path) -> AsyncIterator[Finding]:
    """Every finding about `runtime`, as it is known. `folder` is the caller's, who removes it.

    Takes a few seconds and, where a door is open, up to 576 MiB of disk and 1.5 GiB of memory for moments.
    """
    canary = folder / "canary"
    canary.write_text(around.canary, encoding="utf-8")
    outcome, heard, _ = await _play(runtime, around, folder, "doors")
    for finding in judge_doors(bytes(heard.text), runtime.name):
        yield _explained(finding, outcome)
    outcome, heard, _ = await _play(runtime, around, folder, "memory")
    yield judge_memory(bytes(heard.text), outcome, MEMORY_BYTES)
    outcome, heard, workspace = await _play(runtime, around, folder, "disk")
    yield judge_disk(bytes(heard.text), outcome, DISK_BYTES, _size(workspace / "filling"))
    outcome, heard, _ = await _play(runtime, around, folder, "log")
    yield judge_log(heard.largest_piece_bytes, heard.total_bytes, LOG_BYTES, outcome)


def _explained(finding: Finding, outcome: Outcome) -> Finding:
    """A probe that did not get to the end: say what ended it."""
    if finding.closed or outcome.problem is None:
        return finding
    seen = f"{finding.seen} ({outcome.problem.code}: {outcome.problem.about})"
    return Finding(door=finding.door, closed=False, seen=seen[:400])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


async def _play(
    runtime: Runtime, around: Surroundings, folder: Path, part: str
) -> tuple[Outcome, _Heard, Path]:
    workspace = lay_out(folder / part / "workspace", around, folder / "canary", part)
    heard = _Heard()

    async def started(_where: str, /, *, image: str = "", runtime: str = "") -> None:
        return None

    task_id = TaskId(f"doctor {part}")
    order = RunOrder(
        key=key_of(task_id), attempt=1, task_id=task_id, workspace=workspace, entry="main.py", cpu_cores=1.0,
        memory_bytes=MEMORY_BYTES, disk_bytes=DISK_BYTES, time_limit_s=TIME_LIMIT_S,
    )  # fmt: skip
    return await runtime.run(order, heard.take, started), heard, workspace


def lay_out(workspace: Path, around: Surroundings, canary: Path, part: str) -> Path:
    """A workspace with the probe and what it looks for."""
    workspace.mkdir(parents=True)
    (workspace / "main.py").write_bytes((places.resources() / "probe" / "main.py").read_bytes())
    look_for = {
        "part": part, "canary": str(canary.absolute()),
        "canary_sha256": hashlib.sha256(around.canary.encode()).hexdigest(), "host_name": around.host_name,
        "addresses": {kind: list(these) for kind, these in around.addresses.items()},
        "memory_bytes": MEMORY_BYTES, "disk_bytes": DISK_BYTES, "log_bytes": LOG_BYTES,
    }  # fmt: skip
    (workspace / "probe.json").write_text(json.dumps(look_for), encoding="utf-8")
    return workspace
