"""What the worker is and was, under /api/v1: state, log, figures over time, the pool; and GET /metrics."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from hivemind_worker import __version__
from hivemind_worker.model.metrics import COLUMNS, KEPT, Step
from hivemind_worker.presentation.health import status_word
from hivemind_worker.presentation.status import bare_health, health_report, pool_row, state_report
from hivemind_worker.web.answers import Refusal, answer, refusal, refuse
from hivemind_worker.web.document import Choice, Doc, Text, Whole, good, openapi
from hivemind_worker.web.live import Live
from hivemind_worker.web.metric_text import CONTENT_TYPE
from hivemind_worker.web.openmetrics import Figures, exposition
from hivemind_worker.web.routes import Route, Table
from hivemind_worker.web.schemas import COMPONENTS, HISTORY, LOG, STATE, listed, record, ref
from hivemind_worker.web.tally import Tally

if TYPE_CHECKING:
    from hivemind_worker.engine.face import NodeFace

AFTER = Whole("after", "Number of the last line that was seen.", 0, 0, 1 << 60)
STEPS = {"1s": Step.SECOND, "1m": Step.MINUTE, "1h": Step.HOUR}
SHOWN = {Step.SECOND: 600, Step.MINUTE: 1440, Step.HOUR: 720}
"""Points when no beginning is named: ten minutes, a day, a month."""
MOST_POINTS = 3600
RES = Choice("res", "Distance of the points.", "1m", tuple(STEPS))
FROM = Text("from", "Epoch seconds of the first point.", r"^[0-9]{1,12}(\.[0-9]{1,6})?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the figures come from."""

    node: NodeFace
    live: Live
    tally: Tally
    table: Table  # filled when all routes are known
    clock: Callable[[], float]


class FigureRoutes:
    """The routes that only read."""

    def __init__(self, sources: Sources) -> None:
        self._node = sources.node
        self._live = sources.live
        self._tally = sources.tally
        self._table = sources.table
        self._clock = sources.clock
        self._started_at_s = sources.clock()

    def table(self) -> list[Route]:
        """The routes."""
        pool = {**record(login={"type": "string"}), "allOf": [ref("Pool")]}
        return [
            Route(method="GET", path="/api/v1/state", handler=self.state, doc=Doc(
                summary="The whole picture, and the number of the last event", tag="state",
                answers=good("The state.", record(**STATE)))),
            Route(method="GET", path="/api/v1/log", handler=self.log, doc=Doc(
                summary="Lines of the worker's own log", tag="state", query=(AFTER,),
                answers=good("The lines.", LOG))),
            Route(method="GET", path="/api/v1/history", handler=self.history, doc=Doc(
                summary="Figures of the computer over time, in columns", tag="state", query=(RES, FROM),
                answers=good("The figures.", HISTORY))),
            Route(method="GET", path="/api/v1/pools", handler=self.pools, doc=Doc(
                summary="The pool that this worker works for", tag="state",
                answers=good("One pool.", record(pools=listed(pool))))),
            Route(method="GET", path="/api/v1/openapi.json", handler=self.document, doc=Doc(
                summary="This document", tag="state", answers=good("OpenAPI 3.1.", {"type": "object"}))),
            Route(method="GET", path="/metrics", handler=self.metrics, doc=Doc(
                summary="Figures for a monitoring system, in OpenMetrics text", tag="health",
                answers=good("The text.", {"type": "string"}, CONTENT_TYPE.partition(";")[0]))),
        ]  # fmt: skip

    async def state(self, _request: web.Request) -> web.Response:
        """The whole picture."""
        seq = await self._live.catch_up()
        return answer({"seq": seq, **state_report(self._node.snapshot())})

    async def log(self, request: web.Request) -> web.Response:
        """Lines of the worker's own log above a number."""
        after = AFTER.read(request)
        if isinstance(after, Refusal):
            return refuse(request.path, after)
        entries = self._node.log_entries(after or 0)
        rows = [
            {"number": e.number, "timestamp": e.timestamp, "level": e.level, "message": e.message}
            for e in entries
        ]
        return answer({"entries": rows, "next": entries[-1].number if entries else after})

    async def history(self, request: web.Request) -> web.Response:
        """Figures over time; the latest when there are more than fit one answer."""
        res = RES.read(request)
        if isinstance(res, Refusal):
            return refuse(request.path, res)
        step = STEPS[res]
        begin = _begin(request, self._clock() - SHOWN[step] * step)
        if isinstance(begin, Refusal):
            return refuse(request.path, begin)
        points = await self._node.history(step, begin, min(MOST_POINTS, KEPT[step]))
        columns = zip(*(point.values for point in points), strict=True) if points else [()] * len(COLUMNS)
        return answer({
            "res": res, "step_s": int(step), "at": [point.at_s for point in points],
            "values": {
                name: [None if value is None else round(value, 3) for value in column]
                for name, column in zip(COLUMNS, columns, strict=True)
            },
        })  # fmt: skip

    async def pools(self, _request: web.Request) -> web.Response:
        """The one pool that is set, and how its login stands."""
        row = pool_row(self._node.snapshot())
        words = {"not_logged_in": "absent", "login_refused": "refused", "connecting": "untried"}
        return answer({"pools": [{**row, "login": words.get(str(row["link"]), "accepted")}]})

    async def document(self, _request: web.Request) -> web.Response:
        """The document, made from the table of routes."""
        rows = ((path, route) for (_method, path), route in self._table.items())
        return answer(openapi(rows, COMPONENTS, __version__))

    async def metrics(self, _request: web.Request) -> web.Response:
        """The figures as text."""
        sample = await self._node.sample()
        snapshot = self._node.snapshot()
        report = bare_health(health_report(snapshot, self._node.settings, self._clock())[1])
        checks = report["checks"]
        assert isinstance(checks, dict)
        text = exposition(Figures(
            snapshot=snapshot, status=status_word(snapshot), sample=sample, tally=self._tally,
            health={name: row["status"] for name, row in checks.items()},
            event_readers=self._live.readers, process_cpu_s=time.process_time(),
            started_at_s=self._started_at_s,
        ))  # fmt: skip
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})


def _begin(request: web.Request, default: float) -> float | Refusal:
    text = request.query.get(FROM.name)
    if text is None:
        return default
    if not re.fullmatch(FROM.pattern[1:-1], text, re.ASCII):
        return refusal(HTTPStatus.BAD_REQUEST, "from must be epoch seconds.")
    return float(text)
