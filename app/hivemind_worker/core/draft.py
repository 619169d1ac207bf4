"""A decision being made: what has changed, what the journal must hold of it, and what to do then."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hivemind_worker.core import guard, trust
from hivemind_worker.core.state import State
from hivemind_worker.core.transitions import Step
from hivemind_worker.model.effects import AnyEffect, Reply
from hivemind_worker.model.history import StoryLine
from hivemind_worker.model.snapshot import NodeState
from hivemind_worker.model.task import Task, TaskKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The new state, what of it the journal must hold, and what to do then."""

    state: State
    changed: tuple[Task, ...] = ()
    node: NodeState | None = None
    lines: tuple[StoryLine, ...] = ()
    effects: tuple[AnyEffect, ...] = ()
    reply: Reply | None = None


@dataclass(slots=True)
class Draft:
    """A decision being made: each change is applied to the state at once."""

    state: State
    changed: dict[TaskKey, Task] = field(default_factory=dict)
    lines: list[StoryLine] = field(default_factory=list)
    effects: list[AnyEffect] = field(default_factory=list)
    node_changed: bool = False

    def put(self, task: Task, at_s: float, what: str, text: str = "") -> None:
        self.state = self.state.with_task(task)
        self.changed[task.key] = task
        self.lines.append(StoryLine(key=task.key, at_s=at_s, what=what, text=text))

    def set_node(self, node: NodeState) -> None:
        self.node_changed = self.node_changed or node != self.state.node
        self.state = replace(self.state, node=node)

    def take(self, step: Step, at_s: float, what: str) -> None:
        self.put(self._scored(step.task), at_s, what, step.text)
        self.effects.extend(step.effects)

    def _scored(self, task: Task) -> Task:
        """The row with its trust change, when this step ended it."""
        before = self.state.tasks.get(task.key)
        if not task.state.has_ended or (before is not None and before.state.has_ended):
            return task
        score = self.state.node.trust_score
        moved = trust.moved(score, task.state)
        failures = guard.after_end(self.state.node.failures, task, task.ended_at_s or 0.0)
        self.set_node(replace(self.state.node, trust_score=moved, failures=failures))
        return replace(task, trust_change=moved - score)

    def done(self, reply: Reply | None = None) -> Decision:
        return Decision(
            state=self.state,
            changed=tuple(self.changed.values()),
            node=self.state.node if self.node_changed else None,
            lines=tuple(self.lines),
            effects=tuple(self.effects),
            reply=reply,
        )
