"""The rules under /api/v1: one form, seen, changed and tried out; run mode, the card, conditions."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from hivemind_worker.model.events import ConditionReported, GpuPauseAsked, RetryAsked, RunModeAsked
from hivemind_worker.model.facts import Condition
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.rules import PRESETS, Rules, change_rules, rule_rows
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.faults import words
from hivemind_worker.presentation.moments import moment_words
from hivemind_worker.presentation.rule_rows import preview_report, preview_words, replay_words, rules_report
from hivemind_worker.web.actions import done_report
from hivemind_worker.web.answers import Refusal, answer, refusal, refuse
from hivemind_worker.web.asked import LONGEST_SNOOZE_S, number, object_of
from hivemind_worker.web.document import Doc, good
from hivemind_worker.web.routes import Access, Route
from hivemind_worker.web.schemas import (
    COUNT,
    DONE,
    FLAG,
    MAYBE_NUMBER,
    MAYBE_TEXT,
    MAYBE_TIME,
    NO_CONTROLS,
    NOTHING,
    NUMBER,
    TEXT,
    Schema,
    closed,
    listed,
    record,
    setting_schema,
)
from hivemind_worker.web.schemas import words as one_of
from hivemind_worker.web.wishes import wish

if TYPE_CHECKING:
    from hivemind_worker.engine.face import Command, NodeFace

RULES = "/api/v1/rules"
CONDITIONS = "/api/v1/conditions"
ACTIONS = "/api/v1/actions/"
LONGEST_TTL_S = 7 * 86_400.0
MINUTES: Schema = {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_SNOOZE_S / 60}
NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 60, "pattern": NO_CONTROLS}
REASON: Schema = {"type": "string", "maxLength": 200, "pattern": NO_CONTROLS}
TTL: Schema = {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_TTL_S}
LINE = record(
    title=TEXT, icon=TEXT, switch=TEXT, on=FLAG, edits=listed(TEXT), value=TEXT, now=TEXT, verdict=TEXT,
    tone=one_of("ok", "blocks", "ignored", "off", "unknown"),
)  # fmt: skip
SHOWN = record(
    rules={"type": "object"}, mode=one_of("run", "rules", "paused"), level=TEXT, level_ends=MAYBE_TIME,
    lines=listed(LINE), levels=listed(record(level=TEXT, title=TEXT, amount=TEXT)),
    conditions=listed(record(name=TEXT, ok=FLAG, reason=TEXT, ends_at=MAYBE_TIME)),
    presets={"type": "object"},
    yields=record(
        count=COUNT, median_ms=MAYBE_NUMBER, p95_ms=MAYBE_NUMBER, longest_ms=MAYBE_NUMBER, text=TEXT,
        spread=TEXT, distribution=listed(record(up_to_ms=MAYBE_NUMBER, count=COUNT)),
    ),
)  # fmt: skip
PREVIEW = record(
    text=TEXT, works_s=NUMBER, whole_s=NUMBER, pauses=COUNT,
    spans=listed(record(**{"from": MAYBE_TIME, "to": MAYBE_TIME, "level": TEXT, "works": FLAG,
                           "cause": MAYBE_TEXT, "here": FLAG, "text": TEXT})),
)  # fmt: skip
SIMULATE = closed(rules={"type": "object"}, preset=one_of(*PRESETS), span=one_of("next_day", "last_week"))


def rules_schema() -> Schema:
    """The body of a change: any of the rules, at least one."""
    return {**closed(**{row.name: setting_schema(row) for row in rule_rows()}), "minProperties": 1}


class RuleRoutes:
    """GET, PATCH, simulate, run mode, card, conditions."""

    def __init__(self, node: NodeFace, clock: Callable[[], float]) -> None:
        self._node = node
        self._clock = clock

    def table(self) -> list[Route]:
        """The routes."""

        def doc(summary: str, schema: Schema, body: Schema | None = None) -> Doc:
            return Doc(summary=summary, tag="rules", body=body, problems=(HTTPStatus.CONFLICT,),
                       answers=good("Done.", schema))  # fmt: skip

        condition = closed(name=NAME, ok=FLAG, reason=REASON, ttl_s=TTL)
        run = {**closed(mode=one_of("run", "rules"), minutes=MINUTES), "required": ["mode"]}
        gpu = {**closed(paused=FLAG, minutes=MINUTES), "required": ["paused"]}
        change = rules_schema()
        told = {**condition, "required": ["name", "ok", "ttl_s"]}
        return [
            Route(method="GET", path=RULES, handler=self.show,
                  doc=doc("The rules, each with its live value and whether it holds work back", SHOWN)),
            Route(method="PATCH", path=RULES, handler=self.change, access=Access.OWNER,
                  doc=doc("Use these rows from now on; null stands for the default", SHOWN, change)),
            Route(method="POST", path=f"{RULES}/simulate", handler=self.simulate, access=Access.OWNER,
                  doc=doc("What rules do in the next day, or would have done in the last week",
                          PREVIEW, SIMULATE)),
            Route(method="POST", path=CONDITIONS, handler=self.condition, access=Access.OWNER,
                  doc=doc("Something outside says whether work is welcome, until its end", DONE, told)),
            Route(method="POST", path=f"{ACTIONS}mode", handler=self.mode, access=Access.OWNER,
                  doc=doc("Work whatever the rules say (for a while), or by them", DONE, run)),
            Route(method="POST", path=f"{ACTIONS}retry", handler=self.retry, access=Access.OWNER,
                  doc=doc("Try again now what failures in a row have put on hold", DONE, NOTHING)),
            Route(method="POST", path=f"{ACTIONS}gpu", handler=self.gpu, access=Access.OWNER,
                  doc=doc("Hold the tasks that use a graphics card, or let them go on", DONE, gpu)),
        ]  # fmt: skip

    async def show(self, request: web.Request) -> web.Response:
        """The form, and what each rule says now."""
        return answer(await self._shown())

    async def _shown(self) -> dict[str, object]:
        times = await self._node.rules.yield_times()
        return rules_report(self._node.snapshot(), self._node.rules.current, times)

    async def change(self, request: web.Request) -> web.Response:
        """Some new values; with a bad one among them nothing changes, and each bad one is named."""
        body = await object_of(request, tuple(row.name for row in rule_rows()))
        if isinstance(body, Refusal):
            return refuse(request.path, body)
        if not body:
            return refuse(
                request.path, refusal(HTTPStatus.BAD_REQUEST, "The body must hold at least one rule.")
            )
        problems = await self._node.rules.change(body)
        if problems:
            return refuse(request.path, _refused(problems))
        return answer(await self._shown())

    async def simulate(self, request: web.Request) -> web.Response:
        """These rules (else those in force, else a preset) over the next day or the last week."""
        body = await object_of(request, ("rules", "preset", "span"))
        rules = body if isinstance(body, Refusal) else self._tried(body)
        if isinstance(body, Refusal) or isinstance(rules, Refusal):
            assert isinstance(rules, Refusal)
            return refuse(request.path, rules)
        span = body.get("span", "next_day")
        if span == "last_week":
            found = await self._node.rules.replay(rules)
            return answer(preview_report(found, replay_words(found)))
        if span != "next_day":
            return refuse(
                request.path, refusal(HTTPStatus.BAD_REQUEST, "span must be next_day or last_week.")
            )
        found = await self._node.rules.next_day(rules)
        return answer(preview_report(found, preview_words(found)))

    def _tried(self, body: dict[str, object]) -> Rules | Refusal:
        given, preset = body.get("rules", {}), body.get("preset")
        if not isinstance(given, dict):
            return refusal(HTTPStatus.BAD_REQUEST, "rules must be an object of rules.")
        base = self._node.rules.current
        if preset is not None:
            if not isinstance(preset, str) or preset not in PRESETS:
                return refusal(HTTPStatus.BAD_REQUEST, f"preset must be one of {', '.join(PRESETS)}.")
            base = change_rules(Rules(), PRESETS[preset])[0]
        rules, problems = change_rules(base, given)
        return _refused(problems) if problems else rules

    async def condition(self, request: web.Request) -> web.Response:
        """{"name", "ok", "reason", "ttl_s"}: counts until its end."""
        body = await object_of(request, ("name", "ok", "reason", "ttl_s"))
        told = body if isinstance(body, Refusal) else _condition(body, self._clock())
        if isinstance(told, Refusal):
            return refuse(request.path, told)
        until = moment_words(told.ends_at_s, self._clock())
        message = _("Noted until {time}: the rules go by it within some seconds.", time=until)
        return await self._wish(request, ConditionReported(at_s=self._clock(), condition=told), message)

    async def mode(self, request: web.Request) -> web.Response:
        """{"mode": "run"} or {"mode": "rules"}, with "minutes" for a while."""
        body = await object_of(request, ("mode", "minutes"))
        until = body if isinstance(body, Refusal) else self._until(body)
        if isinstance(body, Refusal) or isinstance(until, Refusal):
            assert isinstance(until, Refusal)
            return refuse(request.path, until)
        if body.get("mode") not in ("run", "rules"):
            return refuse(request.path, refusal(HTTPStatus.BAD_REQUEST, "mode must be run or rules."))
        ignores = body["mode"] == "run"
        return await self._wish(
            request,
            RunModeAsked(at_s=self._clock(), ignores_rules=ignores, until_s=until if ignores else None),
        )

    async def retry(self, request: web.Request) -> web.Response:
        """End what the failure guard holds back."""
        body = await object_of(request, ())
        if isinstance(body, Refusal):
            return refuse(request.path, body)
        return await self._wish(request, RetryAsked(at_s=self._clock()))

    async def gpu(self, request: web.Request) -> web.Response:
        """{"paused": true} or false, with "minutes" for a while."""
        body = await object_of(request, ("paused", "minutes"))
        until = body if isinstance(body, Refusal) else self._until(body)
        if isinstance(body, Refusal) or isinstance(until, Refusal):
            assert isinstance(until, Refusal)
            return refuse(request.path, until)
        paused = body.get("paused")
        if not isinstance(paused, bool):
            return refuse(request.path, refusal(HTTPStatus.BAD_REQUEST, "paused must be true or false."))
        return await self._wish(
            request, GpuPauseAsked(at_s=self._clock(), paused=paused, until_s=until if paused else None)
        )

    def _until(self, body: dict[str, object]) -> float | Refusal | None:
        if "minutes" not in body:
            return None
        minutes = number(body["minutes"])
        if minutes is None or not 0 < minutes * 60 <= LONGEST_SNOOZE_S:
            return refusal(HTTPStatus.BAD_REQUEST, "minutes must be a number above 0, at most a year.")
        return self._clock() + minutes * 60

    async def _wish(self, request: web.Request, command: Command, message: str | None = None) -> web.Response:
        refused = await wish(self._node, command)
        if refused:
            return refuse(request.path, refused)
        return answer(done_report(self._node.snapshot(), message))


def _refused(problems: tuple[Problem, ...]) -> Refusal:
    if problems[0].code is not FaultCode.BAD_SETTING:
        return Refusal(status=HTTPStatus.CONFLICT, problem=problems[0])
    return refusal(
        HTTPStatus.BAD_REQUEST, problems[0].about, FaultCode.BAD_SETTING,
        errors=tuple(words(problem)[0] for problem in problems),
        fix=_("Nothing was changed; what each rule may hold is told by GET {path}.", path=RULES),
    )  # fmt: skip


def _condition(body: dict[str, object], now_s: float) -> Condition | Refusal:
    name, ok, reason, ttl_s = (
        body.get("name"),
        body.get("ok"),
        body.get("reason", ""),
        number(body.get("ttl_s")),
    )
    if not isinstance(name, str) or not _is_line(name, 60) or not name.strip():
        return refusal(HTTPStatus.BAD_REQUEST, "name must be a text of 1 to 60 letters.")
    if not isinstance(ok, bool):
        return refusal(HTTPStatus.BAD_REQUEST, "ok must be true or false.")
    if not isinstance(reason, str) or not _is_line(reason, 200):
        return refusal(HTTPStatus.BAD_REQUEST, "reason must be a text of at most 200 letters.")
    if ttl_s is None or not 0 < ttl_s <= LONGEST_TTL_S:
        return refusal(HTTPStatus.BAD_REQUEST, "ttl_s must be a number above 0, at most a week.")
    return Condition(name=name.strip(), ok=ok, reason=reason, since_s=now_s, ends_at_s=now_s + ttl_s)


def _is_line(text: str, most: int) -> bool:
    return len(text) <= most and not any(ord(letter) < 32 for letter in text)
