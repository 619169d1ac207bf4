"""What a running task has left and uses now, each against its limit: the cells on top of its page. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from hivemind_worker.model.resources import CPU_SCORE_PER_CORE
from hivemind_worker.model.settings import Settings
from hivemind_worker.model.task import Task
from hivemind_worker.model.work import RunFigures
from hivemind_worker.presentation.amounts import clock, cores_words, duration_words
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.page_words import ABSENT
from hivemind_worker.presentation.rows import elapsed_s
from hivemind_worker.presentation.window_words import loss_s

HOUR_S, GIB = 3600, 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """One cell: its name, its limit, what holds now. `percent` of the limit, None where it is not known."""

    name: str
    limit: str
    text: str
    percent: int | None = None


def gauges(task: Task, used: RunFigures | None, settings: Settings, now_s: float) -> tuple[Gauge, ...]:
    """Time, processor, memory, the card where it asked for one, and what stopping would cost."""
    card = (_card(used),) if task.demand.gpu else ()
    return (_time(task, settings, now_s), _cpu(task, used), _memory(task, used), *card, _loss(task, now_s))


def _time(task: Task, settings: Settings, now_s: float) -> Gauge:
    limit_s = settings.task_time_limit_h * HOUR_S
    ran_s = elapsed_s(task, now_s) if task.started_at_s is not None else 0.0
    return Gauge(
        name=_("Time left"), limit=_("of {limit}", limit=duration_words(limit_s)),
        text=clock(max(0.0, limit_s - ran_s)), percent=_percent(ran_s, limit_s),
    )  # fmt: skip


def _cpu(task: Task, used: RunFigures | None) -> Gauge:
    cores = task.demand.cpu / CPU_SCORE_PER_CORE
    percent = None if used is None else _percent(used.cores, cores)
    return Gauge(
        name=_("CPU"), limit=_("of {limit}", limit=cores_words(cores)),
        text=ABSENT if percent is None else f"{percent} %", percent=percent,
    )  # fmt: skip


def _memory(task: Task, used: RunFigures | None) -> Gauge:
    limit_bytes = task.demand.memory_gb * GIB
    return Gauge(
        name=_("Memory"), limit=_("of {limit}", limit=f"{task.demand.memory_gb:g} GiB"),
        text=ABSENT if used is None else f"{used.memory_bytes / GIB:.2f} GiB",
        percent=None if used is None else _percent(used.memory_bytes, limit_bytes),
    )  # fmt: skip


def _card(used: RunFigures | None) -> Gauge:
    percent = None if used is None or used.gpu_percent is None else round(used.gpu_percent)
    return Gauge(name=_("GPU"), limit="", text=ABSENT if percent is None else f"{percent} %", percent=percent)


def _loss(task: Task, now_s: float) -> Gauge:
    lost_s = loss_s([task], now_s)
    text = duration_words(lost_s) if lost_s else _("nothing")
    return Gauge(name=_("Stopping loses"), limit="", text=text)


def _percent(value: float, limit: float) -> int | None:
    return max(0, min(100, round(100 * value / limit))) if limit > 0 else None
