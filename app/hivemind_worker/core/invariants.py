"""What must hold after every decision; the tests look after each step."""

from __future__ import annotations

from hivemind_worker.core.ledger import available
from hivemind_worker.core.policy import LEAST_CORES, held, shares
from hivemind_worker.core.state import State
from hivemind_worker.core.trust import HIGHEST, LOWEST
from hivemind_worker.model.resources import CPU_SCORE_PER_CORE
from hivemind_worker.model.task import Delivery, Task, TaskState, key_of


def broken(state: State) -> tuple[str, ...]:
    """Every rule that the state breaks, in words; empty when all is well."""
    found: list[str] = []
    if not available(state).fits_in(state.total):
        found.append("more is available than there is")
    if not LOWEST <= state.node.trust_score <= HIGHEST:
        found.append(f"trust score {state.node.trust_score}")
    cores = shares(state)
    if sum(cores.values()) > state.total.cpu / CPU_SCORE_PER_CORE + LEAST_CORES * len(cores) + 1e-6:
        found.append("more of the processor is shared out than is lent")
    for key, task in state.tasks.items():
        if key != task.key or key != key_of(task.task_id):
            found.append(f"{key} holds a task of another key")
        found.extend(f"{task.task_id}: {text}" for text in _broken_task(state, task))
    return tuple(found)


def _broken_task(state: State, task: Task) -> list[str]:
    found: list[str] = []
    if not task.is_open:
        found.append("is closed but still in the state")
    if task.state.has_ended != (task.ended_at_s is not None):
        found.append("its end and its state disagree")
    if not task.state.has_ended and task.delivery is not Delivery.NONE:
        found.append("owes a result before its end")
    if task.state is TaskState.PAUSED and task.key not in held(state):
        found.append("is paused while nothing holds it")
    if task.state is TaskState.RUNNING and task.key in held(state) and task.stop_reason is None:
        found.append("runs while it is held")
    if (task.state is TaskState.PAUSED) != (task.paused_at_s is not None):
        found.append("its pause and its state disagree")
    if task.state is TaskState.COMPLETED and task.exit_code != 0:
        found.append("is completed without exit code 0")
    if task.state is TaskState.FAILED and task.problem is None:
        found.append("failed without a reason")
    return found
