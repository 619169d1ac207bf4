"""What the tasks of a day, pool and image came to: number, hours, energy; and one task's part in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from hivemind_worker.model.days import day_of, spread
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.pools import Balance
from hivemind_worker.model.task import Task, TaskKey, TaskState

RunId = tuple[TaskKey, int]
"""Key and attempt."""
MOST_LETTERS = 200
"""Of a pool's address or an image's name in the history."""


class EnergySource(StrEnum):
    """What energy was measured by, the best first; `estimate` is none."""

    RAPL = "rapl"
    BATTERY = "battery"
    ESTIMATE = "estimate"
    NVML = "nvml"  # the graphics cards, added to each of the others but the battery


class Unmeasured(StrEnum):
    """Why the processor's own meter is not used."""

    ABSENT = "absent"
    NO_PERMISSION = "no_permission"
    LYING = "lying"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What a processor second costs just now, in joules, and who says so."""

    source: EnergySource
    joules: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Metering:
    """The energy source in use, and why it is not the processor's own meter."""

    source: EnergySource = EnergySource.ESTIMATE
    unmeasured: Unmeasured | None = Unmeasured.ABSENT
    cards: bool = False  # the graphics cards tell their power


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line of the history: a local day, a pool's address ("": not known), an image ("": none was used)."""

    day: date
    pool: str
    image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What was done at a place. Tasks count on the day of their end, hours on the days that they fell on."""

    place: Place
    completed: int = 0
    failed: int = 0
    stopped: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    joules: Mapping[EnergySource, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkHistory:
    """All that the history's table is made from. Balances are by pool and account, oldest first."""

    today: date
    work: tuple[Work, ...] = ()
    balances: Mapping[tuple[str, str], tuple[Balance, ...]] = field(default_factory=dict)
    metering: Metering = Metering()
    full_load_w: float = 0.0
    price_per_kwh: float = 0.0
    currency: str = ""


def image_of(task: Task) -> str:
    """The image or built-in interpreter by name, whatever its digest."""
    return task.image.partition("@")[0][:MOST_LETTERS]


def place_of(task: Task, day: date) -> Place:
    """Where a task's work on that day belongs."""
    return Place(day, task.pool[:MOST_LETTERS], image_of(task))


def _worked_until_s(task: Task, began_s: float, ended_s: float) -> float:
    """What was cut off ends for the books when the worker is back: its hours lie before that."""
    cut_off = task.problem is not None and task.problem.code is FaultCode.INTERRUPTED
    return min(ended_s, began_s + task.usage.wall_s) if cut_off else ended_s


def work_of(task: Task, unmetered_j: Mapping[EnergySource, float]) -> tuple[Work, ...]:
    """An ended task's part in the history; `unmetered_j` is its energy that was not noted while it ran."""
    ended_s = task.ended_at_s or 0.0
    began_s = ended_s if task.started_at_s is None else task.started_at_s
    last = day_of(ended_s)
    shares = {last: 0.0} | dict(spread(began_s, _worked_until_s(task, began_s, ended_s)))
    return tuple(
        Work(
            place=place_of(task, day), wall_s=task.usage.wall_s * share, cpu_s=task.usage.cpu_s * share,
            completed=int(day == last and task.state is TaskState.COMPLETED),
            failed=int(day == last and task.state is TaskState.FAILED),
            stopped=int(day == last and task.state is TaskState.STOPPED),
            joules={source: joules * share for source, joules in unmetered_j.items()},
        )
        for day, share in shares.items()
    )  # fmt: skip
