"""The rules, pure: each one alone, their order, their dwell times, the week by the clock on the wall."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from hivemind_worker.core.judge import TABLE, Memory, judge
from hivemind_worker.core.latch import DWELL_S
from hivemind_worker.core.simulate import judgements, simulate, usual_day
from hivemind_worker.core.week import level_ends, slot_at
from hivemind_worker.model.facts import Condition, RuleFacts, Zone
from hivemind_worker.model.judgement import Follows, Judgement, RuleCode
from hivemind_worker.model.preview import Moment
from hivemind_worker.model.rules import (
    DAYS,
    PRESETS,
    SLOTS_A_WEEK,
    Level,
    Rules,
    change_rules,
    painted,
    preset,
)  # fmt: skip

MONDAY_S = 1_796_601_600.0 - 5 * 86400  # 2026-12-07 00:00 UTC less five days: see below
MONDAY_S -= (MONDAY_S - 4 * 86400) % (7 * 86400)
FREE = RuleFacts(
    steady_s=0.0, idle_s=90_000.0, idle_source="X11", on_battery=False, battery_percent=100.0,
    power_saver=False, others_cpu_percent=1.0, programs=frozenset(), full_screen=False, cpu_celsius=50.0,
    gpu_celsius=50.0, metered=False, disk_free_gb=100.0, memory_percent=20.0,
)  # fmt: skip
ALL = replace(
    Rules(), idle_on=True, load_on=True, programs_on=True, programs="blender, Game.EXE", full_screen_on=True,
    month_on=True,
)  # fmt: skip


class Story:
    """Judges a row of moments as the worker does, a second apart unless told otherwise."""

    def __init__(self, rules: Rules = ALL, at_s: float = MONDAY_S + 12 * 3600) -> None:
        self.rules, self.memory = rules, Memory()
        self.at_s, self.steady_s = at_s, 100.0
        self.conditions: tuple[Condition, ...] = ()

    def see(
        self, seconds: float = 1.0, step_s: float = 1.0, ignores: bool = False, **facts: object
    ) -> Judgement:
        """Let time pass with these facts; the last judgement."""
        for _ in range(max(1, round(seconds / step_s))):
            self.at_s += step_s
            self.steady_s += step_s
            shown = replace(FREE, steady_s=self.steady_s, **facts)
            last, self.memory = judge(
                self.rules, shown, self.memory, at_s=self.at_s, ignores=ignores, conditions=self.conditions
            )
        return last


def blocking(judgement: Judgement) -> list[RuleCode]:
    return [rule.code for rule in judgement.rules if rule.counts]


FORCED: list[tuple[RuleCode, dict[str, object], float, float]] = [
    # rule, facts that force it, seconds until it holds, seconds until it lets go
    (RuleCode.IN_USE, {"idle_s": 3.0}, 1, 10),
    (RuleCode.BATTERY, {"on_battery": True}, 1, 61),
    (RuleCode.POWER_SAVER, {"power_saver": True}, 1, 11),
    (RuleCode.LOAD, {"others_cpu_percent": 80.0}, 16, 90),
    (RuleCode.PROGRAM, {"programs": frozenset({"blender"})}, 1, 11),
    (RuleCode.FULL_SCREEN, {"full_screen": True}, 1, 11),
    (RuleCode.HEAT, {"cpu_celsius": 91.0}, 1, 31),
    (RuleCode.GPU_HEAT, {"gpu_celsius": 88.0}, 1, 31),
    (RuleCode.METERED, {"metered": True}, 1, 11),
    (RuleCode.MONTH, {"month_bytes": 51 * 10**9}, 1, 11),
    (RuleCode.DISK, {"disk_free_gb": 0.5}, 1, 11),
    (RuleCode.MEMORY_ACCEPT, {"memory_percent": 82.0}, 1, 11),
]


@pytest.mark.parametrize("code,facts,trips_s,lets_go_s", FORCED, ids=[row[0].value for row in FORCED])
def test_a_rule_holds_work_back_by_its_fact_and_lets_go(
    code: RuleCode, facts: dict[str, object], trips_s: float, lets_go_s: float
) -> None:
    story = Story()
    assert blocking(story.see(30)) == []
    assert blocking(story.see(trips_s, **facts)) == [code]
    assert blocking(story.see(lets_go_s)) == []


def test_low_battery_counts_where_work_on_battery_is_allowed() -> None:
    story = Story(replace(ALL, battery_on=False))
    assert blocking(story.see(on_battery=True, battery_percent=60.0)) == []
    assert blocking(story.see(on_battery=True, battery_percent=29.0)) == [RuleCode.BATTERY_LOW]
    assert blocking(story.see(300, on_battery=True, battery_percent=31.0)) == [RuleCode.BATTERY_LOW]
    assert blocking(story.see(61, on_battery=True, battery_percent=36.0)) == []


def test_memory_is_given_back_in_three_steps() -> None:
    story = Story()
    assert blocking(story.see(memory_percent=96.0)) == [
        RuleCode.MEMORY_STOP, RuleCode.MEMORY_PAUSE, RuleCode.MEMORY_ACCEPT,
    ]  # fmt: skip
    assert blocking(story.see(11, memory_percent=91.0)) == [RuleCode.MEMORY_PAUSE, RuleCode.MEMORY_ACCEPT]
    assert blocking(story.see(11, memory_percent=85.0)) == [RuleCode.MEMORY_ACCEPT]


def test_a_condition_from_outside_counts_until_its_end() -> None:
    story = Story()
    bad = Condition(name="solar", ok=False, reason="clouds", since_s=story.at_s, ends_at_s=story.at_s + 60)
    story.conditions = (bad, replace(bad, name="price", ok=True))
    judged = story.see()
    assert blocking(judged) == [RuleCode.CONDITION]
    [rule] = judged.holding(Follows.FREEZE)
    assert (rule.about, rule.ends_at_s) == ("solar: clouds", bad.ends_at_s)
    story.see(58)
    assert blocking(story.see(12)) == []


def test_every_rule_of_the_table_can_be_the_first() -> None:
    forced = {row[0] for row in FORCED} | {
        RuleCode.SCHEDULE, RuleCode.BATTERY_LOW, RuleCode.CONDITION, RuleCode.MEMORY_PAUSE,
        RuleCode.MEMORY_STOP,
    }  # fmt: skip
    assert forced == set(RuleCode) == {rule.code for rule in TABLE}


def test_run_ignores_the_wishes_and_names_them_but_never_what_protects_the_computer() -> None:
    facts: dict[str, object] = {"idle_s": 1.0, "on_battery": True, "full_screen": True, "metered": True}
    judged = Story().see(ignores=True, **facts)
    assert blocking(judged) == []
    assert {rule.code for rule in judged.rules if rule.ignored and rule.blocks} == {
        RuleCode.IN_USE, RuleCode.BATTERY, RuleCode.FULL_SCREEN, RuleCode.METERED
    }  # fmt: skip
    assert judged.amount == ALL.amount(Level.FULL)
    hot = Story().see(ignores=True, cpu_celsius=95.0, disk_free_gb=0.1, memory_percent=99.0)
    assert RuleCode.HEAT in blocking(hot)
    assert RuleCode.DISK in blocking(hot)
    assert RuleCode.MEMORY_STOP in blocking(hot)


# --- no flapping ----------------------------------------------------------------------------------


def changes(story: Story, trace: list[dict[str, object]]) -> list[float]:
    """Steady moments at which what may run changed."""
    found: list[float] = []
    before = story.see().freezes
    for facts in trace:
        now = story.see(**facts).freezes
        if now is not before:
            found.append(story.steady_s)
        before = now
    return found


def test_a_hundred_short_spikes_change_nothing() -> None:
    calm, spike = {"others_cpu_percent": 2.0}, {"others_cpu_percent": 100.0}
    assert changes(Story(), [spike, spike, *[calm] * 8] * 100) == []


@pytest.mark.parametrize(
    "on,off",
    [
        ({"on_battery": True}, {}),
        ({"full_screen": True}, {}),
        ({"programs": frozenset({"blender"})}, {"programs": None}),
        ({"cpu_celsius": 120.0}, {"cpu_celsius": 20.0}),
        ({"cpu_celsius": 95.0}, {"cpu_celsius": None}),
        ({"power_saver": True}, {"power_saver": None}),
        ({"disk_free_gb": 0.0}, {"disk_free_gb": 500.0}),
    ],
)
def test_facts_that_jump_to_and_fro_change_work_at_most_once_a_dwell_time(
    on: dict[str, object], off: dict[str, object]
) -> None:
    at = changes(Story(), [on, off] * 300)
    assert all(later - earlier >= DWELL_S for earlier, later in itertools.pairwise(at))


def test_a_touch_pauses_at_once_and_hands_off_for_the_whole_time_start_it_again() -> None:
    story = Story()
    assert not story.see(60).freezes
    assert story.see(idle_s=0.0).freezes
    assert story.see(598, idle_s=590.0).freezes
    assert not story.see(idle_s=600.0).freezes
    assert story.see(idle_s=0.1).freezes  # right after the change: a person never waits for a dwell time


def test_between_its_two_temperatures_nothing_changes() -> None:
    story = Story()
    assert not story.see(100, cpu_celsius=85.0).freezes
    assert story.see(cpu_celsius=90.0).freezes
    assert story.see(100, cpu_celsius=76.0).freezes
    assert not story.see(31, cpu_celsius=74.0).freezes


@pytest.mark.parametrize("lie", [-273.0, 0.0, 255.0, math.nan, math.inf, None])
def test_a_sensor_that_lies_or_vanishes_is_said_to_be_unknown_and_holds_nothing_for_ever(
    lie: float | None,
) -> None:
    story = Story()
    judged = story.see(cpu_celsius=lie)
    heat = next(rule for rule in judged.rules if rule.code is RuleCode.HEAT)
    assert (heat.known, heat.blocks) == (False, False)
    story.see(cpu_celsius=100.0)
    assert not story.see(15, cpu_celsius=lie).freezes


def test_who_cannot_tell_whether_the_computer_is_used_says_so_and_does_not_block() -> None:
    for idle_s in (None, -5.0, math.nan):
        rule = next(r for r in Story().see(idle_s=idle_s).rules if r.code is RuleCode.IN_USE)
        assert (rule.on, rule.known, rule.blocks) == (True, False, False)


# --- the week -------------------------------------------------------------------------------------


def zone_of(name: str, at_s: float) -> Zone:
    """As machine.zone finds it."""
    local = ZoneInfo(name)

    def offset(moment_s: float) -> int:
        moved = datetime.fromtimestamp(moment_s, local).utcoffset()
        assert moved is not None
        return int(moved.total_seconds())

    for hour in range(8 * 24 * 4):
        then = at_s - at_s % 900 + (hour + 1) * 900
        if offset(then) != offset(at_s):
            return Zone(offset_s=offset(at_s), changes_at_s=then, then_offset_s=offset(then))
    return Zone(offset_s=offset(at_s))


@pytest.mark.parametrize(
    "name",
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC", "Pacific/Apia"],
)
def test_the_half_hour_is_that_of_the_clock_on_the_wall_also_around_summer_time(name: str) -> None:
    local = ZoneInfo(name)
    for month, day in ((3, 8), (3, 29), (4, 5), (10, 4), (10, 25), (11, 1), (7, 1)):
        begin_s = datetime(2026, month, day, tzinfo=local).timestamp() - 7200
        zone = zone_of(name, begin_s)
        for step in range(0, 30 * 3600, 900):
            at_s = begin_s + step
            wall = datetime.fromtimestamp(at_s, local)
            expected = wall.weekday() * 48 + wall.hour * 2 + wall.minute // 30
            assert slot_at(at_s, zone) == expected, wall


def test_the_end_of_a_level_is_right_across_the_change_of_the_clock() -> None:
    local = ZoneInfo("Europe/Berlin")
    rules = painted(Rules(), ("sunday",), 0, 12, Level.OFF)  # Sunday 00:00 to 06:00
    for year, month, day in ((2026, 3, 29), (2026, 10, 25)):  # 23 and 25 hours long
        at_s = datetime(year, month, day, 0, 10, tzinfo=local).timestamp()
        ends_s = level_ends(rules, at_s, zone_of("Europe/Berlin", at_s))
        assert ends_s == datetime(year, month, day, 6, 0, tzinfo=local).timestamp()


def test_a_week_of_one_level_has_no_end_and_a_week_of_off_is_named() -> None:
    assert level_ends(Rules(), MONDAY_S, Zone()) is None
    off = painted(Rules(), DAYS, 0, 48, Level.OFF)
    assert set(off.week) == {"0"}
    assert blocking(Story(off).see()) == [RuleCode.SCHEDULE]


def test_painting_goes_over_midnight_and_over_the_end_of_the_week() -> None:
    rules = painted(Rules(), ("sunday",), 44, 14, Level.LIGHT)
    assert rules.week.count("1") == 18
    assert rules.sunday[44:] == "1111"
    assert rules.monday[:15] == "1" * 14 + "3"


def test_each_level_lends_what_its_rows_say() -> None:
    rules = painted(ALL, ("monday",), 24, 48, Level.LIGHT)
    judged = Story(rules).see()
    assert (judged.level, judged.amount.tasks, judged.amount.gpu) == (Level.LIGHT, 1, False)
    assert judged.freezes_gpu
    assert not judged.freezes
    assert judged.level_ends_s == MONDAY_S + 86400


def test_a_clock_that_is_set_is_noticed_and_changes_no_dwell_time() -> None:
    story = Story()
    story.see(on_battery=True)
    story.at_s += 86400
    judged = story.see()
    assert judged.clock_jump_s == 86400
    assert judged.freezes
    assert story.see(61).clock_jump_s == 86400
    assert not story.see().freezes
    assert story.see(600).clock_jump_s == 0
    story.at_s -= 86400 * 365
    assert story.see().clock_jump_s == -86400 * 365


def test_a_clock_that_jumps_over_an_edge_of_the_grid_each_second_changes_the_level_once_a_dwell_time() -> (
    None
):
    rules = painted(ALL, ("monday",), 24, 48, Level.OFF)
    story = Story(rules, at_s=MONDAY_S + 12 * 3600 - 100)
    at: list[float] = []
    before = story.see().freezes
    for number in range(400):
        story.at_s += 600 if number % 2 else -600
        now = story.see().freezes
        if now is not before:
            at.append(story.steady_s)
        before = now
    assert at
    assert all(later - earlier >= DWELL_S for earlier, later in itertools.pairwise(at))


# --- the table and its presets ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "values,word",
    [
        ({"heat_back_c": 95.0}, "heat_back_c"),
        ({"memory_pause_percent": 50.0}, "memory_pause_percent"),
        ({"monday": "3" * 47}, "monday"),
        ({"monday": "4" * 48}, "monday"),
        ({"idle_start_after_min": -1}, "idle_start_after_min"),
        ({"no_such_rule": 1}, "no_such_rule"),
        ({"load_percent": "much"}, "load_percent"),
    ],
)
def test_rules_that_contradict_each_other_are_refused_with_their_names(
    values: dict[str, object], word: str
) -> None:
    rules, problems = change_rules(Rules(), {**values, "idle_on": True})
    assert rules == Rules()
    assert word in problems[0].about


def test_none_stands_for_the_default() -> None:
    changed, _ = change_rules(Rules(), {"load_percent": 40})
    assert changed.load_percent == 40
    assert change_rules(changed, {"load_percent": None}) == (Rules(), ())


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_set_of_rules_that_allows_work(name: str) -> None:
    assert change_rules(Rules(), PRESETS[name]) == (preset(name), ())
    assert set(preset(name).week) != {"0"}
    assert len(preset(name).week) == SLOTS_A_WEEK


# --- the simulator ---------------------------------------------------------------------------------


def random_trace(random_: random.Random) -> list[Moment]:
    """Moments of any kind: long gaps, clocks that jump, sensors that vanish."""
    at_s, steady_s = MONDAY_S + random_.random() * 7 * 86400, 0.0
    trace: list[Moment] = []
    for _ in range(random_.randint(2, 10)):
        passed_s = random_.choice((1, 1, 5, 60, 1800, 40_000))
        steady_s += passed_s
        at_s += passed_s + random_.choice((0, 0, 0, 0, 0, 7200, -7200))
        trace.append(Moment(at_s=at_s, facts=replace(FREE, steady_s=steady_s, **_random_facts(random_))))
    return trace


def _random_facts(random_: random.Random) -> dict[str, object]:
    pick = random_.choice
    return {
        "idle_s": pick((0.0, 30.0, 700.0, None)), "on_battery": pick((True, False, False, None)),
        "battery_percent": pick((10.0, 90.0, None)), "others_cpu_percent": pick((0.0, 30.0, 100.0)),
        "programs": pick((frozenset(), frozenset({"blender"}), None)),
        "full_screen": pick((False, False, True)),
        "cpu_celsius": pick((60.0, 89.0, 95.0, None)), "gpu_celsius": pick((60.0, 95.0)),
        "metered": pick((True, False)), "memory_percent": pick((30.0, 85.0, 92.0, 97.0)),
        "zone": pick((Zone(), Zone(offset_s=3600))),
    }  # fmt: skip


def test_a_preview_adds_up_and_counts_its_pauses() -> None:
    rules = painted(Rules(), DAYS, 16, 36, Level.OFF)
    trace = [Moment(at_s=MONDAY_S + n * 300, facts=replace(FREE, steady_s=n * 300.0)) for n in range(24 * 12)]
    preview = simulate(rules, trace)
    assert (preview.whole_s, preview.works_s, preview.pauses) == (86400, 14 * 3600, 1)
    assert [span.cause for span in preview.spans] == [None, RuleCode.SCHEDULE, None]
    assert preview.spans[0].to_s == preview.spans[1].from_s == MONDAY_S + 8 * 3600


def test_a_simulated_trace_is_judged_the_same_when_it_is_cut_into_live_steps() -> None:
    random_ = random.Random(9)
    for _ in range(200):
        trace, memory = random_trace(random_), Memory()
        for moment, simulated in zip(trace, judgements(ALL, trace), strict=True):
            live, memory = judge(ALL, moment.facts, memory, at_s=moment.at_s)
            assert live == simulated


def test_a_time_in_which_the_worker_did_not_run_counts_neither_as_work_nor_as_a_pause() -> None:
    moments = [MONDAY_S + n * 300 for n in range(12)] + [MONDAY_S + 7 * 3600 + n * 300 for n in range(12)]
    trace = [Moment(at_s=at_s, facts=replace(FREE, steady_s=at_s)) for at_s in moments]
    preview = simulate(Rules(), trace)
    assert [span.here for span in preview.spans] == [True, False, True]
    assert preview.whole_s == 8 * 3600
    assert preview.works_s == 55 * 60 + 1800 + 3600
    assert preview.pauses == 0


def test_where_nothing_is_remembered_the_day_ahead_is_that_of_a_computer_left_alone() -> None:
    now = Moment(at_s=MONDAY_S, facts=replace(FREE, idle_s=0.0))
    preview = simulate(replace(Rules(), idle_on=True), usual_day([], now))
    assert [span.cause for span in preview.spans] == [RuleCode.IN_USE, None]
    assert preview.works_s == 86400 - 600


def test_a_program_that_is_at_work_now_is_not_taken_to_be_for_the_whole_day() -> None:
    busy = replace(FREE, others_cpu_percent=100.0, full_screen=True, programs=frozenset({"blender"}))
    preview = simulate(ALL, usual_day([], Moment(at_s=MONDAY_S, facts=busy)))
    assert preview.works_s > 23 * 3600
    assert preview.spans[0].cause is not None


def test_the_day_ahead_goes_by_what_was_usual_at_the_same_hour() -> None:
    rules = replace(Rules(), idle_on=True)
    days = [MONDAY_S - day * 86400 for day in range(1, 8)]
    history = [
        Moment(
            at_s=day + n * 300, facts=replace(FREE, steady_s=0.0, idle_s=5.0 if 108 <= n < 216 else 9000.0)
        )
        for day in days
        for n in range(288)
    ]
    preview = simulate(rules, usual_day(history, Moment(at_s=MONDAY_S, facts=FREE)))
    causes = [span.cause for span in preview.spans]
    assert causes == [None, RuleCode.IN_USE, None]
    assert preview.spans[1].from_s == MONDAY_S + 9 * 3600
    assert preview.spans[1].to_s == MONDAY_S + 18 * 3600
