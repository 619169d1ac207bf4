"""A task as a row: the seed API's shape, and the full one of /api/v1."""

from __future__ import annotations

from dataclasses import asdict

from hivemind_worker.model.task import Task
from hivemind_worker.model.work import RunFigures
from hivemind_worker.presentation.amounts import iso
from hivemind_worker.presentation.faults import problem_row


def elapsed_s(task: Task, now_s: float) -> float:
    """Seconds from its start (or acceptance, when it has not started) to its end or now; never below 0."""
    begin_s = task.started_at_s if task.started_at_s is not None else task.accepted_at_s
    end_s = task.ended_at_s if task.ended_at_s is not None else now_s
    return round(max(0.0, end_s - begin_s), 3)


def seed_task(task: Task, now_s: float) -> dict[str, object]:
    """The five keys of the seed's GET /api/tasks, then a few that a table needs."""
    begin_s = task.started_at_s if task.started_at_s is not None else task.accepted_at_s
    return {
        "task_id": task.task_id,
        "status": task.state.value,
        "start_time": iso(begin_s),
        "elapsed": elapsed_s(task, now_s),
        "resources": task.demand.as_dict(),
        "key": task.key,
        "phase": task.phase.value,
        "runtime": task.runtime,
        "exit_code": task.exit_code,
        "delivery": task.delivery.value,
        "problem": problem_row(task.problem),
    }


def uses_now(figures: RunFigures | None) -> dict[str, object] | None:
    """What a running task uses, for the API: cores, bytes, and when that was."""
    return None if figures is None else {**asdict(figures), "at": iso(figures.at_s)}


def v1_task(task: Task, now_s: float) -> dict[str, object]:
    """All that is known of a task."""
    return {
        **seed_task(task, now_s),
        "attempt": task.attempt,
        "accepted_at": iso(task.accepted_at_s),
        "started_at": iso(task.started_at_s),
        "ended_at": iso(task.ended_at_s),
        "delivered_at": iso(task.delivered_at_s),
        "held": task.held,
        "stop_reason": task.stop_reason.value if task.stop_reason else None,
        "where": task.where,
        "image": task.image,
        "pool": task.pool,
        "result_bytes": task.result_bytes,
        "trust_change": task.trust_change,
        "usage": {
            "cpu_s": task.usage.cpu_s,
            "wall_s": task.usage.wall_s,
            "peak_memory_bytes": task.usage.peak_memory_bytes,
        },
    }
