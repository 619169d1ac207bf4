"""The seed API: routes, keys and error shape that other programs rely on (design.md, section 3)."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from hivemind_worker.model.snapshot import Mode
from hivemind_worker.presentation.status import (
    bare_health,
    health_report,
    resources_report,
    status_report,
    tasks_report,
)
from hivemind_worker.web.answers import Refusal, answer, answer_encoded, encoded, refuse
from hivemind_worker.web.asked import object_of, task_id_of
from hivemind_worker.web.document import JSON, Doc, good
from hivemind_worker.web.routes import Access, Route
from hivemind_worker.web.schemas import (
    FLAG,
    FREE,
    HEALTH,
    NOTHING,
    SEED_STATUS,
    SEED_TASKS,
    TEXT,
    record,
)
from hivemind_worker.web.token import NONCE_LETTERS, PROOF_HEADER
from hivemind_worker.web.visitors import visitor_of
from hivemind_worker.web.wishes import find_task, stop

if TYPE_CHECKING:
    from hivemind_worker.engine.face import NodeFace

ENDED_SHOWN = 100
SAME_S = 0.05
"""So long an answer of GET /api/status serves all who ask, while nothing changes: monitors ask often."""


class SeedRoutes:
    """GET status, tasks, resources, health and livez; POST stop_task."""

    def __init__(self, node: NodeFace, proof: Callable[[str], str], clock: Callable[[], float]) -> None:
        self._node = node
        self._proof = proof
        self._clock = clock
        self._status: bytes | None = None
        self._status_until_s = 0.0

    def table(self) -> list[Route]:
        """The routes."""
        ready = record(ok=FLAG)
        return [
            Route(method="GET", path="/api/status", handler=self.status, doc=Doc(
                summary="The worker's figures, and why it is (not) working", tag="seed", seed=True,
                answers=good("The figures.", record(**SEED_STATUS)))),
            Route(method="GET", path="/api/tasks", handler=self.tasks, doc=Doc(
                summary="The open tasks, then the last 100 ended", tag="seed", seed=True,
                answers=good("The tasks.", SEED_TASKS))),
            Route(method="GET", path="/api/resources", handler=self.resources, doc=Doc(
                summary="What is free on the computer", tag="seed", seed=True,
                answers=good("What is free.", FREE))),
            Route(method="POST", path="/api/stop_task/{id:.+}", handler=self.stop_task, access=Access.OWNER,
                  doc=Doc(
                summary="Have a task end", tag="seed", seed=True, body=NOTHING,
                problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
                answers=good("It is being stopped.", record(success=FLAG, message=TEXT)))),
            Route(method="GET", path="/health", handler=self.health, access=Access.OPEN, doc=Doc(
                summary="Whether all parts work; why, for those who are signed in", tag="health", seed=True,
                answers={200: ("Healthy.", HEALTH, JSON), 503: ("Not healthy.", HEALTH, JSON)})),
            Route(method="GET", path="/livez", handler=self.livez, access=Access.OPEN, doc=Doc(
                summary="Whether the worker answers", tag="health", answers=good("It does.", ready))),
            Route(method="GET", path="/readyz", handler=self.readyz, access=Access.OPEN, doc=Doc(
                summary="Whether the worker can take tasks, whatever the pool does", tag="health",
                answers={200: ("It can.", ready, JSON), 503: ("It cannot.", ready, JSON)})),
        ]  # fmt: skip

    async def status(self, _request: web.Request) -> web.Response:
        """The worker's figures and why it is (not) working."""
        sample = await self._node.sample()
        now_s = time.monotonic()
        if self._status is None or now_s >= self._status_until_s:
            self._status = encoded(status_report(self._node.snapshot(), sample))
            self._status_until_s = now_s + SAME_S
        return answer_encoded(self._status)

    def forget(self) -> None:
        """The picture may have changed: what was answered a moment ago does not count any more."""
        self._status = None

    async def tasks(self, _request: web.Request) -> web.Response:
        """The open tasks, then the last ended ones."""
        ended = await self._node.ended_tasks(ENDED_SHOWN)
        return answer(tasks_report(self._node.snapshot(), ended))

    async def resources(self, _request: web.Request) -> web.Response:
        """What is free on the computer."""
        sample = await self._node.sample()
        return answer(resources_report(self._node.snapshot(), sample))

    async def stop_task(self, request: web.Request) -> web.Response:
        """Have one task end."""
        body = await object_of(request, ())
        if isinstance(body, Refusal):
            return refuse(request.path, body)
        task = await find_task(self._node, task_id_of(request, "seed"))
        done = task if isinstance(task, Refusal) else await stop(self._node, task, self._clock())
        if isinstance(done, Refusal):
            return refuse(request.path, done)
        return answer({"success": True, "message": done})

    async def health(self, request: web.Request) -> web.Response:
        """Whether all parts work: 200 or 503; the reasons only to those who are signed in."""
        healthy, report = health_report(self._node.snapshot(), self._node.settings, self._clock())
        shown = bare_health(report) if visitor_of(request) is None else report
        return answer(shown, HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE)

    async def readyz(self, _request: web.Request) -> web.Response:
        """Whether tasks could be run now, for service managers: not starting, not blocked, not ending."""
        snapshot = self._node.snapshot()
        blocked = snapshot.blocker is not None or not snapshot.runtime.ready
        ready = not blocked and snapshot.node.mode is not Mode.STOPPING
        return answer({"ok": ready}, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)

    async def livez(self, request: web.Request) -> web.Response:
        """That the worker answers; with a nonce in the proof header, also that it knows its token."""
        response = answer({"ok": True})
        nonce = request.headers.get(PROOF_HEADER, "")
        shortest, longest = NONCE_LETTERS
        if nonce.isalnum() and nonce.isascii() and shortest <= len(nonce) <= longest:
            response.headers[PROOF_HEADER] = self._proof(nonce)
        return response
