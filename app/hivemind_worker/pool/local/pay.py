"""What tasks cost and what workers earn, in CPT.

By default this pool charges nobody: it credits a worker's account itself, once, for each
task that it COMPLETED. With charging, it does as the original does: the requester pays
the worker's account for every full minute of running, and nothing at the end.
"""

from __future__ import annotations

from hivemind_worker.model.pool_records import PoolTask
from hivemind_worker.model.resources import CPU_SCORE_PER_CORE

MINUTE_S = 60.0


def cost_per_minute(task: PoolTask) -> int:
    """The sum of the task's demands, 1 at least (protocol section 4, payment)."""
    return max(1, task.cpu_score + task.gpu_score + task.memory_gb + task.gpu_memory_gb)


def reward(task: PoolTask) -> int:
    """1 for each whole core, 100 of GPU score, and GiB that the task asked for; 1 at least."""
    cores = (task.cpu_score + task.gpu_score) // CPU_SCORE_PER_CORE
    return max(1, cores + task.memory_gb + task.gpu_memory_gb)


def minutes_due(task: PoolTask, now_s: float) -> int:
    """Full minutes of running that are not paid yet."""
    if task.started_at_s is None:
        return 0
    return max(0, int((now_s - task.started_at_s) // MINUTE_S) - task.paid_minutes)
