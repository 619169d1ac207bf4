"""The rules in words: why they hold work back, what they would need, and each rule's live value.

Counterpart: presentation.health, which puts these verdicts in their place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.judgement import Follows, Judgement, RuleCode, RuleView
from hivemind_worker.model.rules import Amount, Level
from hivemind_worker.model.snapshot import Mode, Snapshot
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.amounts import cores_words, duration_words
from hivemind_worker.presentation.catalogue import _, mark, translate_many
from hivemind_worker.presentation.faults import words as fault_words
from hivemind_worker.presentation.plain_text import shown_line
from hivemind_worker.presentation.verdict import Verdict

RUN_ANYWAY = mark("Work anyway for an hour: hivemind-worker mode run --for 1h")
SWITCH_OFF = mark("Switch this rule off: hivemind-worker rules set {row}=false")

LEVELS = {
    Level.OFF: mark("Off"),
    Level.LIGHT: mark("Light"),
    Level.NORMAL: mark("Normal"),
    Level.FULL: mark("Full"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A rule's name, its row that switches it, and its sentence when it holds work back."""

    title: str
    row: str
    text: Callable[[RuleView], str]
    action: str = SWITCH_OFF


def _plain(sentence: str) -> Callable[[RuleView], str]:
    return lambda rule: _(sentence)


def _figures(sentence: str) -> Callable[[RuleView], str]:
    return lambda rule: _(sentence, value=_short(rule.value), limit=_short(rule.limit))


def _short(value: float | None) -> str:
    if value is None:
        return "?"
    if 0 < abs(value) < 0.1:
        return f"{value:.2g}"
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.1f}"


def _in_use(rule: RuleView) -> str:
    return _(
        "Somebody uses this computer. Work starts after {time} without input (seen by {source}).",
        time=duration_words(rule.limit or 0), source=rule.about,
    )  # fmt: skip


def _program(rule: RuleView) -> str:
    return _("Paused while {programs} runs.", programs=rule.about)


def _metered(rule: RuleView) -> str:
    if rule.about:
        return _("Every network counts as metered, by your own rule: no new task is taken.")
    return _("The network is metered: no new task is taken.")


def _condition(rule: RuleView) -> str:
    if not rule.about:  # it has ended, and the rule lets go in a moment
        return _("Held back from outside until a moment ago.")
    return _("Held back from outside: {reason}.", reason=rule.about.rstrip("."))


WORDS: dict[RuleCode, Words] = {
    RuleCode.IN_USE: Words(
        title=mark("Computer in use"), row="idle_on", text=_in_use, action=RUN_ANYWAY,
    ),
    RuleCode.SCHEDULE: Words(
        title=mark("Week plan"), row="", action=RUN_ANYWAY,
        text=_plain(mark("Off at this time by your week plan.")),
    ),
    RuleCode.HEAT: Words(
        title=mark("Temperature"), row="heat_on",
        text=_figures(mark("The processor is too hot: {value} °C, the limit is {limit} °C.")),
    ),
    RuleCode.GPU_HEAT: Words(
        title=mark("Temperature of the graphics card"), row="heat_on",
        text=_figures(mark("The graphics card is too hot: {value} °C, the limit is {limit} °C.")),
    ),
    RuleCode.DISK: Words(
        title=mark("Keep disk free"), row="disk_on",
        text=_figures(mark("The disk is too full: {value} GiB free, {limit} GiB stay free.")),
    ),
    RuleCode.BATTERY: Words(
        title=mark("Battery"), row="battery_on", action=RUN_ANYWAY,
        text=_plain(mark("On battery. Work goes on when it is plugged in.")),
    ),
    RuleCode.BATTERY_LOW: Words(
        title=mark("Low battery"), row="battery_low_on",
        text=_figures(mark("The battery is low: {value} %, the limit is {limit} %.")),
    ),
    RuleCode.POWER_SAVER: Words(
        title=mark("Power saver"), row="power_saver_on", action=RUN_ANYWAY,
        text=_plain(mark("The system saves power.")),
    ),
    RuleCode.LOAD: Words(
        title=mark("Other programs"), row="load_on", action=RUN_ANYWAY,
        text=_figures(mark("Other programs need the processor: {value} %, the limit is {limit} %.")),
    ),
    RuleCode.PROGRAM: Words(
        title=mark("Pausing programs"), row="programs_on", text=_program, action=RUN_ANYWAY
    ),
    RuleCode.FULL_SCREEN: Words(
        title=mark("Full screen"), row="full_screen_on", action=RUN_ANYWAY,
        text=_plain(mark("A program fills the screen.")),
    ),
    RuleCode.CONDITION: Words(
        title=mark("Outside conditions"), row="conditions_on", text=_condition, action=RUN_ANYWAY
    ),
    RuleCode.MEMORY_STOP: Words(
        title=mark("Memory: stop a task"), row="memory_on",
        text=_figures(mark("Memory has run out ({value} %): the newest task is stopped.")),
    ),
    RuleCode.MEMORY_PAUSE: Words(
        title=mark("Memory: pause a task"), row="memory_on",
        text=_figures(mark("Memory is scarce ({value} %): the newest task is paused.")),
    ),
    RuleCode.MEMORY_ACCEPT: Words(
        title=mark("Memory: no new task"), row="memory_on",
        text=_figures(mark("Memory gets scarce ({value} %, the limit is {limit} %): no new task.")),
    ),
    RuleCode.METERED: Words(
        title=mark("Metered network"), row="metered_on", action=RUN_ANYWAY,
        text=_metered,
    ),
    RuleCode.MONTH: Words(
        title=mark("Transfers a month"), row="month_on", action=RUN_ANYWAY,
        text=_figures(mark("The month's transfers are used up: {value} of {limit} GB. No new task.")),
    ),
}  # fmt: skip


def rule_verdicts(snapshot: Snapshot) -> tuple[Verdict, ...]:
    """The rules that hold all tasks, or new ones, back; most important first."""
    if snapshot.node.mode is Mode.STOPPING:
        return ()
    found = [
        rule for rule in snapshot.judgement.rules if rule.counts and rule.follows is not Follows.FREEZE_GPU
    ]
    return tuple(_verdict(rule) for rule in found)


def held_back(snapshot: Snapshot) -> Verdict | None:
    """The failure guard: too many failures in a row of the image that was used last."""
    last = snapshot.node.failures[-1] if snapshot.node.failures else None
    if last is None or last.until_s is None or snapshot.node.mode is Mode.STOPPING:
        return None
    head, text = held_back_words(last.count, last.image, last.last_code, last.last_about)
    return Verdict(
        code="image_held_back", text=text, head=head, since_s=last.since_s, ends_at_s=last.until_s,
        action=_("Try again now: hivemind-worker retry"),
        values={"count": last.count, "image": last.image, "last_code": last.last_code,
                "about": last.last_about},
    )  # fmt: skip


def held_back_words(count: int, image: str, last_code: str, last_about: str) -> tuple[str, str]:
    """What is on hold, alone and with the cause of the last failure."""
    head = _(
        "{count} tasks in a row have failed in {image}: new work is on hold.",
        count=count, image=_image_words(image),
    )  # fmt: skip
    cause = _last_cause(last_code, last_about)
    return head, _("{what} {why}", what=head, why=cause) if cause else head


def _image_words(image: str) -> str:
    return _("the built-in sandbox") if image == "wasm" else image.partition("@")[0]


def _last_cause(code: str, about: str) -> str:
    """Why the last of them failed, in the words of its fault; "" when that is not known."""
    if code not in set(FaultCode):
        return ""
    problem = Problem(code=FaultCode(code), about=about)
    return _("The last one: {cause}", cause=shown_line(fault_words(problem)[0]))


def _verdict(rule: RuleView) -> Verdict:
    words = WORDS[rule.code]
    return Verdict(
        code=rule.code.value, text=words.text(rule), since_s=rule.since_s or None, ends_at_s=rule.ends_at_s,
        action=_(words.action, row=words.row),
        values={"value": rule.value, "limit": rule.limit, "about": rule.about},
    )  # fmt: skip


def rule_remarks(snapshot: Snapshot) -> tuple[Verdict, ...]:
    """What does not stop all work but should be known: the card, ignored rules, facts that cannot be told."""
    judgement = snapshot.judgement
    found = [_verdict(rule) for rule in judgement.holding(Follows.FREEZE_GPU)]
    checks = (_gpu_paused, _ignored, _never, _lower_level, _no_idle_source, _no_sensor, _clock_set)
    found += [verdict for check in checks if (verdict := check(snapshot, judgement)) is not None]
    return tuple(found)


def _gpu_paused(snapshot: Snapshot, judgement: Judgement) -> Verdict | None:
    if not snapshot.node.gpu_paused:
        return None
    return Verdict(
        code="gpu_paused", text=_("The graphics card is paused."), ends_at_s=snapshot.node.gpu_until_s,
        action=_("Let it go on: hivemind-worker resume --gpu"),
    )  # fmt: skip


def _ignored(snapshot: Snapshot, judgement: Judgement) -> Verdict | None:
    """The mode Run: the rules that would hold work back now are named."""
    if not snapshot.node.ignores_rules:
        return None
    names = [_(WORDS[rule.code].title) for rule in judgement.rules if rule.ignored and rule.blocks]
    text = _("Working whatever the rules say.")
    if names:
        text = _("Working although these rules say no: {rules}.", rules=", ".join(names))
    return Verdict(
        code="rules_ignored", text=text, ends_at_s=snapshot.node.ignores_until_s,
        action=_("Heed them again: hivemind-worker mode rules"),
    )  # fmt: skip


def _never(snapshot: Snapshot, judgement: Judgement) -> Verdict | None:
    if judgement.level is not Level.OFF or judgement.level_ends_s is not None:
        return None
    return Verdict(
        code="rules_never_allow", text=_("Your week plan is off at every hour: no work will ever start."),
        action=_("Paint some hours: hivemind-worker rules paint all 00:00-24:00 full"),
    )  # fmt: skip


def _lower_level(snapshot: Snapshot, judgement: Judgement) -> Verdict | None:
    if judgement.level not in (Level.LIGHT, Level.NORMAL) or judgement.ignores:
        return None
    text = _("Lending at the level {level}: {amount}.", level=_(LEVELS[judgement.level]),
             amount=amount_words(judgement.amount))  # fmt: skip
    return Verdict(code="lower_level", text=text, ends_at_s=judgement.level_ends_s, action=_(RUN_ANYWAY))


def _no_idle_source(snapshot: Snapshot, judgement: Judgement) -> Verdict | None:
    if not _is_unknown(judgement, RuleCode.IN_USE):
        return None
    return Verdict(
        code="idle_unknown",
        text=_("Cannot tell when you are using this computer: that rule is without effect."),
        action=_("Use the week plan instead, or switch it off: hivemind-worker rules set idle_on=false"),
    )


def _no_sensor(snapshot: Snapshot, judgement: Judgement) -> Verdict | None:
    """Only where a sensor was there: most virtual machines have none, and need no remark."""
    if not judgement.lost_sensor:
        return None
    return Verdict(
        code="sensor_lost",
        text=_("The temperature sensor gives no sensible value: that rule is without effect."),
        action=_(SWITCH_OFF, row="heat_on"),
    )


def _clock_set(snapshot: Snapshot, judgement: Judgement) -> Verdict | None:
    if not judgement.clock_jump_s:
        return None
    length = duration_words(abs(judgement.clock_jump_s))
    ahead = judgement.clock_jump_s > 0
    text = (
        _("The clock was set ahead by {time}.", time=length)
        if ahead
        else _("The clock was set back by {time}.", time=length)
    )
    return Verdict(
        code="clock_set", text=text, action=_("Nothing to do; the week plan goes by the new time.")
    )


def _is_unknown(judgement: Judgement, code: RuleCode) -> bool:
    return any(rule.code is code and rule.on and not rule.known for rule in judgement.rules)


def amount_words(amount: Amount) -> str:
    """What a level lends: "2 cores at 50 %, 4 GiB, no GPU, 1 task"."""
    if not amount.cpu_percent:
        return _("nothing runs")
    cores = _("all lent cores")
    if amount.cores:
        cores = cores_words(amount.cores)
    parts = [
        cores
        if amount.cpu_percent >= 100
        else _("{cores} at {percent} %", cores=cores, percent=f"{amount.cpu_percent:g}")
    ]
    parts.append(f"{amount.memory_gb:g} GiB" if amount.memory_gb else _("all lent memory"))
    parts.append(_("GPU") if amount.gpu else _("no GPU"))
    if amount.tasks:
        parts.append(translate_many("{count} task", "{count} tasks", amount.tasks))
    return ", ".join(parts)
