"""The owner's machines under /api/v1/fleet: listed to whoever is signed in, told what to do by the owner."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.fleet import WishKind
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.fleet import fleet_report, told_report
from hivemind_worker.web.answers import Refusal, answer, refusal, refuse
from hivemind_worker.web.asked import LONGEST_SNOOZE_S, number, object_of
from hivemind_worker.web.document import Doc, good
from hivemind_worker.web.routes import Access, Handler, Route
from hivemind_worker.web.schemas import (
    COUNT,
    FLAG,
    MAYBE_TIME,
    MAYBE_WHOLE,
    STATUS,
    TEXT,
    WHOLE,
    closed,
    listed,
    maybe,
    record,
    words,
)

if TYPE_CHECKING:
    from hivemind_worker.engine.face import NodeFace

FLEET = "/api/v1/fleet"
MOST_NAMES = 1000
NOT_THERE = HTTPStatus.NOT_FOUND
MINUTES = {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_SNOOZE_S / 60}
NAMES = {**listed(TEXT), "minItems": 1, "maxItems": MOST_NAMES}
VERDICT = record(code=TEXT, text=TEXT, since=MAYBE_TIME, ends_at=MAYBE_TIME)
WAITING = record(wish=words(*WishKind), by=TEXT, at=MAYBE_TIME, until=MAYBE_TIME)
MACHINE = record(
    name=TEXT, title=TEXT, this=FLAG, called=FLAG, online=FLAG, seen=MAYBE_TIME, status=words(*STATUS),
    verdict=VERDICT,
    running_tasks=COUNT, max_concurrent_tasks=COUNT, earned=COUNT, trust_score=WHOLE, version=TEXT,
    waiting=maybe(WAITING),
)  # fmt: skip
ROW = record(name=TEXT, cells=listed(TEXT))
MACHINES = record(
    account=TEXT, balance=MAYBE_WHOLE, at=MAYBE_TIME, machines=listed(MACHINE), summary=TEXT,
    columns=listed(TEXT), rows=listed(ROW),
)  # fmt: skip
TOLD = record(success=FLAG, message=TEXT, now=listed(TEXT), later=listed(TEXT))


class FleetRoutes:
    """The list, and the three wishes."""

    def __init__(self, node: NodeFace) -> None:
        self._node = node

    def table(self) -> list[Route]:
        """The routes."""
        wishes = (
            (WishKind.PAUSE, "Have machines freeze their tasks", closed(machines=NAMES, minutes=MINUTES)),
            (WishKind.RESUME, "Have machines go on, and take work again", closed(machines=NAMES)),
            (WishKind.FINISH, "Have machines take no new task, then pause", closed(machines=NAMES)),
        )
        return [
            Route(method="GET", path=FLEET, handler=self.machines,
                  doc=Doc(summary="The owner's machines at the active pool", tag="fleet",
                          problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
                          answers=good("So they stand.", MACHINES))),
            *(
                Route(method="POST", path=f"{FLEET}/{kind}", handler=self._wish(kind), access=Access.OWNER,
                      doc=Doc(summary=f"{summary}; all without `machines`", tag="fleet", body=body,
                              problems=(HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND),
                              answers=good("The pool passes it on, or keeps it for those away.", TOLD)))
                for kind, summary, body in wishes
            ),
        ]  # fmt: skip

    async def machines(self, request: web.Request) -> web.Response:
        """All machines of the account."""
        found = await self._node.fleet.machines()
        if isinstance(found, Problem):
            absent = found.code is FaultCode.NO_FLEET
            return refuse(
                request.path, replace(_refused(found), status=NOT_THERE) if absent else _refused(found)
            )
        return answer(fleet_report(found))

    def _wish(self, kind: WishKind) -> Handler:
        async def handler(request: web.Request) -> web.Response:
            keys = ("machines", "minutes") if kind is WishKind.PAUSE else ("machines",)
            body = await object_of(request, keys)
            names = body if isinstance(body, Refusal) else _names(body)
            length_s = body if isinstance(body, Refusal) else _length_s(body)
            for wrong in (names, length_s):
                if isinstance(wrong, Refusal):
                    return refuse(request.path, wrong)
            assert not isinstance(names, Refusal) and not isinstance(length_s, Refusal)
            told = await self._node.fleet.wish(kind, names, length_s)
            if isinstance(told, Problem):
                return refuse(request.path, _refused(told))
            return answer(told_report(told))

        return handler


def _names(body: dict[str, object]) -> list[str] | Refusal | None:
    names = body.get("machines")
    if names is None and "machines" not in body:
        return None
    if isinstance(names, list) and 0 < len(names) <= MOST_NAMES and all(isinstance(n, str) for n in names):
        return names
    about = "machines must be a list of names; left out, all are meant."
    return refusal(HTTPStatus.BAD_REQUEST, about)


def _length_s(body: dict[str, object]) -> float | Refusal | None:
    if "minutes" not in body:
        return None
    minutes = number(body["minutes"])
    if minutes is None or not 0 < minutes * 60 <= LONGEST_SNOOZE_S:
        return refusal(HTTPStatus.BAD_REQUEST, "minutes must be a number above 0, at most a year.")
    return minutes * 60


def _refused(problem: Problem) -> Refusal:
    unknown = problem.code is FaultCode.NO_SUCH_MACHINE  # one that is called is there: a conflict
    return Refusal(status=HTTPStatus.NOT_FOUND if unknown else HTTPStatus.CONFLICT, problem=problem)
