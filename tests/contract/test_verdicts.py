"""Why the worker is (not) working: every condition forced, first in the list when it is the cause, and
cleared by the very command that its action names."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from hivemind_worker.cli import VERBS, parser_of
from hivemind_worker.core.judge import TABLE
from hivemind_worker.engine.picture import picture
from hivemind_worker.model import events
from hivemind_worker.model.facts import Condition
from hivemind_worker.model.judgement import RuleCode
from hivemind_worker.model.rules import DAYS, Level, change_rules, painted
from hivemind_worker.model.snapshot import LinkState, PoolView, RuntimeView, Snapshot
from hivemind_worker.presentation.health import status_word, verdicts
from hivemind_worker.presentation.page_words import buttons, headline
from hivemind_worker.presentation.rule_rows import rule_lines
from tests.contract.test_presentation import CONDITIONS
from tests.core.test_giving_way import NOON_S, Life, running
from tests.core.test_guard import end
from tests.core.test_rules import ALL, FORCED


def shown(life: Life) -> Snapshot:
    """The picture of this life, connected to a pool."""
    pool = PoolView(address="10.0.0.1:50051", link=LinkState.REGISTERED, since_s=NOON_S, user="ann")
    return picture(
        life.state, at_s=life.at_s, node_id="n", version="0", trust_threshold=50, pool=pool,
        runtime=RuntimeView(name="wasm", ready=True), grpc_address="10.0.0.2:50053", recovery="",
    )  # fmt: skip


def codes(life: Life) -> list[str]:
    return [verdict.code for verdict in verdicts(shown(life))]


def condition(life: Life) -> None:
    bad = Condition(name="solar", ok=False, reason="clouds", since_s=life.at_s, ends_at_s=life.at_s + 999)
    life.tell(events.ConditionReported(at_s=life.at_s, condition=bad))


def off_now(life: Life) -> None:
    """Off on Mondays from noon on."""
    rules = painted(life.state.rules, ("monday",), 24, 48, Level.OFF)
    life.tell(events.RulesChanged(at_s=life.at_s, rules=rules))


def always_off(life: Life) -> None:
    rules = painted(life.state.rules, DAYS, 0, 48, Level.OFF)
    life.tell(events.RulesChanged(at_s=life.at_s, rules=rules))


def light(life: Life) -> None:
    rules = painted(life.state.rules, ("monday",), 0, 48, Level.LIGHT)
    life.tell(events.RulesChanged(at_s=life.at_s, rules=rules))


def gpu_paused(life: Life) -> None:
    life.tell(events.GpuPauseAsked(at_s=life.at_s, paused=True))


def ignoring(life: Life) -> None:
    life.tell(events.RunModeAsked(at_s=life.at_s, ignores_rules=True))


def nothing(life: Life) -> None:
    """The facts alone."""


Way = Callable[[Life], None]
ROWS: list[tuple[str, Way, dict[str, object], int]] = [
    # code, what is done, facts, seconds until it holds
    *((str(code.value), nothing, facts, int(trips_s)) for code, facts, trips_s, _ in FORCED
      if code is not RuleCode.GPU_HEAT),
    ("battery_low", nothing, {"on_battery": True, "battery_percent": 12.0}, 1),
    ("outside_condition", condition, {}, 1),
    ("schedule_off", off_now, {}, 11),
    ("memory_pausing", nothing, {"memory_percent": 92.0}, 1),
    ("memory_stopping", nothing, {"memory_percent": 97.0}, 1),
]  # fmt: skip


def failing(life: Life) -> None:
    for number in range(3):
        end(life, number)
    life.state = replace(life.state, tasks={})


ROWS.append(("image_held_back", failing, {}, 1))
REMARKS: list[tuple[str, Way, dict[str, object], int]] = [
    ("gpu_too_hot", nothing, {"gpu_celsius": 99.0}, 1),
    ("gpu_paused", gpu_paused, {}, 1),
    ("rules_ignored", ignoring, {"idle_s": 0.0}, 1),
    ("rules_never_allow", always_off, {}, 11),
    ("lower_level", light, {}, 11),
    ("idle_unknown", nothing, {"idle_s": None}, 1),
    ("sensor_lost", nothing, {"cpu_celsius": 255.0}, 1),
]


@pytest.mark.parametrize("code,way,facts,seconds", ROWS, ids=[row[0] for row in ROWS])
def test_a_rule_that_holds_work_back_is_told_first_and_its_action_clears_it(
    code: str, way: Way, facts: dict[str, object], seconds: int
) -> None:
    life = Life()
    life.see(20)
    assert codes(life) == ["waiting_for_work"]
    way(life)
    life.see(seconds, **facts)
    first = verdicts(shown(life))[0]
    if code in ("memory_pausing", "battery_low"):  # what holds at the same time follows
        assert code in (first.code, codes(life)[0])
    assert first.code == code
    assert first.text.endswith(".")
    assert "{" not in first.text + first.action
    assert first.since_s is not None
    follow(life, first.action)
    life.see(12, **facts)
    assert code not in codes(life)
    assert "waiting_for_work" in codes(life) or codes(life)[0] in ("on_battery",)


WISHES: list[tuple[str, str, events.AnyEvent]] = [
    ("paused", "paused", events.PauseAsked(at_s=NOON_S + 200)),
    ("snoozed", "snoozed", events.PauseAsked(at_s=NOON_S + 200, until_s=NOON_S + 9999)),
    ("elsewhere", "paused_elsewhere", events.PauseAsked(at_s=NOON_S + 200, by="larch")),
    ("finishing", "finishing", events.FinishAsked(at_s=NOON_S + 200)),
    ("to quit", "finishing", events.FinishAsked(at_s=NOON_S + 200, quit_after=True)),
    ("one task", "task_paused", events.TaskPauseAsked(at_s=NOON_S + 200, key=running(0).key, paused=True)),
]


@pytest.mark.parametrize("code,wish", [row[1:] for row in WISHES], ids=[row[0] for row in WISHES])
def test_a_wish_of_the_owner_that_holds_work_back_is_told_and_its_action_clears_it(
    code: str, wish: events.AnyEvent
) -> None:
    life = Life(running(0))
    life.see(20)
    life.tell(wish)
    told = verdicts(shown(life))
    [verdict] = [each for each in told if each.code == code]
    first = "working" if code == "finishing" else code  # a task that runs is what the worker does
    assert told[0].code == first
    assert verdict.text.endswith(".")
    follow(life, verdict.action)
    life.see(12)
    assert codes(life) == ["working"]


@pytest.mark.parametrize("code,way,facts,seconds", REMARKS, ids=[row[0] for row in REMARKS])
def test_what_should_be_known_beside_is_told_and_its_action_clears_it(
    code: str, way: Way, facts: dict[str, object], seconds: int
) -> None:
    life = Life()
    life.see(20)
    way(life)
    life.see(seconds, **facts)
    [verdict] = [each for each in verdicts(shown(life)) if each.code == code]
    assert "{" not in verdict.text + verdict.action
    follow(life, verdict.action)
    life.see(12, **facts)
    assert code not in codes(life)


def follow(life: Life, action: str) -> None:
    """Do what the command in the action does, its words read by the program's own parser."""
    words = re.search(r"hivemind-worker ([^.]*)$", action)
    assert words is not None, action
    args = parsed(words[1].split())
    match args.verb:
        case "mode":
            until_s = life.at_s + 3600 if args.mode == "run" else None
            ignores = args.mode == "run"
            life.tell(events.RunModeAsked(at_s=life.at_s, ignores_rules=ignores, until_s=until_s))
        case "resume" if args.gpu:
            life.tell(events.GpuPauseAsked(at_s=life.at_s, paused=False))
        case "resume" if args.id:
            [key] = [key for key in life.state.tasks if key.startswith(args.id)]
            life.tell(events.TaskPauseAsked(at_s=life.at_s, key=key, paused=False))
        case "resume":
            life.tell(events.ResumeAsked(at_s=life.at_s))
        case "retry":
            life.tell(events.RetryAsked(at_s=life.at_s))
        case "rules" if hasattr(args, "changes"):
            rules, problems = change_rules(life.state.rules, dict(c.split("=") for c in args.changes))
            assert problems == ()
            life.tell(events.RulesChanged(at_s=life.at_s, rules=rules))
        case "rules":
            assert (args.days, args.level) == ("all", "full")
            rules = painted(life.state.rules, DAYS, 0, 48, Level.FULL)
            life.tell(events.RulesChanged(at_s=life.at_s, rules=rules))
        case other:
            raise AssertionError(other)


def parsed(words: list[str]) -> argparse.Namespace:
    verb = next(verb for verb in VERBS if verb.word == words[0])
    args = parser_of(verb).parse_args(words)
    args.verb = words[0]
    return args


def test_a_clock_that_was_set_is_told_and_goes_by_itself() -> None:
    life = Life()
    life.see(5)
    life.at_s += 7200
    life.see()
    assert "clock_set" in codes(life)
    life.see(601)
    assert "clock_set" not in codes(life)


def test_a_condition_that_has_just_ended_is_not_told_with_an_empty_reason() -> None:
    life = Life()
    life.see(20)
    bad = Condition(name="solar", ok=False, reason="clouds", since_s=life.at_s, ends_at_s=life.at_s + 30)
    life.tell(events.ConditionReported(at_s=life.at_s, condition=bad))
    life.see()
    assert verdicts(shown(life))[0].text == "Held back from outside: solar: clouds."
    life.tell(events.ConditionReported(at_s=life.at_s, condition=replace(bad, ok=True)))
    life.see()
    assert verdicts(shown(life))[0].text == "Held back from outside until a moment ago."


def test_at_least_twenty_five_conditions_are_told_apart() -> None:
    told = {row[0] for row in (*ROWS, *REMARKS)} | {"clock_set"} | {row[2][0] for row in CONDITIONS}
    assert {rule.code.value for rule in TABLE} <= told
    assert len(told) >= 25, sorted(told)


def test_frozen_tasks_make_the_status_paused_and_the_cause_is_the_first_verdict() -> None:
    life = Life(running(0), running(1))
    life.see(idle_s=1.0)
    assert status_word(shown(life)) == "paused"
    first = verdicts(shown(life))[0]
    assert first.code == "in_use"
    assert "10 minutes" in first.text
    assert first.ends_at_s == life.at_s + 599


def test_each_line_of_the_screen_has_its_value_its_live_fact_and_its_verdict() -> None:
    life = Life()
    life.see(idle_s=1.0, cpu_celsius=66.0)
    lines = {line.title: line for line in rule_lines(shown(life), ALL)}
    used = lines["Computer in use"]
    assert (used.tone, used.now) == ("blocks", "no input for 1 second (X11)")
    assert "66 °C" in lines["Temperature"].now
    assert lines["Temperature"].tone == "ok"
    off = rule_lines(shown(life), replace(ALL, load_on=False))
    assert next(line for line in off if line.title == "Other programs").tone == "off"
    for line in lines.values():
        assert line.value
        assert line.verdict


def test_where_failures_hold_work_back_a_button_tries_now() -> None:
    life = Life()
    life.see(20)
    failing(life)
    life.see(1)
    assert buttons(shown(life))[0].action == "retry"
    assert headline(shown(life)).action == ""  # the button says it
    life.tell(events.RetryAsked(at_s=life.at_s))
    assert not [button for button in buttons(shown(life)) if button.action == "retry"]


def test_where_a_rule_is_the_cause_a_button_works_anyway_for_an_hour() -> None:
    life = Life()
    life.see(20)
    assert not [button for button in buttons(shown(life)) if button.action == "anyway"]
    condition(life)
    life.see(1)
    assert buttons(shown(life))[0].action == "anyway"
    assert headline(shown(life)).action == ""  # the button says it
    life.tell(events.RunModeAsked(at_s=life.at_s, ignores_rules=True, until_s=life.at_s + 3600))
    life.see(12)
    assert not [button for button in buttons(shown(life)) if button.action == "anyway"]
