"""Journal rows <-> JSON text with a checksum. Unknown keys of a later version are refused, absent ones take
defaults. Rows of version 1 have no checksum and are taken as they are."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, replace
from typing import Any

from hivemind_worker.model.facts import Condition
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.snapshot import FailureRun, Mode, NodeState
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
    key_of,
)  # fmt: skip

CHECKSUM = ',"crc":'


class BadRowError(ValueError):
    """A row that cannot be understood; its text says why."""


def encode(row: Task | NodeState) -> str:
    """The row as one line of JSON; its last key is the checksum of all the others."""
    text = json.dumps(asdict(row), separators=(",", ":"), ensure_ascii=True)
    return f"{text[:-1]}{CHECKSUM}{zlib.crc32(text.encode())}}}"


def _checked(text: str) -> dict[str, Any]:
    """The row as it was written.

    Raises:
        ValueError: not JSON, or changed since: SQLite does not see a flipped bit inside a text.
    """
    row = json.loads(text)
    crc = row.pop("crc", None)
    whole = text.rpartition(CHECKSUM)[0] + "}"
    if crc is not None and crc != zlib.crc32(whole.encode("utf-8", "surrogatepass")):
        raise ValueError("its checksum is not right")
    return dict(row)


def _problem(value: dict[str, Any] | None) -> Problem | None:
    return None if value is None else Problem(code=FaultCode(value["code"]), about=str(value["about"]))


def decode_task(text: str) -> Task:
    """The task in this text.

    Raises:
        BadRowError: damaged, or written by a later version.
    """
    try:
        row = _checked(text)
        if key_of(TaskId(row["task_id"])) != row["key"]:  # names of files come from it
            raise ValueError("its key is another task's")
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
        row = _checked(text)
        conditions = tuple(Condition(**each) for each in row.get("conditions", ()))
        failures = tuple(FailureRun(**each) for each in row.get("failures", ()))
        return NodeState(**{**row, "mode": Mode(row["mode"]), "conditions": conditions, "failures": failures})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRowError(f"node row: {error!r}") from error


def readable_task(key: Any, task_id: Any, is_open: Any, ended_at_s: Any, text: Any) -> Task:
    """The task of a task's columns; when its row is damaged, what the other columns still tell.

    An id that is known is never run again, and an open task is reported to the pool, which would
    wait for it for ever.

    Raises:
        BadRowError: its id is damaged too.
    """
    try:
        task = decode_task(str(text))
        if task.key != key:
            raise BadRowError(f"row {key} holds {task.key}")
        return task
    except BadRowError:
        if key_of(TaskId(str(task_id))) != key:
            raise
    row = Task(
        task_id=TaskId(task_id), key=TaskKey(key), attempt=1, body_sha256="", demand=Resources(),
        state=TaskState.ALLOCATED, accepted_at_s=0.0,
    )  # fmt: skip
    if is_open:
        return row
    at_s = float(ended_at_s or 0.0)
    unread = Problem(code=FaultCode.BAD_JOURNAL, about="what it held of this task")
    return replace(
        row,
        state=TaskState.FAILED,
        ended_at_s=at_s,
        accepted_at_s=at_s,
        problem=unread,
        delivery=Delivery.KEPT,
    )
