"""What the decisions look at: the open tasks, the owner's wishes and what the computer has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hivemind_worker.core.judge import Memory
from hivemind_worker.model.judgement import Judgement
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.rules import Rules
from hivemind_worker.model.snapshot import NodeState
from hivemind_worker.model.task import Problem, Task, TaskKey

ID_MEMORY_S = 7 * 86400.0
"""Time for which the id of an ended task may not be used for other contents (security.md, G2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The engine's whole state. `refusals` counts identical offers that no retry can cure."""

    tasks: Mapping[TaskKey, Task] = field(default_factory=dict)
    node: NodeState = field(default_factory=NodeState)
    total: Resources = field(default_factory=Resources)
    max_tasks: int = 1
    blocker: Problem | None = None
    stopping: bool = False
    rules: Rules = field(default_factory=Rules)
    judgement: Judgement = field(default_factory=Judgement)
    memory: Memory = field(default_factory=Memory)
    ladder_held: int = 0  # newest tasks that are held because memory is scarce
    ladder_moved_s: float | None = None  # steady
    shares: Mapping[TaskKey, float] = field(default_factory=dict)  # cores, as last ordered
    refusals: Mapping[TaskKey, tuple[str, int]] = field(default_factory=dict)

    def with_task(self, task: Task) -> State:
        """The state with this row in place of the old one; a row that is not open leaves it."""
        tasks = dict(self.tasks)
        tasks.pop(task.key, None)  # a changed row goes to the end
        if task.is_open:
            tasks[task.key] = task
        return replace(self, tasks=tasks)

    def unended(self) -> tuple[Task, ...]:
        """The tasks that take a place: allocated, running or paused."""
        return tuple(task for task in self.tasks.values() if not task.state.has_ended)
