"""Whether an offered task is taken. Counterpart: pool.wire has checked every bound of the message."""

from __future__ import annotations

from hivemind_worker.core.policy import most_tasks, objection, room
from hivemind_worker.core.state import ID_MEMORY_S, State
from hivemind_worker.model.effects import Accepted, Refused, Reply
from hivemind_worker.model.events import TaskOffered
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.task import Delivery, Problem, Task

PATIENCE = 3
"""The pool offers a refused task again for ever; this offer of a hopeless one is taken and answered
by an archive that holds the reason (protocol.md, quirk 12)."""


def known_answer(event: TaskOffered, known: Task) -> Reply | None:
    """The answer to an id that is known already; None: treat it as a new attempt."""
    if known.body_sha256 != event.offer.body_sha256:
        ended = known.ended_at_s
        if known.is_open or ended is None or event.at_s - ended < ID_MEMORY_S:
            return Refused(problem=Problem(code=FaultCode.ID_TAKEN))
        return None
    if known.is_open or event.result_kept:
        return Accepted(fresh=False)
    return None


def owes_again(event: TaskOffered, known: Task) -> bool:
    """Whether the stored result goes out once more: the pool has lost what it acknowledged."""
    return event.result_kept and known.delivery in (Delivery.DELIVERED, Delivery.KEPT)


def room_problem(state: State, demand: Resources) -> Problem | None:
    """Why the demand cannot be met now, or None."""
    if lacking := demand.lacking_in(state.total):
        return Problem(code=FaultCode.IMPOSSIBLE_DEMAND, about=_amounts(demand, state.total, lacking))
    if len(state.unended()) >= most_tasks(state):
        return Problem(code=FaultCode.NO_SLOT, about=str(most_tasks(state)))
    free = room(state)
    if lacking := demand.lacking_in(free):
        return Problem(code=FaultCode.NO_ROOM, about=_amounts(demand, free, lacking))
    return None


def _amounts(asked: Resources, there: Resources, names: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {getattr(asked, name):g} of {getattr(there, name):g}" for name in names)


def new_offer_problem(state: State, event: TaskOffered) -> Problem | None:
    """Why a task not yet known is not taken now, or None. The inspection's finding comes last:
    it is only counted when the offer would have been taken otherwise."""
    return demand_problem(state, event.offer.demand) or event.problem


def demand_problem(state: State, demand: Resources) -> Problem | None:
    """Why no task of this demand is taken now, or None: told before its archive is here."""
    return objection(state) or room_problem(state, demand)


def times_refused(state: State, event: TaskOffered) -> int:
    """How often this very archive was refused for what the inspection found."""
    sha256, count = state.refusals.get(event.offer.key, ("", 0))
    return count if sha256 == event.offer.body_sha256 else 0
