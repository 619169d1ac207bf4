"""Rules, run mode, card, conditions and previews through the API: done as asked, bad bodies say why."""

from __future__ import annotations

from typing import Any

import pytest

from hivemind_worker.model.events import ConditionReported, GpuPauseAsked, RetryAsked, RunModeAsked
from hivemind_worker.model.judgement import RuleCode
from hivemind_worker.model.preview import Preview, Span
from hivemind_worker.model.rules import Level, preset
from hivemind_worker.presentation.moments import moment_words
from hivemind_worker.presentation.rule_rows import replay_words
from tests.fakes.node import NOW_S
from tests.web.conftest import Served


async def patch(served: Served, body: dict[str, Any]) -> Any:
    return await served.get("/api/v1/rules", method="PATCH", body=body)


async def test_the_form_is_shown_and_changed_and_a_bad_value_changes_nothing(served: Served) -> None:
    shown = (await served.get("/api/v1/rules")).values
    assert shown["mode"] == "rules"
    assert shown["rules"]["idle_on"] is False
    assert {line["title"] for line in shown["lines"]} >= {"Computer in use", "Temperature", "Battery"}
    changed = (await patch(served, {"idle_on": True, "idle_start_after_min": 5})).values
    assert (changed["rules"]["idle_on"], served.node.rules.current.idle_start_after_min) == (True, 5.0)
    refused = await patch(served, {"load_percent": 40, "heat_back_c": 119})
    assert refused.status == 400
    assert "heat_back_c" in refused.values["detail"]
    assert served.node.rules.current.load_percent == 25
    assert (await patch(served, {})).status == 400
    assert (await patch(served, {"idle_on": None})).values["rules"]["idle_on"] is False


async def test_run_mode_card_retry_and_conditions_reach_the_engine(served: Served) -> None:
    for path, body in (
        ("actions/mode", {"mode": "run", "minutes": 60}),
        ("actions/gpu", {"paused": True}),
        ("actions/retry", {}),
        ("conditions", {"name": "solar", "ok": False, "reason": "clouds", "ttl_s": 90}),
    ):
        assert (await served.post(f"/api/v1/{path}", body=body)).status == 200, path
    run, gpu, retry, told = served.node.asked
    assert isinstance(run, RunModeAsked)
    assert (run.ignores_rules, run.until_s) == (True, NOW_S + 3600)
    assert isinstance(gpu, GpuPauseAsked)
    assert isinstance(retry, RetryAsked)
    assert isinstance(told, ConditionReported)
    assert told.condition.ends_at_s == NOW_S + 90
    shown = (await served.get("/api/v1/rules")).values
    assert (shown["mode"], shown["conditions"][0]["reason"]) == ("run", "clouds")


@pytest.mark.parametrize(
    "path,body",
    [
        ("actions/mode", {"mode": "always"}),
        ("actions/mode", {"mode": "run", "minutes": -1}),
        ("actions/gpu", {"paused": "yes"}),
        ("conditions", {"name": "", "ok": True, "ttl_s": 5}),
        ("conditions", {"name": "a\nb", "ok": True, "ttl_s": 5}),
        ("conditions", {"name": "a", "ok": 1, "ttl_s": 5}),
        ("conditions", {"name": "a", "ok": True, "ttl_s": 10**9}),
        ("conditions", {"name": "a", "ok": True, "ttl_s": 5, "reason": "x" * 201}),
        ("rules/simulate", {"preset": "loud"}),
        ("rules/simulate", {"span": "year"}),
        ("rules/simulate", {"rules": {"monday": "9"}}),
    ],
)
async def test_a_bad_body_is_refused_with_its_reason(served: Served, path: str, body: dict[str, Any]) -> None:
    answer = await served.post(f"/api/v1/{path}", body=body)
    assert answer.status == 400
    assert answer.values["detail"]
    assert served.node.asked == []


async def test_a_condition_is_answered_with_the_moment_until_which_it_counts(served: Served) -> None:
    body = {"name": "solar", "ok": False, "reason": "clouds", "ttl_s": 90}
    told = (await served.post("/api/v1/conditions", body=body)).values["message"]
    assert told.startswith(f"Noted until {moment_words(NOW_S + 90, NOW_S)}:")


def test_less_than_two_hours_are_replayed_in_minutes() -> None:
    def of(seconds: float) -> Preview:
        span = Span(from_s=NOW_S, to_s=NOW_S + seconds, level=Level.FULL, cause=None)
        off = Span(from_s=span.to_s, to_s=span.to_s + 600, level=Level.OFF, cause=RuleCode.SCHEDULE)
        return Preview(spans=(span, off))

    assert replay_words(of(480)) == "8 of 18 minutes, paused 1 time"
    assert replay_words(of(4 * 3600)) == "4 of 4 hours, paused 1 time"


async def test_a_preview_is_told_in_spans_and_in_words(served: Served) -> None:
    served.node.rules.preview = Preview(
        spans=(Span(from_s=NOW_S, to_s=NOW_S + 7200, level=Level.FULL, cause=None),)
    )
    day = (await served.post("/api/v1/rules/simulate", body={"preset": "gentle"})).values
    assert (day["works_s"], day["spans"][0]["text"]) == (7200, "Full")
    week = (await served.post("/api/v1/rules/simulate", body={"span": "last_week"})).values
    assert week["text"] == "2 of 2 hours, paused 0 times"
    assert preset("gentle").idle_on
