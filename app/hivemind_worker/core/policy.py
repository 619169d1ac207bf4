"""What the owner's wish and the rules mean: for each task, for new ones, and for the pool.

`core.judge` says what the rules find; the owner's pause stands above it.
"""

from __future__ import annotations

from hivemind_worker.core.ledger import reserved
from hivemind_worker.core.state import State
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.resources import CPU_SCORE_PER_CORE, Resources
from hivemind_worker.model.snapshot import Mode
from hivemind_worker.model.task import Problem, Task, TaskKey, TaskState

LEAST_CORES = 0.05

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
    if (rule := state.judgement.refuses) is not None:
        return Problem(code=FaultCode.NOT_ACCEPTING, about=f"a rule of its owner ({rule.code.value})")
    if any(run.until_s is not None for run in state.node.failures[-1:]):
        return Problem(code=FaultCode.NOT_ACCEPTING, about="tasks in a row have failed; it tries again later")
    return state.blocker


def wants_announcement(state: State) -> bool:
    """Whether to keep registering: always while a task is here, else only when one would be taken.

    A pool forgets a silent node after 30 s, so that nothing is offered and refused for ever;
    but it fails the tasks of a node that is silent for 60 s (protocol.md, quirk 12).
    """
    return bool(state.unended()) or objection(state) is None


def most_tasks(state: State) -> int:
    """Tasks at once at most now: the setting's number, or the level's when that is lower."""
    return min(state.max_tasks, state.judgement.amount.tasks or state.max_tasks)


def room(state: State) -> Resources:
    """What may still be promised at this level; the owner's limits hold whatever the level says."""
    amount, total = state.judgement.amount, state.total
    gpu = amount.gpu and not gpu_is_held(state)
    level = Resources(
        cpu=min(total.cpu, amount.cores * CPU_SCORE_PER_CORE or total.cpu),
        memory_gb=min(total.memory_gb, amount.memory_gb or total.memory_gb),
        gpu=total.gpu if gpu else 0.0,
        gpu_memory_gb=total.gpu_memory_gb if gpu else 0.0,
    )
    return level.minus(reserved(state))


def gpu_is_held(state: State) -> bool:
    """Whether nothing may use a graphics card now."""
    return state.node.gpu_paused or state.judgement.freezes_gpu


def held(state: State) -> frozenset[TaskKey]:
    """The started tasks that must not run now."""
    started = [task for task in state.tasks.values() if task.state in (TaskState.RUNNING, TaskState.PAUSED)]
    if state.node.mode is Mode.PAUSED or state.judgement.freezes:
        return frozenset(task.key for task in started)
    keys = {task.key for task in started if task.held or (task.demand.gpu > 0 and gpu_is_held(state))}
    left = sorted((task for task in started if task.key not in keys), key=_age)
    keep = max(0, min(most_tasks(state), len(left) - state.ladder_held))
    return frozenset(keys.union(task.key for task in left[keep:]))


def _age(task: Task) -> tuple[float, str]:
    return task.accepted_at_s, task.key


def shares(state: State) -> dict[TaskKey, float]:
    """Cores for each running task: what it asked for, less when the level does not give that to all."""
    amount = state.judgement.amount
    whole = state.total.cpu / CPU_SCORE_PER_CORE
    level = min(whole, amount.cores or whole) * amount.cpu_percent / 100
    running = [task for task in state.tasks.values() if task.state is TaskState.RUNNING]
    asked = {task.key: asked_cores(state, task) for task in running}
    scale = min(1.0, level / max(sum(asked.values()), 1e-9))
    return {key: max(LEAST_CORES, cores * scale) for key, cores in asked.items()}


def asked_cores(state: State, task: Task) -> float:
    """What a task starts with: the cores that it asked for, up to all that are lent."""
    return max(LEAST_CORES, min(task.demand.cpu, state.total.cpu) / CPU_SCORE_PER_CORE)
