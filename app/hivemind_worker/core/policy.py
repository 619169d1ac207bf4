"""Whether work is wanted now, and whether the pool should hear of us."""

from __future__ import annotations

from hivemind_worker.core.state import State
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.snapshot import Mode
from hivemind_worker.model.task import Problem

_WORDS = {
    Mode.PAUSED: "its owner has paused it",
    Mode.FINISHING: "it finishes what it has and takes nothing new",
    Mode.STOPPING: "it is being shut down",
}


def objection(state: State) -> Problem | None:
    """Why no new task is taken at all just now, or None."""
    if state.stopping:
        return Problem(code=FaultCode.NOT_ACCEPTING, about=_WORDS[Mode.STOPPING])
    if state.node.mode is not Mode.RUN:
        return Problem(code=FaultCode.NOT_ACCEPTING, about=_WORDS[state.node.mode])
    return state.blocker


def wants_announcement(state: State) -> bool:
    """Whether to keep registering: always while a task is here, else only when one would be taken.

    A pool forgets a silent node after 30 s, so that nothing is offered and refused for ever;
    but it fails the tasks of a node that is silent for 60 s (protocol.md, quirk 12).
    """
    return bool(state.unended()) or objection(state) is None
