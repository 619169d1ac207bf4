"""execution_log.txt: what happened to a task, in words, for its author."""

from __future__ import annotations

from datetime import UTC, datetime

from hivemind_worker.model.faults import FAULTS, sentence
from hivemind_worker.model.task import StopReason, Task, TaskState


def moment(at_s: float | None) -> str:
    """ISO 8601 in UTC, or a dash."""
    return "-" if at_s is None else datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")


def execution_log(task: Task, node_id: str, version: str) -> bytes:
    """The text as it goes into the archive. `Status:` is a line of its own, for programs to read."""
    lines = [
        f"Task: {task.task_id}",
        f"Status: {task.state}",
        f"Exit code: {'-' if task.exit_code is None else task.exit_code}",
        f"Node: {node_id}",
        f"Worker: HiveMind Worker {version}",
        f"Sandbox: {task.runtime or '-'}",
        *([f"Image: {task.image}"] if task.image else []),
        f"Script: {task.entry or '-'}",
        f"Accepted: {moment(task.accepted_at_s)}",
        f"Started: {moment(task.started_at_s)}",
        f"Ended: {moment(task.ended_at_s)}",
        f"Processor seconds: {task.usage.cpu_s:.2f}",
        f"Largest memory: {task.usage.peak_memory_bytes / 1024**2:.0f} MiB",
    ]
    if task.problem is None and task.state is TaskState.STOPPED:
        lines.append(f"Reason: Stopped by {_who(task)}.")
    if task.problem is not None:
        lines += [
            f"Reason: {sentence(task.problem.code, task.problem.about)} ({task.problem.code})",
            f"What to do: {FAULTS[task.problem.code].next_step}",
        ]
    return ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")


def _who(task: Task) -> str:
    return {
        StopReason.POOL: "its requester, through the pool",
        StopReason.OWNER: "the owner of the computer it ran on",
        StopReason.SHUTDOWN: "the end of the worker",
        StopReason.PAUSE: "the worker, as its pause lasted longer than its owner allows",
        StopReason.MEMORY: "the worker, as its computer had no memory left",
    }[task.stop_reason or StopReason.POOL]


def stopped_note(task: Task) -> bytes:
    """task_stopped.txt: who stopped the task and when."""
    said = f"Stopped by {_who(task)} at {moment(task.ended_at_s)}. What it had written until then is here.\n"
    return said.encode()


def last_line(state: TaskState, exit_code: int | None) -> str:
    """The line that ends a task's log at the pool."""
    code = "" if exit_code is None else f", exit code {exit_code}"
    return f"[worker] {state.value.lower()}{code}"
