"""Two short lists of the owner's that hold no secret: the pools used, and the tasks sent. JSON, mode 0600.

A damaged list is an empty one: nothing depends on it. All calls block.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.pools import KeptPool
from hivemind_worker.model.sending import Sending, SendStep
from hivemind_worker.model.task import Problem
from hivemind_worker.owned_file import read_owned, write_owned

MOST_POOLS = 50
MOST_BYTES = 60_000


class PoolList:
    """The pools of this worker by address, the last used first."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def all(self) -> tuple[KeptPool, ...]:
        """The list; who is signed in and which one is active is for others to say."""
        rows = _rows(self._file)
        known = [_pool(row) for row in rows if isinstance(row.get("address"), str)]
        return tuple(sorted(known, key=lambda pool: pool.used_until_s, reverse=True))

    def note(self, address: str, user: str, used_until_s: float) -> None:
        """Put a pool on the list, or bring it up to date; the moment never goes back."""
        others = [pool for pool in self.all() if pool.address != address]
        before = next((pool for pool in self.all() if pool.address == address), None)
        latest_s = max(used_until_s, before.used_until_s if before else 0.0)
        self._write([KeptPool(address=address, user=user, used_until_s=latest_s), *others][:MOST_POOLS])

    def remove(self, address: str) -> None:
        """Take a pool off the list."""
        self._write([pool for pool in self.all() if pool.address != address])

    def _write(self, pools: Iterable[KeptPool]) -> None:
        rows = [
            {"address": pool.address, "user": pool.user, "used_until_s": pool.used_until_s} for pool in pools
        ]
        _write(self._file, rows)


class SentList:
    """The tasks that were sent, newest first."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def all(self) -> tuple[Sending, ...]:
        """The list as it was written last."""
        found = []
        for row in _rows(self._file):
            with contextlib.suppress(KeyError, ValueError, TypeError):
                found.append(_sending(row))
        return tuple(found)

    def write(self, sendings: tuple[Sending, ...]) -> None:
        """Keep this list; the oldest go where it would be too long to be read again."""
        rows = [_as_row(sending) for sending in sendings]
        while rows and len(_text(rows)) > MOST_BYTES:
            rows.pop()
        _write(self._file, rows)


def _rows(file: Path) -> list[dict[str, Any]]:
    content = read_owned(file)
    try:
        rows = json.loads(content or b"[]")
    except ValueError:
        return []
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _text(rows: list[dict[str, Any]]) -> str:
    return json.dumps(rows, indent=1)


def _write(file: Path, rows: list[dict[str, Any]]) -> None:
    with contextlib.suppress(OSError):  # a full disk: the list is a convenience
        write_owned(file, _text(rows).encode())


def _pool(row: Mapping[str, Any]) -> KeptPool:
    used_s = row.get("used_until_s", 0.0)
    return KeptPool(
        address=str(row["address"]), user=str(row.get("user", "")),
        used_until_s=float(used_s) if isinstance(used_s, int | float) else 0.0,
    )  # fmt: skip


def _as_row(sending: Sending) -> dict[str, Any]:
    problem = sending.problem
    return {
        "task_id": sending.task_id, "name": sending.name, "path": sending.path, "pool": sending.pool,
        "step": sending.step.value, "reached": [[step.value, at_s] for step, at_s in sending.reached],
        "packed_bytes": sending.packed_bytes, "node": sending.node, "message": sending.message[:300],
        "problem": [problem.code.value, problem.about[:300]] if problem else None, "result": sending.result,
    }  # fmt: skip


def _sending(row: Mapping[str, Any]) -> Sending:
    problem = row["problem"]
    return Sending(
        task_id=str(row["task_id"]), name=str(row["name"]), path=str(row["path"]), pool=str(row["pool"]),
        step=SendStep(row["step"]),
        reached=tuple((SendStep(step), float(at_s)) for step, at_s in row["reached"]),
        packed_bytes=int(row["packed_bytes"]), node=str(row["node"]), message=str(row["message"]),
        problem=Problem(code=FaultCode(problem[0]), about=str(problem[1])) if problem else None,
        result=str(row["result"]),
    )  # fmt: skip
