"""The worker's figures in OpenMetrics text: base units, names by its conventions. Values in, text out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hivemind_worker.model.resources import CPU_SCORE_PER_CORE
from hivemind_worker.model.snapshot import LinkState, Snapshot
from hivemind_worker.model.task import TaskState
from hivemind_worker.web.metric_text import END, Row, family, gauge, states
from hivemind_worker.web.schemas import STATUS
from hivemind_worker.web.tally import BOUNDS_S, Tally

if TYPE_CHECKING:
    from hivemind_worker.engine.face import Sample

GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All that the text is made from."""

    snapshot: Snapshot
    status: str
    sample: Sample
    tally: Tally
    health: Mapping[str, str]  # check -> healthy, unhealthy, not_required
    event_readers: int
    process_cpu_s: float
    started_at_s: float


def exposition(figures: Figures) -> bytes:
    """The whole text, with its end mark."""
    families = (*_node(figures), *_tasks(figures), *_resources(figures), *_pool(figures), *_process(figures))
    return "".join([*families, END]).encode()


def _node(figures: Figures) -> tuple[str, ...]:
    snapshot = figures.snapshot
    about = {"version": snapshot.version, "node_id": snapshot.node_id, "sandbox": snapshot.runtime.name}
    checks: list[Row] = [
        ("", {"check": check}, float(status == "healthy"))
        for check, status in figures.health.items()
        if status != "not_required"
    ]
    return (
        family("hivemind_worker", "info", "The worker.", [("_info", about, 1)]),
        states("hivemind_worker_status", "What the worker does.", STATUS, figures.status),
        family("hivemind_check_healthy", "gauge", "Whether a part that is needed works.", checks),
        gauge("hivemind_trust_score", "The trust score.", snapshot.node.trust_score),
        gauge("hivemind_sandbox_ready", "Whether tasks can be run.", float(snapshot.runtime.ready)),
    )


def _tasks(figures: Figures) -> tuple[str, ...]:
    snapshot, tally = figures.snapshot, figures.tally
    open_states = (TaskState.ALLOCATED, TaskState.RUNNING, TaskState.PAUSED)
    counts = {state: sum(task.state is state for task in snapshot.tasks) for state in open_states}
    now: list[Row] = [("", {"state": state.lower()}, count) for state, count in counts.items()]
    ended: list[Row] = [("_total", {"outcome": state.lower()}, n) for state, n in tally.ended.items()]
    return (
        family("hivemind_tasks", "gauge", "Tasks that have not ended, by state.", now),
        gauge("hivemind_tasks_most", "Tasks at once at most.", snapshot.max_tasks),
        family("hivemind_tasks_ended", "counter", "Tasks that ended since the worker started.", ended),
        family(
            "hivemind_task_duration_seconds", "histogram", "Time from start to end of a task.",
            _histogram(tally), "seconds",
        ),
        gauge("hivemind_outbox_results", "Results that the pool has still to take.", snapshot.owed_results),
    )  # fmt: skip


def _histogram(tally: Tally) -> list[Row]:
    rows: list[Row] = []
    so_far = 0
    for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), tally.durations.counts, strict=True):
        so_far += count
        rows.append(("_bucket", {"le": bound}, so_far))
    return [*rows, ("_count", {}, so_far), ("_sum", {}, tally.durations.sum_s)]


def _resources(figures: Figures) -> tuple[str, ...]:
    total, free, sample = figures.snapshot.total, figures.snapshot.available, figures.sample
    memory_bytes = sample.memory_available_gb * GIB
    gpu = None if sample.gpu_percent is None else sample.gpu_percent / 100
    return (
        gauge("hivemind_lent_cores", "Processor cores lent.", total.cpu / CPU_SCORE_PER_CORE, "cores"),
        gauge("hivemind_free_cores", "Of these, not in use.", free.cpu / CPU_SCORE_PER_CORE, "cores"),
        gauge("hivemind_lent_memory_bytes", "Memory lent.", total.memory_gb * GIB, "bytes"),
        gauge("hivemind_free_memory_bytes", "Of this, not in use.", free.memory_gb * GIB, "bytes"),
        gauge("hivemind_host_cpu_ratio", "Use of all processors.", sample.cpu_percent / 100, "ratio"),
        gauge("hivemind_host_memory_ratio", "Use of the memory.", sample.memory_percent / 100, "ratio"),
        gauge("hivemind_host_memory_available_bytes", "Memory that is free.", memory_bytes, "bytes"),
        gauge("hivemind_host_disk_available_bytes", "Disk that is free where the worker keeps its data.",
               sample.disk_available_gb * GIB, "bytes"),
        gauge("hivemind_host_gpu_ratio", "Use of the graphics processor.", gpu, "ratio"),
    )  # fmt: skip


def _pool(figures: Figures) -> tuple[str, ...]:
    pool = figures.snapshot.pool
    return (
        states("hivemind_pool_link", "How things stand with the pool.", LinkState, pool.link),
        gauge("hivemind_pool_heard_timestamp_seconds", "When the pool last answered.", pool.last_heard_s,
               "seconds"),
        gauge("hivemind_pool_balance_credits", "Balance at the pool.", pool.balance, "credits"),
    )  # fmt: skip


def _process(figures: Figures) -> tuple[str, ...]:
    return (
        family("process_cpu_seconds", "counter", "Processor time of the worker itself.",
                [("_total", {}, figures.process_cpu_s)], "seconds"),
        gauge("process_start_time_seconds", "When the worker started.", figures.started_at_s, "seconds"),
        gauge("hivemind_event_readers", "Readers of the live events.", figures.event_readers),
    )  # fmt: skip
