"""When this computer is lent and how much of it: the owner's rules as one declared table, like the settings.

Each field of `Rules` is a row, so that the window, the web page, the command line and the rules file
edit the same form. Counterpart: core.policy, which judges the facts by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields, replace
from enum import IntEnum
from functools import lru_cache
from typing import Any

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.settings import apply, setting
from hivemind_worker.model.task import Problem

SLOT_S = 1800
SLOTS_A_DAY = 48
SLOTS_A_WEEK = 7 * SLOTS_A_DAY
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Level(IntEnum):
    """How much is lent at a time of the week."""

    OFF = 0
    LIGHT = 1
    NORMAL = 2
    FULL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """What a level lends at most; 0 cores, memory or tasks: all that the limits allow."""

    cores: float = 0.0
    cpu_percent: float = 100.0
    memory_gb: float = 0.0
    gpu: bool = True
    tasks: int = 0


NOTHING = Amount(cores=0, cpu_percent=0, memory_gb=0, gpu=False, tasks=0)


def _day(name: str) -> Any:
    text = f"{name}: 48 digits, one for each half hour: 0 off, 1 light, 2 normal, 3 full."
    return setting("3" * SLOTS_A_DAY, text, restart=False)


def _flag(default: bool, text: str) -> Any:
    return setting(default, text, restart=False)


def _number(default: float, text: str, low: float, high: float, unit: str = "") -> Any:
    return setting(default, text, low=low, high=high, unit=unit, restart=False)


def _cores(default: float, level: str) -> Any:
    return _number(default, f"Processor cores at the level {level}; 0: all that are lent.", 0, 1024, "cores")


def _percent(default: float, level: str) -> Any:
    return _number(default, f"Use of those cores at the level {level}.", 1, 100, "%")


def _memory(default: float, level: str) -> Any:
    return _number(default, f"Memory at the level {level}; 0: all that is lent.", 0, 65536, "GiB")


def _tasks(default: int, level: str) -> Any:
    return _number(default, f"Tasks at once at the level {level}; 0: as many as the setting.", 0, 256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All rules, checked. The limits of the settings hold beside them, whatever a level says."""

    monday: str = _day("Monday")
    tuesday: str = _day("Tuesday")
    wednesday: str = _day("Wednesday")
    thursday: str = _day("Thursday")
    friday: str = _day("Friday")
    saturday: str = _day("Saturday")
    sunday: str = _day("Sunday")
    light_cores: float = _cores(1.0, "Light")
    light_cpu_percent: float = _percent(50.0, "Light")
    light_memory_gb: float = _memory(2.0, "Light")
    light_gpu: bool = _flag(False, "Whether the graphics card is lent at the level Light.")
    light_tasks: int = _tasks(1, "Light")
    normal_cores: float = _cores(0.0, "Normal")
    normal_cpu_percent: float = _percent(75.0, "Normal")
    normal_memory_gb: float = _memory(0.0, "Normal")
    normal_gpu: bool = _flag(True, "Whether the graphics card is lent at the level Normal.")
    normal_tasks: int = _tasks(0, "Normal")
    full_cores: float = _cores(0.0, "Full")
    full_cpu_percent: float = _percent(100.0, "Full")
    full_memory_gb: float = _memory(0.0, "Full")
    full_gpu: bool = _flag(True, "Whether the graphics card is lent at the level Full.")
    full_tasks: int = _tasks(0, "Full")
    idle_on: bool = _flag(False, "Pause while the computer is in use.")
    idle_start_after_min: float = _number(
        10.0, "Work starts when nobody has used it for this long.", 0.1, 1440, "min"
    )
    load_on: bool = _flag(False, "Pause while other programs need the processor.")
    load_percent: float = _number(25.0, "Use of the processor by other programs at most.", 1, 100, "%")
    load_for_s: float = _number(10.0, "Pause when they are above it for this long.", 0, 3600, "s")
    load_back_s: float = _number(60.0, "Go on when they are below it for this long.", 10, 3600, "s")
    heat_on: bool = _flag(True, "Pause when the computer gets too hot.")
    heat_cpu_c: float = _number(90.0, "Temperature of the processor at most.", 30, 120, "°C")
    heat_gpu_c: float = _number(87.0, "Temperature of the graphics card at most.", 30, 120, "°C")
    heat_back_c: float = _number(75.0, "Go on below this temperature.", 20, 119, "°C")
    programs_on: bool = _flag(False, "Pause while one of these programs runs.")
    programs: str = setting("", "Names of programs, with commas, as the system lists them.", restart=False)
    programs_gpu_only: bool = _flag(False, "Programs and full screen pause the graphics card alone.")
    full_screen_on: bool = _flag(False, "Pause while a program fills the screen.")
    battery_on: bool = _flag(True, "Pause on battery.")
    battery_back_s: float = _number(60.0, "Go on after this time on mains.", 10, 3600, "s")
    battery_low_on: bool = _flag(True, "Pause on a low battery, even if work on battery is allowed.")
    battery_low_percent: float = _number(30.0, "Charge that counts as low.", 1, 100, "%")
    power_saver_on: bool = _flag(True, "Pause while the system saves power.")
    metered_on: bool = _flag(True, "Take no new task on a metered network.")
    metered_always: bool = _flag(
        False, "Treat every network as metered, also where the system cannot tell or says no."
    )
    month_on: bool = _flag(False, "Take no new task when the month's transfers are used up.")
    month_gb: float = _number(50.0, "Transfers for tasks a month at most.", 0.001, 1_000_000, "GB")
    disk_on: bool = _flag(True, "Pause when the disk gets too full.")
    disk_free_gb: float = _number(1.0, "Disk that stays free.", 0.1, 65536, "GiB")
    memory_on: bool = _flag(True, "Give way when the memory gets scarce.")
    memory_accept_percent: float = _number(80.0, "Above it no new task is taken.", 10, 100, "%")
    memory_pause_percent: float = _number(90.0, "Above it the newest task is paused.", 10, 100, "%")
    memory_stop_percent: float = _number(95.0, "Above it the newest task is stopped.", 10, 100, "%")
    conditions_on: bool = _flag(True, "Heed conditions that come through the API.")
    pause_ends_task_h: float = _number(
        24.0, "A task that has been paused for this long is ended and reported; 0: never.", 0, 8760, "h"
    )

    def amount(self, level: Level) -> Amount:
        """What a level lends at most."""
        return _amount(self, level)

    @property
    def program_names(self) -> frozenset[str]:
        """The named programs in lower case, without the ending of Windows' programs."""
        return _names(self.programs)

    @property
    def week(self) -> str:
        """336 digits from Monday 00:00 on."""
        return _week(self)


@lru_cache(64)
def _amount(rules: Rules, level: Level) -> Amount:
    if level is Level.OFF:
        return NOTHING
    name = level.name.lower()
    rows = fields(Amount)
    return Amount(**{row.name: getattr(rules, f"{name}_{row.name}") for row in rows})


def level_rows(level: Level) -> tuple[str, ...]:
    """The names of the rows that say what a level lends; Off has none."""
    if level is Level.OFF:
        return ()
    return tuple(f"{level.name.lower()}_{row.name}" for row in fields(Amount))


@lru_cache(64)
def _week(rules: Rules) -> str:
    return "".join(getattr(rules, day) for day in DAYS)


@lru_cache(64)
def _names(text: str) -> frozenset[str]:
    return frozenset(plain_name(part) for part in text.split(",") if part.strip())


def plain_name(program: str) -> str:
    """A program's name as rules compare it."""
    return program.strip().lower().removesuffix(".exe")


def rule_rows() -> tuple[Field[Any], ...]:
    """The table's rows in display order."""
    return fields(Rules)


def change_rules(base: Rules, untrusted_values: Mapping[str, object]) -> tuple[Rules, tuple[Problem, ...]]:
    """`base` with the named values (None: the default), or `base` unchanged and every reason why not."""
    defaults = {row.name: row.default for row in rule_rows()}
    given = {
        key: defaults.get(key, "") if value is None else value for key, value in untrusted_values.items()
    }
    rules, problems = apply(base, given)
    if problems:
        return base, problems
    wrong = tuple(Problem(code=FaultCode.BAD_SETTING, about=text) for text in contradictions(rules))
    return (base, wrong) if wrong else (rules, ())


def contradictions(rules: Rules) -> tuple[str, ...]:
    """What cannot hold at the same time, in words."""
    found = [
        f"{day} must be {SLOTS_A_DAY} digits from 0 to 3, one for each half hour"
        for day in DAYS
        if len(getattr(rules, day)) != SLOTS_A_DAY or set(getattr(rules, day)) - set("0123")
    ]
    if rules.heat_back_c >= min(rules.heat_cpu_c, rules.heat_gpu_c):
        found.append("heat_back_c must be below heat_cpu_c and heat_gpu_c, or work would start and stop")
    if not rules.memory_accept_percent <= rules.memory_pause_percent <= rules.memory_stop_percent:
        found.append("memory_accept_percent, memory_pause_percent, memory_stop_percent must not go down")
    return tuple(found)


_OFFICE = "3" * 14 + "1" * 4 + "2" * 18 + "1" * 8 + "3" * 4

PRESETS: Mapping[str, Mapping[str, object]] = {
    "gentle": {
        **dict.fromkeys(DAYS[:5], _OFFICE),
        **dict.fromkeys(DAYS[5:], "2" * SLOTS_A_DAY),
        "idle_on": True, "load_on": True, "full_screen_on": True, "heat_cpu_c": 80.0, "heat_gpu_c": 80.0,
        "heat_back_c": 70.0, "disk_free_gb": 5.0,
    },
    "night": {
        **dict.fromkeys(DAYS, "3" * 14 + "1" * 30 + "3" * 4),
        "idle_on": True, "idle_start_after_min": 5.0, "load_on": True, "full_screen_on": True,
        "disk_free_gb": 5.0,
    },
    "server": {
        "battery_on": False, "power_saver_on": False, "metered_on": False,
    },
}  # fmt: skip
"""Gentle laptop, desktop by night, full server: what each sets; all else is the default."""


def preset(name: str) -> Rules:
    """The rules of a preset.

    Raises:
        KeyError: there is no such preset.
    """
    return replace(Rules(), **PRESETS[name])  # type: ignore[arg-type]


def painted(rules: Rules, days: tuple[str, ...], first: int, last: int, level: Level) -> Rules:
    """The rules with the slots from `first` up to, not with, `last` of these days at a level.

    `last` at or before `first` goes on into the next day.
    """
    week = list(rules.week)
    length = (last - first) % SLOTS_A_DAY or SLOTS_A_DAY
    for day in days:
        begin = DAYS.index(day) * SLOTS_A_DAY + first
        for slot in range(begin, begin + length):
            week[slot % SLOTS_A_WEEK] = str(int(level))
    rows = ["".join(week[n : n + SLOTS_A_DAY]) for n in range(0, SLOTS_A_WEEK, SLOTS_A_DAY)]
    return replace(rules, **dict(zip(DAYS, rows, strict=True)))  # type: ignore[arg-type]
