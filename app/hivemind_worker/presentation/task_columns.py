"""The columns of the window's task tables: heading, text, order. Pure; `ui.screens.tasks` draws them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hivemind_worker.model.resources import CPU_SCORE_PER_CORE
from hivemind_worker.model.task import Phase, Task, TaskKey, TaskState
from hivemind_worker.model.work import RunFigures
from hivemind_worker.presentation.amounts import clock, duration_words, size_words
from hivemind_worker.presentation.catalogue import _, mark
from hivemind_worker.presentation.moments import when
from hivemind_worker.presentation.page_tasks import DELIVERIES, RUNTIMES, STATES, task_look
from hivemind_worker.presentation.page_words import ABSENT, cores_of
from hivemind_worker.presentation.plain_text import short_image, shown_line
from hivemind_worker.presentation.rows import elapsed_s

SHORT_CHARS = 21
GIB = 1 << 30
WASM = "wasm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a cell may look at beside its task."""

    now_s: float
    time_limit_s: float
    uses: Mapping[TaskKey, RunFigures] = field(default_factory=dict)
    """What running tasks use now, where that is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column. `chars`: its width in digits; figures stand at the right edge."""

    key: str
    title: str
    text: Callable[[Task, Facts], str]
    order: Callable[[Task, Facts], Any]
    chars: int
    figure: bool = False
    shown: bool = True
    mono: bool = False
    share: Callable[[Task, Facts], float | None] | None = None
    """A part of one, drawn as a bar before the figure."""
    leaves: int = 0
    """Where not all columns have room, the one with the highest number leaves first; 0: never."""


def _elapsed(task: Task, facts: Facts) -> float:
    return elapsed_s(task, facts.now_s)


def _limit_left(task: Task, facts: Facts) -> float | None:
    if task.started_at_s is None:
        return None
    return max(0.0, facts.time_limit_s - _elapsed(task, facts))


def _loss(task: Task, facts: Facts) -> float:
    return _elapsed(task, facts) if task.started_at_s is not None else 0.0


def _cpu_share(task: Task, facts: Facts) -> float | None:
    """The processor that it uses, as a part of what it asked for."""
    used = facts.uses.get(task.key)
    cores = task.demand.cpu / CPU_SCORE_PER_CORE
    return None if used is None or not cores else used.cores / cores


def _memory_now(task: Task, facts: Facts) -> str:
    used = facts.uses.get(task.key)
    asked = f"{task.demand.memory_gb:g} GiB"
    return asked if used is None else f"{used.memory_bytes / GIB:.2f} / {asked}"


def _moved(task: Task, facts: Facts, one: str, other: str) -> str:
    """Two amounts since its start, e.g. read and written; words where the sandbox cannot tell."""
    used = facts.uses.get(task.key)
    if used is None:
        return ABSENT
    amounts = (getattr(used, one), getattr(used, other))
    if None in amounts:
        return _("cannot tell")
    return " / ".join(size_words(each) for each in amounts)


def net_words(task: Task, facts: Facts) -> str:
    """What it received and sent; the built-in sandbox has no network at all."""
    return _("none") if task.runtime == WASM else _moved(task, facts, "net_in_bytes", "net_out_bytes")


def disk_words(task: Task, facts: Facts) -> str:
    """What it read from disks and wrote to them."""
    return _moved(task, facts, "read_bytes", "write_bytes")


def gpu_words(task: Task, facts: Facts) -> str:
    """Its use of a graphics card; a dash for tasks that asked for none."""
    used = facts.uses.get(task.key)
    if not task.demand.gpu or used is None:
        return ABSENT
    percent = "" if used.gpu_percent is None else f"{used.gpu_percent:.0f} %"
    memory = "" if used.gpu_memory_bytes is None else size_words(used.gpu_memory_bytes)
    return " · ".join(part for part in (percent, memory) if part) or _("cannot tell")


def use_rows(task: Task, facts: Facts) -> tuple[tuple[str, str], ...]:
    """What a running task uses now beside the processor, for its details."""
    return (
        (_("Memory"), _memory_now(task, facts)),
        (_("GPU"), gpu_words(task, facts)),
        (_("Received / sent"), net_words(task, facts)),
        (_("Read / written"), disk_words(task, facts)),
    )


def _amount(task: Task, facts: Facts, *names: str) -> float:
    """For sorting: the sum; what is not known comes first."""
    used = facts.uses.get(task.key)
    values = [None if used is None else getattr(used, name) for name in names]
    return -1.0 if None in values else float(sum(value for value in values if value is not None))


def short_id(task: Task) -> str:
    """The requester's name for it, shortened in the middle so that both ends can be told apart."""
    name = shown_line(task.task_id)
    if len(name) <= SHORT_CHARS:
        return name
    half = SHORT_CHARS // 2 - 1
    return f"{name[:half]}…{name[-half:]}"


def _text_or_dash(value: object) -> str:
    return ABSENT if value is None or value == "" else str(value)


STATUS = Column(
    key="status", title=mark("Status"), chars=12,
    text=lambda task, _facts: task_look(task).word,
    order=lambda task, _facts: (list(TaskState).index(task.state), task.phase.value),
)  # fmt: skip
NAME = Column(
    key="task", title=mark("Task"), chars=17, mono=True,
    text=lambda task, _facts: short_id(task), order=lambda task, _facts: task.task_id.lower(),
)  # fmt: skip
RUNTIME = Column(
    key="runtime", title=mark("Runtime"), chars=8, leaves=5,
    text=lambda task, _facts: _(RUNTIMES.get(task.runtime, ("", task.runtime))[1]) or ABSENT,
    order=lambda task, _facts: task.runtime,
)  # fmt: skip
CORES = Column(
    key="cores", title=mark("Cores"), chars=6, figure=True,
    text=lambda task, _facts: cores_of(task.demand.cpu), order=lambda task, _facts: task.demand.cpu,
)  # fmt: skip
MEMORY = Column(
    key="memory", title=mark("Memory"), chars=8, figure=True,
    text=lambda task, _facts: f"{task.demand.memory_gb:g} GiB",
    order=lambda task, _facts: task.demand.memory_gb,
)  # fmt: skip
IMAGE = Column(
    key="image", title=mark("Image"), chars=22, shown=False,
    text=lambda task, _facts: short_image(task.image) or ABSENT, order=lambda task, _facts: task.image,
)  # fmt: skip
STARTED = Column(
    key="started", title=mark("Started"), chars=11, figure=True, shown=False,
    text=lambda task, facts: ABSENT if task.started_at_s is None else when(task.started_at_s, facts.now_s),
    order=lambda task, _facts: task.started_at_s or 0.0,
)  # fmt: skip
ACCEPTED = Column(
    key="accepted", title=mark("Accepted"), chars=11, figure=True,
    text=lambda task, facts: when(task.accepted_at_s, facts.now_s),
    order=lambda task, _facts: task.accepted_at_s,
)  # fmt: skip
OPEN = (
    STATUS, NAME, RUNTIME,
    Column(
        key="elapsed", title=mark("Elapsed"), chars=8, leaves=1, figure=True,
        text=lambda task, facts: clock(_elapsed(task, facts)), order=_elapsed,
    ),
    Column(
        key="left", title=mark("Limit left"), chars=9, leaves=6, figure=True,
        text=lambda task, facts: _text_or_dash(
            None if (left := _limit_left(task, facts)) is None else clock(left)
        ),
        order=lambda task, facts: _limit_left(task, facts) or 0.0,
    ),
    Column(
        key="cpu_now", title=mark("CPU of limit"), chars=12, leaves=3, figure=True, share=_cpu_share,
        text=lambda task, facts: (
            ABSENT if (share := _cpu_share(task, facts)) is None else f"{100 * share:.0f} %"
        ),
        order=lambda task, facts: _cpu_share(task, facts) or 0.0,
    ),
    Column(
        key="memory_now", title=mark("Memory"), chars=12, leaves=4, figure=True,
        text=_memory_now,
        order=lambda task, facts: used.memory_bytes if (used := facts.uses.get(task.key)) else 0,
    ),
    Column(
        key="gpu_now", title=mark("GPU"), chars=14, figure=True, shown=False, text=gpu_words,
        order=lambda task, facts: _amount(task, facts, "gpu_percent"),
    ),
    Column(
        key="net_now", title=mark("Received / sent"), chars=18, figure=True, shown=False, text=net_words,
        order=lambda task, facts: _amount(task, facts, "net_in_bytes", "net_out_bytes"),
    ),
    Column(
        key="disk_now", title=mark("Read / written"), chars=18, figure=True, shown=False, text=disk_words,
        order=lambda task, facts: _amount(task, facts, "read_bytes", "write_bytes"),
    ),
    replace(CORES, shown=False), STARTED, replace(ACCEPTED, shown=False), IMAGE,
    Column(
        key="loss", title=mark("Would lose"), chars=12, leaves=2, figure=True,
        text=lambda task, facts: duration_words(_loss(task, facts)), order=_loss,
    ),
)  # fmt: skip
ENDED = (
    replace(STATUS, chars=11), NAME, RUNTIME,
    Column(
        key="ended", title=mark("Ended"), chars=13, leaves=1, figure=True,
        text=lambda task, facts: when(task.ended_at_s or 0.0, facts.now_s),
        order=lambda task, _facts: task.ended_at_s or 0.0,
    ),
    Column(
        key="ran", title=mark("Ran for"), chars=8, leaves=2, figure=True,
        text=lambda task, facts: ABSENT if task.started_at_s is None else clock(_elapsed(task, facts)),
        order=_elapsed,
    ),
    Column(
        key="cpu", title=mark("CPU time"), chars=8, leaves=7, figure=True,
        text=lambda task, _facts: clock(task.usage.cpu_s) if task.usage.cpu_s else ABSENT,
        order=lambda task, _facts: task.usage.cpu_s,
    ),
    Column(
        key="peak", title=mark("Peak memory"), chars=11, leaves=8, figure=True,
        text=lambda task, _facts: (
            size_words(task.usage.peak_memory_bytes) if task.usage.peak_memory_bytes else ABSENT
        ),
        order=lambda task, _facts: task.usage.peak_memory_bytes,
    ),
    Column(
        key="exit", title=mark("Exit"), chars=4, leaves=6, figure=True,
        text=lambda task, _facts: _text_or_dash(task.exit_code),
        order=lambda task, _facts: -1 if task.exit_code is None else task.exit_code,
    ),
    Column(
        key="trust", title=mark("Trust"), chars=5, leaves=4, figure=True,
        text=lambda task, _facts: f"{task.trust_change:+d}" if task.trust_change else "0",
        order=lambda task, _facts: task.trust_change,
    ),
    Column(
        key="result", title=mark("Result"), chars=14, leaves=3,
        text=lambda task, _facts: _(DELIVERIES[task.delivery]),
        order=lambda task, _facts: task.delivery.value,
    ),
    replace(CORES, shown=False), replace(MEMORY, shown=False), STARTED, IMAGE,
)  # fmt: skip
"""Of those that have ended, the last few are hidden until they are asked for."""


def as_tsv(columns: tuple[Column, ...], tasks: list[Task], facts: Facts) -> str:
    """Rows as a spreadsheet takes them, with their headings; the task's name in full."""
    lines = ["\t".join(_(column.title) for column in columns)]
    for task in tasks:
        cells = (
            shown_line(task.task_id) if column is NAME else column.text(task, facts) for column in columns
        )
        lines.append("\t".join(cells))
    return "\n".join(lines) + "\n"


def states_named(text: str) -> tuple[TaskState, ...]:
    """The states of ended tasks whose word, as it is shown, holds the text."""
    wanted = text.strip().lower()
    ended = [(state, _(word)) for state, (_tone, _icon, word) in STATES.items() if state.has_ended]
    return tuple(state for state, word in ended if wanted and wanted in word.lower())


def is_waiting(task: Task) -> bool:
    """Accepted, and not running yet."""
    return task.state is TaskState.ALLOCATED


def can_stop(task: Task) -> bool:
    """Whether stopping it means anything."""
    return not task.state.has_ended and task.phase is not Phase.STOPPING


def can_pause(task: Task) -> bool:
    """Whether pausing it alone means anything."""
    return can_stop(task) and not task.held


def can_resume(task: Task) -> bool:
    """Whether it was paused alone."""
    return can_stop(task) and task.held
