"""The seed API: routes, keys and error shape that other programs rely on (design.md, section 3)."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from hivemind_worker.presentation.status import (
    bare_health,
    health_report,
    resources_report,
    status_report,
    tasks_report,
)
from hivemind_worker.web.answers import Refusal, answer, refuse
from hivemind_worker.web.asked import object_of, task_id_of
from hivemind_worker.web.routes import Access, Route
from hivemind_worker.web.token import NONCE_LETTERS, PROOF_HEADER
from hivemind_worker.web.visitors import visitor_of
from hivemind_worker.web.wishes import find_task, stop

if TYPE_CHECKING:
    from hivemind_worker.engine.face import NodeFace

ENDED_SHOWN = 100


class SeedRoutes:
    """GET status, tasks, resources, health and livez; POST stop_task."""

    def __init__(self, node: NodeFace, proof: Callable[[str], str], clock: Callable[[], float]) -> None:
        self._node = node
        self._proof = proof
        self._clock = clock

    def table(self) -> list[Route]:
        """The routes."""
        return [
            Route(method="GET", path="/api/status", handler=self.status),
            Route(method="GET", path="/api/tasks", handler=self.tasks),
            Route(method="GET", path="/api/resources", handler=self.resources),
            Route(method="POST", path="/api/stop_task/{id:.+}", handler=self.stop_task, access=Access.OWNER),
            Route(method="GET", path="/health", handler=self.health, access=Access.OPEN),
            Route(method="GET", path="/livez", handler=self.livez, access=Access.OPEN),
        ]

    async def status(self, _request: web.Request) -> web.Response:
        """The worker's figures and why it is (not) working."""
        sample = await self._node.sample()
        return answer(status_report(self._node.snapshot(), sample))

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

    async def livez(self, request: web.Request) -> web.Response:
        """That the worker answers; with a nonce in the proof header, also that it knows its token."""
        response = answer({"ok": True})
        nonce = request.headers.get(PROOF_HEADER, "")
        shortest, longest = NONCE_LETTERS
        if nonce.isalnum() and nonce.isascii() and shortest <= len(nonce) <= longest:
            response.headers[PROOF_HEADER] = self._proof(nonce)
        return response
