"""The owner's wishes under /api/v1/actions. Each may be asked for twice: the second time changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from hivemind_worker.model.events import FinishAsked, PauseAsked, ResumeAsked
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.presentation.health import status_word
from hivemind_worker.presentation.status import state_report, verdict_rows
from hivemind_worker.web.answers import Refusal, answer, refusal, refuse
from hivemind_worker.web.asked import LONGEST_SNOOZE_S, moment, number, object_of
from hivemind_worker.web.document import Doc, good
from hivemind_worker.web.routes import Access, Handler, Route
from hivemind_worker.web.schemas import DONE, FLAG, NOTHING, STATE, closed, record
from hivemind_worker.web.wishes import wish

if TYPE_CHECKING:
    from hivemind_worker.engine.face import Command, NodeFace

ACTIONS = "/api/v1/actions/"
UNTIL = {
    "type": ["string", "number"],
    "description": "Epoch seconds, or ISO 8601 with an offset from UTC; ahead, by a year at most.",
}
MINUTES = {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_SNOOZE_S / 60}
SNOOZE = {**closed(minutes=MINUTES, until=UNTIL), "minProperties": 1, "maxProperties": 1}
FINISH = closed(quit=FLAG)
PAUSE = closed(until_s={**UNTIL, "type": ["string", "number", "null"]})


class ActionRoutes:
    """pause, resume, snooze, finish, reconnect, fetch-image, stop-fetch."""

    def __init__(self, node: NodeFace, clock: Callable[[], float]) -> None:
        self._node = node
        self._clock = clock

    def table(self) -> list[Route]:
        """The routes."""
        state = record(**{key: schema for key, schema in STATE.items() if key != "seq"})
        rows: tuple[tuple[str, Handler, str, dict[str, object], dict[str, object]], ...] = (
            ("pause", self.pause, "Freeze all tasks until resumed, or until a moment", PAUSE, DONE),
            ("resume", self.resume, "Go on, and take work again", NOTHING, DONE),
            ("snooze", self.snooze, "Freeze all tasks for a while", SNOOZE, DONE),
            ("finish", self.finish, "Take no new task; pause (or end) after the last", FINISH, DONE),
            ("reconnect", self.reconnect, "Look at the kept login and at the pool now", NOTHING, state),
            ("fetch-image", self.fetch_image, "Begin to fetch the image that tasks need", NOTHING, state),
            ("stop-fetch", self.stop_fetch, "Break off the fetching of an image", NOTHING, state),
        )  # fmt: skip
        return [
            Route(
                method="POST",
                path=ACTIONS + name,
                handler=handler,
                access=Access.OWNER,
                doc=Doc(
                    summary=summary,
                    tag="actions",
                    body=body,
                    problems=(HTTPStatus.CONFLICT,),
                    answers=good("Done, and durable.", schema),
                ),
            )
            for name, handler, summary, body, schema in rows
        ]

    async def pause(self, request: web.Request) -> web.Response:
        """Freeze everything, until resumed or until a moment."""
        body = await object_of(request, ("until_s",))
        if isinstance(body, Refusal):
            return refuse(request.path, body)
        now_s = self._clock()
        until = None if body.get("until_s") is None else moment(body["until_s"], "until_s", now_s)
        if isinstance(until, Refusal):
            return refuse(request.path, until)
        return await self._wish(request, PauseAsked(at_s=now_s, until_s=until))

    async def snooze(self, request: web.Request) -> web.Response:
        """Freeze everything for a while: {"minutes": N} or {"until": time}."""
        body = await object_of(request, ("minutes", "until"))
        until = body if isinstance(body, Refusal) else _snooze_end(body, self._clock())
        if isinstance(until, Refusal):
            return refuse(request.path, until)
        return await self._wish(request, PauseAsked(at_s=self._clock(), until_s=until))

    async def resume(self, request: web.Request) -> web.Response:
        """Go on, and take work again."""
        body = await object_of(request, ())
        if isinstance(body, Refusal):
            return refuse(request.path, body)
        return await self._wish(request, ResumeAsked(at_s=self._clock()))

    async def reconnect(self, request: web.Request) -> web.Response:
        """Look at the login and at the pool now: `login` and `logout` call this."""
        return await self._have_done(request, self._node.reconnect)

    async def fetch_image(self, request: web.Request) -> web.Response:
        """Begin to fetch the image; how far it is stands in the state."""
        return await self._have_done(request, self._node.fetch_image)

    async def stop_fetch(self, request: web.Request) -> web.Response:
        """Break off a fetch; without one nothing happens."""
        return await self._have_done(request, self._node.stop_fetch)

    async def _have_done(self, request: web.Request, act: Callable[[], None]) -> web.Response:
        body = await object_of(request, ())
        if isinstance(body, Refusal):
            return refuse(request.path, body)
        act()
        return answer(state_report(self._node.snapshot()))

    async def finish(self, request: web.Request) -> web.Response:
        """Let what runs end, then pause; with {"quit": true} the worker ends instead."""
        body = await object_of(request, ("quit",))
        if isinstance(body, Refusal):
            return refuse(request.path, body)
        quit_after = body.get("quit", False)
        if not isinstance(quit_after, bool):
            return refuse(request.path, refusal(HTTPStatus.BAD_REQUEST, "quit must be true or false."))
        return await self._wish(request, FinishAsked(at_s=self._clock(), quit_after=quit_after))

    async def _wish(self, request: web.Request, command: Command) -> web.Response:
        refused = await wish(self._node, command)
        return refuse(request.path, refused) if refused else answer(done_report(self._node.snapshot()))


def done_report(snapshot: Snapshot, message: str | None = None) -> dict[str, object]:
    """What follows from a wish: the verdicts, of which the first is the message when there is no other."""
    rows = verdict_rows(snapshot)
    return {
        "success": True,
        "message": message or rows[0]["text"],
        "status": status_word(snapshot),
        "verdicts": rows,
    }


def _snooze_end(body: dict[str, object], now_s: float) -> float | Refusal:
    if len(body) != 1:
        return refusal(HTTPStatus.BAD_REQUEST, "The body must hold either minutes or until.")
    if "until" in body:
        return moment(body["until"], "until", now_s)
    minutes = number(body["minutes"])
    if minutes is None or not 0 < minutes * 60 <= LONGEST_SNOOZE_S:
        return refusal(HTTPStatus.BAD_REQUEST, "minutes must be a number above 0, at most a year.")
    return now_s + minutes * 60
