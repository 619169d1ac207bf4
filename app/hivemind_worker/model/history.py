"""What the journal keeps beside the rows: the lines that `story` shows, and one transaction's content."""

from __future__ import annotations

from dataclasses import dataclass

from hivemind_worker.model.snapshot import NodeState
from hivemind_worker.model.task import Task, TaskKey


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryLine:
    """One thing that happened to a task."""

    key: TaskKey
    at_s: float
    what: str  # name of the event, e.g. "RunEnded"
    text: str  # short particulars


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One transaction: changed rows, the node's own row when it changed, and history lines."""

    tasks: tuple[Task, ...] = ()
    node: NodeState | None = None
    lines: tuple[StoryLine, ...] = ()
