"""What the window says about one task beside its log: limits, use, what it may do, what became of it."""

from __future__ import annotations

from hivemind_worker.model.resources import CPU_SCORE_PER_CORE
from hivemind_worker.model.settings import Settings
from hivemind_worker.model.task import Task
from hivemind_worker.presentation.amounts import clock, cores_words, duration_words, size_words
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.faults import words
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.moments import when
from hivemind_worker.presentation.page_tasks import DELIVERIES, RUNTIMES, STATES
from hivemind_worker.presentation.page_words import ABSENT
from hivemind_worker.presentation.plain_text import short_image, shown_line
from hivemind_worker.presentation.rows import elapsed_s

HOUR_S = 3600
Rows = tuple[tuple[str, str], ...]


def about(task: Task, now_s: float) -> str:
    """Where it runs or ran, and when."""
    begin_s = task.started_at_s if task.started_at_s is not None else task.accepted_at_s
    runtime = _(RUNTIMES.get(task.runtime, ("", task.runtime))[1])
    begun, ended = when(begin_s, now_s), when(task.ended_at_s or 0.0, now_s)
    span = _("{begin} to {end}", begin=begun, end=ended) if task.ended_at_s else _("since {time}", time=begun)
    return " · ".join(part for part in (runtime, short_image(task.image), span) if part)


def limits(task: Task, settings: Settings, now_s: float) -> Rows:
    """The limits in force, in words."""
    limit_s = settings.task_time_limit_h * HOUR_S
    time = duration_words(limit_s)
    if task.started_at_s is not None and not task.state.has_ended:
        time = _("{left} left of {limit}", limit=time, left=clock(max(0.0, limit_s - elapsed_s(task, now_s))))
    return (
        (_("CPU"), cores_words(task.demand.cpu / CPU_SCORE_PER_CORE)),
        (_("Memory"), _("{size} GiB, no swap", size=f"{task.demand.memory_gb:g}")),
        (_("Time"), time),
        (_("Disk"), f"{settings.task_disk_gb:g} GiB"),
        (_("Log"), f"{settings.task_log_mb:g} MiB"),
    )  # fmt: skip


def outcome(task: Task, now_s: float) -> Rows:
    """What it used and what became of it; only what is known."""
    used = task.usage
    rows = (
        (_("Ended"), when(task.ended_at_s, now_s) if task.ended_at_s else ""),
        (_("Exit"), "" if task.exit_code is None else str(task.exit_code)),
        (_("CPU time"), clock(used.cpu_s) if used.cpu_s else ""),
        (_("Peak memory"), size_words(used.peak_memory_bytes) if used.peak_memory_bytes else ""),
        (_("Result"), _(DELIVERIES[task.delivery]) if task.state.has_ended else ""),
        (_("Size"), size_words(task.result_bytes) if task.result_bytes else ""),
        (_("Trust"), f"{task.trust_change:+d}" if task.trust_change else ""),
        (_("Code"), f"sha256:{task.body_sha256[:8]}…{task.body_sha256[-4:]}"),
    )
    return tuple((name, text) for name, text in rows if text and text != ABSENT)


def permissions(task: Task, settings: Settings) -> tuple[tuple[Look, str], ...]:
    """What it may do on this computer."""
    no, yes = (
        Look(tone="offline", icon="cross", word=_("no")),
        Look(tone="working", icon="check", word=_("yes")),
    )
    lock = Look(tone="offline", icon="lock", word="")
    inside = task.runtime == "docker" and settings.task_network == "internet"
    network = (yes, _("Network: internet, never your own network")) if inside else (no, _("Network: none"))
    gpu = (yes, _("GPU: yes")) if task.demand.gpu else (no, _("GPU: no"))
    return (
        network,
        (no, _("Your files: none, only its own folder")),
        gpu,
        (lock, _("Not administrator; its system is read-only")),
    )


def trouble(task: Task) -> tuple[Look, str, str] | None:
    """Why it failed or was stopped, and what to do; None when there is nothing to say."""
    if task.problem is None:
        return None
    sentence, next_step = words(task.problem)
    tone = STATES[task.state][0]
    tone = tone if tone in ("error", "warning") else "warning"
    icon = "cross" if tone == "error" else "warning"
    return Look(tone=tone, icon=icon, word=""), shown_line(sentence), next_step
