"""What the rules say at one moment, rule by rule, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from hivemind_worker.model.rules import Amount, Level


class RuleCode(StrEnum):
    """Stable names of the rules: they are verdict codes and stand in the API."""

    SCHEDULE = "schedule_off"
    IN_USE = "in_use"
    BATTERY = "on_battery"
    BATTERY_LOW = "battery_low"
    POWER_SAVER = "power_saver"
    LOAD = "other_programs"
    PROGRAM = "program_running"
    FULL_SCREEN = "full_screen"
    HEAT = "too_hot"
    GPU_HEAT = "gpu_too_hot"
    METERED = "metered_network"
    MONTH = "month_used_up"
    DISK = "disk_low"
    CONDITION = "outside_condition"
    MEMORY_ACCEPT = "memory_scarce"
    MEMORY_PAUSE = "memory_pausing"
    MEMORY_STOP = "memory_stopping"


class Follows(StrEnum):
    """What a rule does while it blocks."""

    FREEZE = "freeze"  # all tasks
    FREEZE_GPU = "freeze_gpu"  # those that use a graphics card
    FREEZE_NEWEST = "freeze_newest"  # one more each dwell time
    STOP_NEWEST = "stop_newest"
    NO_NEW = "no_new"  # what runs goes on


class RuleView(NamedTuple):
    """One rule now. `blocks` when it holds work back (or would, were it not `ignored`).

    `known` is False when the fact that it needs cannot be told. `value` and `limit` are in the rule's
    own unit, `about` names what it found. Times are UTC epoch seconds.
    """

    code: RuleCode
    on: bool
    follows: Follows
    known: bool
    blocks: bool
    ignored: bool = False
    value: float | None = None
    limit: float | None = None
    about: str = ""
    since_s: float = 0.0
    ends_at_s: float | None = None

    @property
    def counts(self) -> bool:
        """Whether it holds work back now."""
        return self.blocks and not self.ignored


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """All rules at one moment. `amount` is what the level lends, before the owner's limits."""

    at_s: float = 0.0
    level: Level = Level.FULL
    level_ends_s: float | None = None
    amount: Amount = field(default_factory=Amount)
    rules: tuple[RuleView, ...] = ()
    ignores: bool = False  # the owner wants work whatever the rules say
    clock_jump_s: float = 0.0  # by how much the clock was set lately
    lost_sensor: bool = False  # a temperature could be told once and cannot be any more

    def holding(self, *effects: Follows) -> tuple[RuleView, ...]:
        """The rules that do one of these now, most important first."""
        return tuple(rule for rule in self.rules if rule.counts and rule.follows in effects)

    @property
    def freezes(self) -> bool:
        """Whether no task may run."""
        return bool(self.holding(Follows.FREEZE))

    @property
    def freezes_gpu(self) -> bool:
        """Whether no task may use a graphics card."""
        return not self.amount.gpu or bool(self.holding(Follows.FREEZE_GPU))

    @property
    def refuses(self) -> RuleView | None:
        """The first rule for which no new task is taken."""
        found = [rule for rule in self.rules if rule.counts and rule.follows is not Follows.FREEZE_GPU]
        return found[0] if found else None
