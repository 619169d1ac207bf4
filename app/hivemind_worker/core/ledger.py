"""The resource books: derived from the open tasks each time, so they cannot drift."""

from __future__ import annotations

from hivemind_worker.core.state import State
from hivemind_worker.model.resources import Resources


def reserved(state: State) -> Resources:
    """The sum of what the tasks that have not ended were promised."""
    total = Resources()
    for task in state.tasks.values():
        if task.holds_resources:
            total = total.plus(task.demand)
    return total


def available(state: State) -> Resources:
    """What may still be promised: never negative, never over the total."""
    return state.total.minus(reserved(state))
