"""All rules at once: facts in, judgement out. The simulator folds the same function over a trace.

Nothing here knows of tasks; `core.policy` says what a judgement means for each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hivemind_worker.core.latch import DWELL_S, Latch, Lean, stepped
from hivemind_worker.core.week import level_at, level_ends, month_ends, slot_at
from hivemind_worker.model.facts import Condition, RuleFacts
from hivemind_worker.model.judgement import Follows, Judgement, RuleCode, RuleView
from hivemind_worker.model.rules import Amount, Level, Rules

AVERAGE_S = 5.0
"""Time constant of the moving average of other programs' load."""
STALE_S = 60.0
"""A gap in the facts after which the average begins anew."""
JUMP_S = 60.0
JUMP_SHOWN_S = 600.0
BATTERY_BACK_PERCENT = 5.0
DISK_BACK_GB = 0.5
MEMORY_BACK_PERCENT = 3.0
BY_OWNER = "owner"
PLAUSIBLE_C = (1.0, 130.0)
GB = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What judging needs of the moments before."""

    latches: Mapping[RuleCode, Latch] = field(default_factory=dict)
    average: float | None = None
    level: Level | None = None
    level_changed_s: float = 0.0
    steady_s: float | None = None
    at_s: float = 0.0
    jump_s: float = 0.0
    jumped_at_s: float = 0.0  # steady
    had_sensor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """All that a single rule may look at."""

    at_s: float
    rules: Rules
    facts: RuleFacts
    conditions: tuple[Condition, ...]
    level: Level
    level_ends_s: float | None
    average: float | None


class Found(NamedTuple):
    """What a rule makes of the facts: its lean, or None for "cannot tell", and what to show."""

    lean: Lean | None
    value: float | None = None
    limit: float | None = None
    about: str = ""
    ends_at_s: float | None = None


UNKNOWN = Found(lean=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of the table. A `safety` rule protects the computer: "Run" does not ignore it."""

    code: RuleCode
    on: Callable[[Rules], bool]
    find: Callable[[Look], Found]
    follows: Follows = Follows.FREEZE
    safety: bool = False


def judge(
    rules: Rules, facts: RuleFacts, memory: Memory, *,
    at_s: float, ignores: bool = False, conditions: tuple[Condition, ...] = (),
) -> tuple[Judgement, Memory]:  # fmt: skip
    """What the rules say now. Pure: the same trace always gives the same judgements."""
    steady_s = facts.steady_s
    level, level_changed_s = _level(rules, facts, memory, at_s)
    average = _averaged(facts.others_cpu_percent, memory, steady_s)
    level_ends_s = level_ends(rules, at_s, facts.zone)
    look = Look(
        at_s=at_s, rules=rules, facts=facts, conditions=conditions, level=level,
        level_ends_s=level_ends_s, average=average,
    )  # fmt: skip
    latches: dict[RuleCode, Latch] = {}
    views = tuple(_judged(rule, look, memory.latches, latches, ignores) for rule in TABLE)
    jump_s, jumped_at_s = _jump(memory, steady_s, at_s)
    has_sensor = _sane(facts.cpu_celsius, *PLAUSIBLE_C) is not None
    judgement = Judgement(
        at_s=at_s, level=level, level_ends_s=level_ends_s, amount=_amount(rules, level, ignores),
        rules=views, ignores=ignores, clock_jump_s=jump_s,
        lost_sensor=rules.heat_on and not has_sensor and (memory.had_sensor or facts.cpu_celsius is not None),
    )  # fmt: skip
    kept = Memory(
        latches=latches, average=average, level=level, level_changed_s=level_changed_s, steady_s=steady_s,
        at_s=at_s, jump_s=jump_s, jumped_at_s=jumped_at_s, had_sensor=memory.had_sensor or has_sensor,
    )  # fmt: skip
    return judgement, kept


def _amount(rules: Rules, level: Level, ignores: bool) -> Amount:
    return rules.amount(Level.FULL if ignores else level)


def _judged(
    rule: Rule, look: Look, before: Mapping[RuleCode, Latch], after: dict[RuleCode, Latch], ignores: bool
) -> RuleView:
    if not rule.on(look.rules):
        return RuleView(rule.code, False, rule.follows, True, False)
    found = rule.find(look)
    old = before.get(rule.code, _FREE)
    # A fact that has vanished holds nothing back for longer than the rule would at its best.
    new = stepped(old, found.lean or _GONE, look.facts.steady_s, look.at_s)
    if new is not _FREE:
        after[rule.code] = new
    return RuleView(
        code=rule.code, on=True, follows=_follows(rule, look.rules), known=found.lean is not None,
        blocks=new.blocks, ignored=ignores and not rule.safety, value=found.value, limit=found.limit,
        about=found.about, since_s=new.since_s, ends_at_s=found.ends_at_s if new.blocks else None,
    )  # fmt: skip


_FREE = Latch()
_GONE = Lean(over=False, back=True)


def _follows(rule: Rule, rules: Rules) -> Follows:
    if rules.programs_gpu_only and rule.code in (RuleCode.PROGRAM, RuleCode.FULL_SCREEN):
        return Follows.FREEZE_GPU
    return rule.follows


# --- level, average, clock ----------------------------------------------------------------------


def _level(rules: Rules, facts: RuleFacts, memory: Memory, at_s: float) -> tuple[Level, float]:
    """The level of the half hour; a clock that is set to and fro changes it once a dwell time."""
    wanted = level_at(rules, slot_at(at_s, facts.zone))
    if memory.level is None or wanted is memory.level:
        return wanted, memory.level_changed_s if memory.level is not None else facts.steady_s - DWELL_S
    if facts.steady_s - memory.level_changed_s < DWELL_S:
        return memory.level, memory.level_changed_s
    return wanted, facts.steady_s


def _averaged(value: float | None, memory: Memory, steady_s: float) -> float | None:
    value = _sane(value, 0.0, 100.0)
    if value is None:
        return None
    passed_s = None if memory.steady_s is None else steady_s - memory.steady_s
    if memory.average is None or passed_s is None or not 0 <= passed_s <= STALE_S:
        return value
    weight = 1.0 - math.exp(-passed_s / AVERAGE_S)
    return memory.average + weight * (value - memory.average)


def _jump(memory: Memory, steady_s: float, at_s: float) -> tuple[float, float]:
    """By how much the clock was set in the last minutes, as seen against the steady one."""
    if memory.steady_s is None:
        return 0.0, 0.0
    jump_s = (at_s - memory.at_s) - (steady_s - memory.steady_s)
    if abs(jump_s) >= JUMP_S:
        return jump_s, steady_s
    over = steady_s - memory.jumped_at_s > JUMP_SHOWN_S
    return (0.0, 0.0) if over else (memory.jump_s, memory.jumped_at_s)


def _sane(value: float | None, low: float, high: float) -> float | None:
    """The value, or None for one that no such sensor can mean."""
    if value is None or not low <= value <= high:  # NaN is in no range
        return None
    return value


# --- the rules ----------------------------------------------------------------------------------


def _simple(over: bool | None, back_after_s: float = DWELL_S, about: str = "") -> Found:
    if over is None:
        return UNKNOWN
    return Found(lean=Lean(over=over, back=not over, back_after_s=back_after_s), about=about)


def _schedule(look: Look) -> Found:
    off = look.level is Level.OFF
    return Found(lean=Lean(over=off, back=not off, back_after_s=0), ends_at_s=look.level_ends_s)


def _in_use(look: Look) -> Found:
    limit_s = look.rules.idle_start_after_min * 60
    idle_s = _sane(look.facts.idle_s, 0.0, math.inf)
    if idle_s is None:
        return UNKNOWN
    busy = idle_s < limit_s
    lean = Lean(over=busy, back=not busy, back_after_s=0, at_once=True)
    ends_s = look.at_s + limit_s - idle_s
    return Found(lean=lean, value=idle_s, limit=limit_s, about=look.facts.idle_source, ends_at_s=ends_s)


def _battery(look: Look) -> Found:
    return _simple(look.facts.on_battery, look.rules.battery_back_s)


def _battery_low(look: Look) -> Found:
    percent, limit = _sane(look.facts.battery_percent, 0.0, 100.0), look.rules.battery_low_percent
    if percent is None or look.facts.on_battery is None:
        return UNKNOWN
    over = look.facts.on_battery and percent < limit
    back = not look.facts.on_battery or percent >= limit + BATTERY_BACK_PERCENT
    lean = Lean(over=over, back=back, back_after_s=look.rules.battery_back_s)
    return Found(lean=lean, value=percent, limit=limit)


def _load(look: Look) -> Found:
    average, limit = look.average, look.rules.load_percent
    if average is None:
        return UNKNOWN
    lean = Lean(
        over=average > limit, back=average <= limit,
        trip_after_s=look.rules.load_for_s, back_after_s=look.rules.load_back_s,
    )  # fmt: skip
    return Found(lean=lean, value=average, limit=limit)


def _program(look: Look) -> Found:
    running = look.facts.programs
    if running is None:
        return UNKNOWN
    named = running & look.rules.program_names
    return _simple(bool(named), about=", ".join(sorted(named)))


def _heat(celsius: float | None, limit: float, back: float) -> Found:
    value = _sane(celsius, *PLAUSIBLE_C)
    if value is None:
        return UNKNOWN
    lean = Lean(over=value >= limit, back=value <= back, back_after_s=3 * DWELL_S)
    return Found(lean=lean, value=value, limit=limit)


def _month(look: Look) -> Found:
    used, limit = look.facts.month_bytes / GB, look.rules.month_gb
    lean = Lean(over=used >= limit, back=used < limit)
    ends_s = month_ends(look.at_s, look.facts.zone) if lean.over else None
    return Found(lean=lean, value=used, limit=limit, ends_at_s=ends_s)


def _metered(look: Look) -> Found:
    if look.rules.metered_always:
        return _simple(True, about=BY_OWNER)
    return _simple(look.facts.metered)


def _disk(look: Look) -> Found:
    free, limit = _sane(look.facts.disk_free_gb, 0.0, math.inf), look.rules.disk_free_gb
    if free is None:
        return UNKNOWN
    return Found(lean=Lean(over=free < limit, back=free >= limit + DISK_BACK_GB), value=free, limit=limit)


def _condition(look: Look) -> Found:
    bad = [each for each in look.conditions if not each.ok and look.at_s < each.ends_at_s]
    if not bad:
        return Found(lean=Lean(over=False, back=True))
    about = "; ".join(f"{each.name}: {each.reason}" if each.reason else each.name for each in bad)
    return Found(lean=Lean(over=True, back=False), about=about, ends_at_s=max(each.ends_at_s for each in bad))


def _memory(look: Look, limit: float) -> Found:
    used = _sane(look.facts.memory_percent, 0.0, 100.0)
    if used is None:
        return UNKNOWN
    lean = Lean(over=used >= limit, back=used < limit - MEMORY_BACK_PERCENT)
    return Found(lean=lean, value=used, limit=limit)


TABLE: tuple[Rule, ...] = (
    Rule(code=RuleCode.IN_USE, on=lambda r: r.idle_on, find=_in_use),
    Rule(code=RuleCode.SCHEDULE, on=lambda r: True, find=_schedule),
    Rule(code=RuleCode.HEAT, on=lambda r: r.heat_on, safety=True,
         find=lambda k: _heat(k.facts.cpu_celsius, k.rules.heat_cpu_c, k.rules.heat_back_c)),
    Rule(code=RuleCode.DISK, on=lambda r: r.disk_on, safety=True, find=_disk),
    Rule(code=RuleCode.BATTERY_LOW, on=lambda r: r.battery_low_on, safety=True, find=_battery_low),
    Rule(code=RuleCode.BATTERY, on=lambda r: r.battery_on, find=_battery),
    Rule(code=RuleCode.POWER_SAVER, on=lambda r: r.power_saver_on,
         find=lambda k: _simple(k.facts.power_saver)),
    Rule(code=RuleCode.PROGRAM, on=lambda r: r.programs_on and bool(r.program_names), find=_program),
    Rule(code=RuleCode.FULL_SCREEN, on=lambda r: r.full_screen_on,
         find=lambda k: _simple(k.facts.full_screen)),
    Rule(code=RuleCode.LOAD, on=lambda r: r.load_on, find=_load),
    Rule(code=RuleCode.CONDITION, on=lambda r: r.conditions_on, find=_condition),
    Rule(code=RuleCode.MEMORY_STOP, on=lambda r: r.memory_on, safety=True, follows=Follows.STOP_NEWEST,
         find=lambda k: _memory(k, k.rules.memory_stop_percent)),
    Rule(code=RuleCode.MEMORY_PAUSE, on=lambda r: r.memory_on, safety=True, follows=Follows.FREEZE_NEWEST,
         find=lambda k: _memory(k, k.rules.memory_pause_percent)),
    Rule(code=RuleCode.MEMORY_ACCEPT, on=lambda r: r.memory_on, safety=True, follows=Follows.NO_NEW,
         find=lambda k: _memory(k, k.rules.memory_accept_percent)),
    Rule(code=RuleCode.GPU_HEAT, on=lambda r: r.heat_on, safety=True, follows=Follows.FREEZE_GPU,
         find=lambda k: _heat(k.facts.gpu_celsius, k.rules.heat_gpu_c, k.rules.heat_back_c)),
    Rule(code=RuleCode.METERED, on=lambda r: r.metered_on, follows=Follows.NO_NEW,
         find=_metered),
    Rule(code=RuleCode.MONTH, on=lambda r: r.month_on, follows=Follows.NO_NEW, find=_month),
)  # fmt: skip
"""Most important first: the order in which verdicts name what holds at the same time."""
