"""What the first run says: its steps, presets, and how the first task stands. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from hivemind_worker.model.checkup import Check, CheckState
from hivemind_worker.model.rules import SLOTS_A_WEEK, Level, Rules
from hivemind_worker.model.sending import Sending, SendStep
from hivemind_worker.presentation.amounts import duration_words
from hivemind_worker.presentation.catalogue import _, mark, translate_many
from hivemind_worker.presentation.faults import words
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.page_words import ABSENT
from hivemind_worker.presentation.rule_words import LEVELS

STEPS = (
    (mark("Welcome"), mark("what runs, what never")),
    (mark("This computer"), mark("what it can do")),
    (mark("How much"), mark("and when")),
    (mark("Join"), mark("demo or pool")),
    (mark("Try it"), mark("one real task")),
)
PRESETS = (
    ("gentle", mark("Gentle laptop"), mark("a quarter of the machine, only when plugged in and idle")),
    ("night", mark("Desktop by night"), mark("half by day when you are away, nearly all at night")),
    ("server", mark("Full server"), mark("everything but one core, day and night")),
)
SHARES = {"gentle": 0.25, "night": 0.5, "server": 1.0}
SMALL_DISK_GB, DISK_RESERVE_GB = 40.0, 5.0
CHECK_LOOKS = {
    CheckState.OK: ("working", "check", mark("fine")),
    CheckState.WARN: ("warning", "warning", mark("trouble")),
    CheckState.FAIL: ("error", "cross", mark("not working")),
    CheckState.NOT_NEEDED: ("offline", "dash", mark("not needed")),
}
PROMISES = (
    ("check", mark("Tasks run in a sandbox: a container, or the built-in one.")),
    ("check", mark("You say how much they may take, and they step aside when you need the computer.")),
    ("cross", mark("No task sees your files, your programs or your screen.")),
    ("cross", mark("No task reaches the network unless you allow it.")),
)


def check_look(check: Check) -> Look:
    """The shape and word of a finding."""
    tone, icon, word = CHECK_LOOKS[check.state]
    return Look(tone=tone, icon=icon, word=_(word))


def share_of(preset: str, cores: int, memory_gb: float) -> tuple[float, float]:
    """Cores and GiB that a preset lends of this computer: never none, and never all of it."""
    part = SHARES[preset]
    most_cores, most_gb = max(1.0, cores - 1.0), max(1.0, memory_gb - 4.0)
    lent_cores = min(most_cores, max(1.0, float(int(cores * part))))
    return lent_cores, min(most_gb, max(1.0, round(memory_gb * part * 2) / 2))


def disk_of(preset: str, free_gb: float, least_gb: float) -> float:
    """GiB of the free disk that a preset lends: on a small disk all but a reserve, on a large one its share.

    Of a small disk half would soon be filled by what tasks leave for the next: images, packages, results.
    """
    share = max(SMALL_DISK_GB, free_gb * SHARES[preset])
    return float(int(max(least_gb, min(free_gb - DISK_RESERVE_GB, share))))


def stays_yours(lent: float, whole: float, *, in_cores: bool) -> str:
    """The other part of a slider."""
    rest = max(0.0, whole - lent)
    if in_cores:
        return translate_many("{count} core stays yours", "{count} cores stay yours", round(rest))
    return _("{size} GiB stay yours", size=f"{rest:g}")


def kept_free(lent: float, free: float) -> str:
    """The other part of the disk's slider."""
    return _("{keep} GiB are always kept free", keep=f"{max(0.0, free - lent):g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A rule that lets the owner go first: its name among the rules, what it does, and when exactly."""

    rule: str
    text: str
    when: str = ""


def pauses_of(rules: Rules) -> tuple[Pause, ...]:
    """The rules that the first run asks about, with the figures that these have."""
    again, busy = duration_words(rules.idle_start_after_min * 60), duration_words(rules.load_for_s)
    return (
        Pause(
            rule="idle_on", text=_("Pause at once when I use this computer"),
            when=_("starts again after {time} without input", time=again),
        ),
        Pause(rule="battery_on", text=_("Pause on battery")),
        Pause(
            rule="load_on", text=_("Pause when other programs need the processor"),
            when=_("above {percent} % for {time}", percent=f"{rules.load_percent:g}", time=busy),
        ),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """Half hours of a day at one level: the first one's number, and the first one after."""

    first: int
    last: int
    level: Level
    name: str


def weekday_of(rules: Rules) -> tuple[Spell, ...]:
    """An ordinary weekday as the plan has it."""
    spells: list[Spell] = []
    for digit, slots in groupby(rules.monday):
        first, level = spells[-1].last if spells else 0, Level(int(digit))
        spells.append(Spell(first=first, last=first + len(list(slots)), level=level, name=_(LEVELS[level])))
    return tuple(spells)


def planned_words(rules: Rules) -> str:
    """How much of a week the plan has for tasks, should nothing come between."""
    slots = sum(digit != str(int(Level.OFF)) for digit in rules.week)
    return _("the plan has {hours} of {all} hours a week", hours=f"{slots / 2:g}", all=f"{SLOTS_A_WEEK // 2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialLine:
    """One thing that the first task has (not yet) got through, and how long it took."""

    look: Look
    text: str
    took: str


TRIAL = (
    (SendStep.UPLOADING, mark("Packed")),
    (SendStep.WAITING, mark("Accepted by the pool built into this app")),
    (SendStep.RUNNING, mark("Sandbox started")),
    (SendStep.FETCHING, mark("Code ran to its end")),
    (SendStep.COMPLETED, mark("Result packed, sent and unpacked")),
)


def trial_lines(sending: Sending) -> tuple[TrialLine, ...]:
    """How the first task stands, step by step."""
    done = Look(tone="working", icon="check", word=_("done"))
    ahead = Look(tone="waiting", icon="tray-waiting", word=_("to come"))
    lines, before_s = [], sending.at(SendStep.PACKING)
    for step, text in TRIAL:
        at_s = sending.at(step)
        known = at_s is not None and before_s is not None
        took = f"{(at_s or 0.0) - (before_s or 0.0):.2f} s" if known else ABSENT
        lines.append(TrialLine(look=done if at_s is not None else ahead, text=_(text), took=took))
        before_s = at_s if at_s is not None else before_s
    return tuple(lines)


def trial_headline(sending: Sending | None) -> tuple[str, str]:
    """The title of the last step, and what it means."""
    if sending is None:
        return _("Try it"), _("One real task, counting primes, runs on this computer. Nothing leaves it.")
    if sending.step is SendStep.COMPLETED:
        text = _("A real task, counting primes, ran in the sandbox. Nothing left this computer.")
        return _("It works: your first task is done"), text
    if sending.step.has_ended:
        reason = words(sending.problem) if sending.problem else (sending.message, "")
        return _("The first task did not work"), " ".join(part for part in reason if part)
    return _("Your first task is running"), _("It counts primes. Nothing leaves this computer.")
