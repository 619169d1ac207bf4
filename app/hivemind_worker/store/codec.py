"""Journal rows <-> JSON text. Unknown keys of a later version are refused, absent ones take defaults."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.snapshot import Mode, NodeState
from hivemind_worker.model.task import (
    Delivery,
    Phase,
    Problem,
    StopReason,
    Task,
    TaskId,
    TaskKey,
    TaskState,
    Usage,
)  # fmt: skip


class BadRowError(ValueError):
    """A row that cannot be understood; its text says why."""


def encode(row: Task | NodeState) -> str:
    """The row as one line of JSON."""
    return json.dumps(asdict(row), separators=(",", ":"), ensure_ascii=True)


def _problem(value: dict[str, Any] | None) -> Problem | None:
    return None if value is None else Problem(code=FaultCode(value["code"]), about=str(value["about"]))


def decode_task(text: str) -> Task:
    """The task in this text.

    Raises:
        BadRowError: damaged, or written by a later version.
    """
    try:
        row = json.loads(text)
        stop_reason = row["stop_reason"]
        return Task(
            **{
                **row,
                "task_id": TaskId(row["task_id"]),
                "key": TaskKey(row["key"]),
                "demand": Resources(**row["demand"]),
                "state": TaskState(row["state"]),
                "phase": Phase(row["phase"]),
                "delivery": Delivery(row["delivery"]),
                "stop_reason": None if stop_reason is None else StopReason(stop_reason),
                "problem": _problem(row["problem"]),
                "usage": Usage(**row["usage"]),
            }
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRowError(f"task row: {error!r}") from error


def decode_node(text: str) -> NodeState:
    """The node's own row.

    Raises:
        BadRowError: damaged, or written by a later version.
    """
    try:
        row = json.loads(text)
        return NodeState(**{**row, "mode": Mode(row["mode"])})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRowError(f"node row: {error!r}") from error
