"""The Rules screen as values, the same for window, page, command line and API: each rule with what it is now.

Counterpart: presentation.rule_words, which says why work is held back.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from hivemind_worker.model.judgement import RuleCode, RuleView
from hivemind_worker.model.preview import Preview, Span
from hivemind_worker.model.rules import DAYS, PRESETS, Level, Rules
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.model.yields import STEPS_MS, YieldTimes
from hivemind_worker.presentation.amounts import HOUR_S, duration_words, iso
from hivemind_worker.presentation.catalogue import _, mark, translate_many
from hivemind_worker.presentation.rule_words import LEVELS, WORDS, amount_words

PRESET_NAMES = {
    "gentle": mark("Gentle laptop"),
    "night": mark("Desktop by night"),
    "server": mark("Full server"),
}
assert PRESET_NAMES.keys() == PRESETS.keys()


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLine:
    """One line of the screen: its switch (a row of the rules, "" when it has none), the rows that it edits,
    its value in words, what is measured now, and the verdict. `tone`: ok, blocks, ignored, off, unknown."""

    title: str
    icon: str
    switch: str
    on: bool
    edits: tuple[str, ...]
    value: str
    now: str
    verdict: str
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    codes: tuple[RuleCode, ...]
    icon: str
    edits: tuple[str, ...] = ()
    title: str = ""


_LINES = (
    _Line(codes=(RuleCode.IN_USE,), icon="idle", edits=("idle_start_after_min",)),
    _Line(codes=(RuleCode.LOAD,), icon="cpu", edits=("load_percent", "load_for_s", "load_back_s")),
    _Line(codes=(RuleCode.HEAT, RuleCode.GPU_HEAT), icon="temperature",
          edits=("heat_cpu_c", "heat_gpu_c", "heat_back_c")),
    _Line(codes=(RuleCode.PROGRAM,), icon="apps", edits=("programs", "programs_gpu_only")),
    _Line(codes=(RuleCode.FULL_SCREEN,), icon="apps"),
    _Line(codes=(RuleCode.DISK,), icon="disk", edits=("disk_free_gb",)),
    _Line(codes=(RuleCode.MEMORY_ACCEPT, RuleCode.MEMORY_PAUSE, RuleCode.MEMORY_STOP), icon="memory",
          title=mark("Memory"),
          edits=("memory_accept_percent", "memory_pause_percent", "memory_stop_percent")),
    _Line(codes=(RuleCode.METERED,), icon="network", edits=("metered_always",)),
    _Line(codes=(RuleCode.MONTH,), icon="network", edits=("month_gb",)),
    _Line(codes=(RuleCode.BATTERY,), icon="battery", edits=("battery_back_s",)),
    _Line(codes=(RuleCode.BATTERY_LOW,), icon="battery", edits=("battery_low_percent",)),
    _Line(codes=(RuleCode.POWER_SAVER,), icon="battery"),
    _Line(codes=(RuleCode.CONDITION,), icon="bolt"),
)  # fmt: skip


def rule_lines(snapshot: Snapshot, rules: Rules) -> tuple[RuleLine, ...]:
    """All lines in the order of the screen."""
    views = {view.code: view for view in snapshot.judgement.rules}
    return tuple(
        _line(line, [views[c] for c in line.codes if c in views], snapshot, rules) for line in _LINES
    )


def _line(line: _Line, views: list[RuleView], snapshot: Snapshot, rules: Rules) -> RuleLine:
    words = WORDS[line.codes[0]]
    on = bool(getattr(rules, words.row))
    tone = _tone(on, views)
    return RuleLine(
        title=_(line.title or words.title), icon=line.icon, switch=words.row, on=on, edits=line.edits,
        value=_value(line.codes[0], rules), now=_now(line.codes[0], views, snapshot), tone=tone,
        verdict=_(_VERDICTS[tone]),
    )  # fmt: skip


_VERDICTS = {
    "ok": mark("allows work"),
    "blocks": mark("holds work back"),
    "ignored": mark("ignored"),
    "off": mark("off"),
    "unknown": mark("cannot tell"),
}


def _tone(on: bool, views: list[RuleView]) -> str:
    if not on:
        return "off"
    if any(view.counts for view in views):
        return "blocks"
    if any(view.blocks for view in views):
        return "ignored"
    return "ok" if any(view.known for view in views) else "unknown"


def _value(code: RuleCode, rules: Rules) -> str:  # noqa: PLR0911 - one a rule
    match code:
        case RuleCode.IN_USE:
            time = duration_words(rules.idle_start_after_min * 60)
            return _("start after {time}, stop at once", time=time)
        case RuleCode.LOAD:
            return _("above {percent} % for {trip} s, back in {back} s", percent=f"{rules.load_percent:g}",
                     trip=f"{rules.load_for_s:g}", back=f"{rules.load_back_s:g}")  # fmt: skip
        case RuleCode.HEAT:
            return _(
                "{cpu} °C, graphics card {gpu} °C, go on at {back} °C",
                cpu=f"{rules.heat_cpu_c:g}",
                gpu=f"{rules.heat_gpu_c:g}",
                back=f"{rules.heat_back_c:g}",
            )
        case RuleCode.PROGRAM:
            return rules.programs or _("no program is named")
        case RuleCode.DISK:
            return _("at least {amount} GiB", amount=f"{rules.disk_free_gb:g}")
        case RuleCode.MEMORY_ACCEPT:
            return _("no new task at {accept} %, pause at {hold} %, stop at {end} %",
                     accept=f"{rules.memory_accept_percent:g}", hold=f"{rules.memory_pause_percent:g}",
                     end=f"{rules.memory_stop_percent:g}")  # fmt: skip
        case RuleCode.METERED:
            always = rules.metered_always
            return _("no new task; every network counts as one") if always else _("no new task meanwhile")
        case RuleCode.MONTH:
            return _("{amount} GB a month", amount=f"{rules.month_gb:g}")
        case RuleCode.BATTERY:
            return _("pause on battery, go on after {time} on mains",
                     time=duration_words(rules.battery_back_s))  # fmt: skip
        case RuleCode.BATTERY_LOW:
            return _("below {percent} %", percent=f"{rules.battery_low_percent:g}")
        case RuleCode.CONDITION:
            return _("through the API, each with an end")
        case _:
            return _("pause meanwhile")


def _now(  # noqa: PLR0911 - one a rule
    code: RuleCode, views: list[RuleView], snapshot: Snapshot
) -> str:
    view = views[0] if views else None
    if code is RuleCode.CONDITION:
        return _conditions(snapshot)
    if view is None or not view.on:
        return ""
    if not any(each.known for each in views):
        is_network = code is RuleCode.METERED
        return _("cannot tell here; you can say it") if is_network else _("cannot tell here")
    match code:
        case RuleCode.IN_USE:
            return _(
                "no input for {time} ({source})", time=duration_words(view.value or 0), source=view.about
            )
        case RuleCode.LOAD:
            return _("{percent} % on average", percent=f"{view.value or 0:.0f}")
        case RuleCode.HEAT:
            named = zip((_("CPU"), _("GPU")), views, strict=False)
            return ", ".join(f"{name} {each.value:.0f} °C" for name, each in named if each.value is not None)
        case RuleCode.DISK:
            return _("{amount} GiB free", amount=f"{view.value or 0:.0f}")
        case RuleCode.MEMORY_ACCEPT:
            return _("{percent} % used", percent=f"{view.value or 0:.0f}")
        case RuleCode.MONTH:
            return _("{amount} GB so far", amount=f"{view.value or 0:.1f}")
        case RuleCode.BATTERY_LOW:
            return _("{percent} % charged", percent=f"{view.value or 0:.0f}")
        case RuleCode.PROGRAM:
            return view.about or _("none of them runs")
        case _:
            return _("yes") if view.blocks else _("no")


def _conditions(snapshot: Snapshot) -> str:
    fine, held = _("ok"), _("not now")
    told = [f"{each.name}: {fine if each.ok else each.reason or held}" for each in snapshot.node.conditions]
    return ", ".join(told) or _("none reported")


# --- the level and the preview --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelLine:
    """One level of the legend."""

    level: Level
    title: str
    amount: str


def level_lines(rules: Rules) -> tuple[LevelLine, ...]:
    """Full first."""
    return tuple(
        LevelLine(level=level, title=_(LEVELS[level]), amount=amount_words(rules.amount(level)))
        for level in sorted(Level, reverse=True)
    )


def long_pause_words(rules: Rules) -> str:
    """What becomes of a task that is paused for long."""
    if not rules.pause_ends_task_h:
        return _("A paused task waits for as long as the pause lasts.")
    limit = duration_words(rules.pause_ends_task_h * 3600)
    return _("A task that has been paused for {time} is ended, and the pool is told.", time=limit)


def preview_words(preview: Preview) -> str:
    """19 hours 48 minutes of work, 4 hours 12 minutes paused."""
    if not preview.spans:
        return _("Not enough is known yet.")
    paused_s = sum(span.to_s - span.from_s for span in preview.spans if span.here and not span.works)
    return _(
        "{work} of work, {rest} paused", work=duration_words(preview.works_s), rest=duration_words(paused_s)
    )


def replay_words(preview: Preview) -> str:
    """31 of 168 hours, paused 14 times; in minutes where less than two hours are remembered."""
    if not preview.spans:
        return _("Nothing is remembered yet: facts are kept every five minutes while the worker runs.")
    if preview.whole_s < 2 * HOUR_S:
        return translate_many(
            "{minutes} of {whole} minutes, paused {count} time",
            "{minutes} of {whole} minutes, paused {count} times",
            preview.pauses, minutes=f"{preview.works_s / 60:.0f}", whole=f"{preview.whole_s / 60:.0f}",
        )  # fmt: skip
    return translate_many(
        "{hours} of {whole} hours, paused {count} time", "{hours} of {whole} hours, paused {count} times",
        preview.pauses, hours=f"{preview.works_s / 3600:.0f}", whole=f"{preview.whole_s / 3600:.0f}",
    )  # fmt: skip


def span_words(span: Span) -> str:
    """What a span of the strip is called."""
    if not span.here:
        return _("worker not running")
    return _(LEVELS[span.level]) if span.cause is None else _(WORDS[span.cause].title)


def yield_words(times: YieldTimes) -> str:
    """How fast the computer is given back, for the About page."""
    if not times.count or times.p95_ms is None or times.median_ms is None:
        return _("No input has met a running task yet.")
    return translate_many(
        "From your first input to all tasks frozen: {median} ms, once.",
        "From your first input to all tasks frozen: {median} ms in the middle, {p95} ms at most in 95 of 100"
        " ({count} times).",
        times.count, median=f"{times.median_ms:.0f}", p95=f"{times.p95_ms:.0f}",
    )  # fmt: skip


def yield_spread(times: YieldTimes) -> str:
    """How the times lie: "up to 50 ms 12 times, up to 120 ms 3 times, longer once", without what is empty."""
    told = [
        translate_many("up to {limit} ms once", "up to {limit} ms {count} times", count, limit=step)
        for step, count in zip(STEPS_MS, times.counts, strict=False)
        if count
    ]
    if longer := times.counts[-1]:
        told.append(translate_many("longer once", "longer {count} times", longer))
    return ", ".join(told)


# --- the API's form -------------------------------------------------------------------------------------


def rules_report(snapshot: Snapshot, rules: Rules, times: YieldTimes) -> dict[str, object]:
    """GET /api/v1/rules."""
    judgement, node = snapshot.judgement, snapshot.node
    return {
        "rules": asdict(rules),
        "mode": run_mode(snapshot),
        "level": judgement.level.name.lower(),
        "level_ends": iso(judgement.level_ends_s),
        "lines": [asdict(line) for line in rule_lines(snapshot, rules)],
        "levels": [
            {"level": line.level.name.lower(), "title": line.title, "amount": line.amount}
            for line in level_lines(rules)
        ],
        "conditions": [
            {"name": each.name, "ok": each.ok, "reason": each.reason, "ends_at": iso(each.ends_at_s)}
            for each in node.conditions
        ],
        "presets": {name: dict(values) for name, values in PRESETS.items()},
        "yields": {
            "count": times.count, "median_ms": times.median_ms, "p95_ms": times.p95_ms,
            "longest_ms": times.longest_ms, "text": yield_words(times), "spread": yield_spread(times),
            "distribution": [
                {"up_to_ms": step, "count": count}
                for step, count in zip((*STEPS_MS, None), times.counts, strict=True)
            ],
        },
    }  # fmt: skip


def run_mode(snapshot: Snapshot) -> str:
    """run, rules or paused: what the owner wants."""
    if snapshot.node.mode.value == "paused":
        return "paused"
    return "run" if snapshot.node.ignores_rules else "rules"


def preview_report(preview: Preview, text: str) -> dict[str, object]:
    """POST /api/v1/rules/simulate."""
    return {
        "text": text,
        "works_s": round(preview.works_s, 1),
        "whole_s": round(preview.whole_s, 1),
        "pauses": preview.pauses,
        "spans": [
            {
                "from": iso(span.from_s), "to": iso(span.to_s), "level": span.level.name.lower(),
                "works": span.works, "cause": span.cause.value if span.cause else None,
                "here": span.here, "text": span_words(span),
            }
            for span in preview.spans
        ],
    }  # fmt: skip


DAY_NAMES = dict(zip(DAYS, (mark("Mon"), mark("Tue"), mark("Wed"), mark("Thu"), mark("Fri"), mark("Sat"),
                            mark("Sun")), strict=True))  # fmt: skip
