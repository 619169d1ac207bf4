"""GET /api/v1/work-history: what tasks came to by day, pool or image, as JSON or CSV; and the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from aiohttp import web

from hivemind_worker.model.days import day_of
from hivemind_worker.model.worked import EnergySource
from hivemind_worker.presentation.work_history import (
    MOST_DAYS,
    USUAL_DAYS,
    By,
    Days,
    HistoryTable,
    by_words,
    cells,
    csv_text,
    has_something,
    head,
    history_table,
    last_days,
    name_of,
    report,
    total_name,
)
from hivemind_worker.web.answers import HEADERS, Refusal, answer, refuse
from hivemind_worker.web.document import Choice, Day, Doc, Whole, good
from hivemind_worker.web.routes import Route
from hivemind_worker.web.schemas import COUNT, MAYBE_NUMBER, NUMBER, TEXT, listed, record, words

if TYPE_CHECKING:
    from hivemind_worker.engine.face import NodeFace

BY = Choice("by", "What a line stands for.", "day", tuple(by.value for by in By))
DAYS = Whole("days", "How many local days.", USUAL_DAYS, 1, MOST_DAYS)
TO = Day("to", "The last of them, in local time; today when it is not given.")
ROW = record(
    key=TEXT, tasks=COUNT, completed=COUNT, failed=COUNT, stopped=COUNT, task_hours=NUMBER, cpu_hours=NUMBER,
    credits=MAYBE_NUMBER, energy_kwh=MAYBE_NUMBER, energy_sources=listed(words(*EnergySource)),
    cost=MAYBE_NUMBER,
)  # fmt: skip
TABLE = record(
    by=words(*By), **{"from": dict(TO.schema()), "to": dict(TO.schema())},
    currency=TEXT, rows=listed(ROW), total=ROW, notes=listed(TEXT),
)  # fmt: skip
CSV_TYPE = "text/csv"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for."""

    by: By
    days: Days


class WorkHistoryRoutes:
    """The route, and what the page of the same name needs."""

    def __init__(self, node: NodeFace, clock: Callable[[], float]) -> None:
        self._node, self._clock = node, clock

    def table(self) -> list[Route]:
        """The routes."""
        query = (BY, DAYS, TO)
        return [
            Route(method="GET", path="/api/v1/work-history", handler=self.show, doc=Doc(
                summary="Tasks, hours, credits, energy and cost by day, pool or image", tag="state",
                query=query, answers=good("The table; null stands for what is not known.", TABLE))),
            Route(method="GET", path="/api/v1/work-history.csv", handler=self.save, doc=Doc(
                summary="The same as a table for a spreadsheet", tag="state", query=query,
                answers=good("The lines, in UTF-8.", TEXT, CSV_TYPE))),
        ]  # fmt: skip

    def _wanted(self, request: web.Request) -> Wanted | Refusal:
        """The lines and days that a request asks for; whatever fits the document makes sense together."""
        by, count, last = BY.read(request), DAYS.read(request), TO.read(request)
        for found in (by, count, last):
            if isinstance(found, Refusal):
                return found
        assert isinstance(by, str) and isinstance(count, int) and not isinstance(last, Refusal)
        return Wanted(By(by), last_days(count, last or self.today))

    @property
    def today(self) -> date:
        """The local day."""
        return day_of(self._clock())

    async def made(self, wanted: Wanted) -> HistoryTable:
        """The table."""
        history = await self._node.work_history(wanted.days.first, wanted.days.last)
        return history_table(history, wanted.by, wanted.days)

    async def show(self, request: web.Request) -> web.Response:
        """The table as JSON."""
        wanted = self._wanted(request)
        if isinstance(wanted, Refusal):
            return refuse(request.path, wanted)
        return answer(report(await self.made(wanted)))

    async def save(self, request: web.Request) -> web.Response:
        """The table as CSV."""
        wanted = self._wanted(request)
        if isinstance(wanted, Refusal):
            return refuse(request.path, wanted)
        table = await self.made(wanted)
        name = f"hivemind-history-{table.by}-{table.first}-{table.last}.csv"
        return web.Response(
            text=csv_text(table), content_type=CSV_TYPE, charset="utf-8",
            headers={**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'},
        )  # fmt: skip


def history_values(wanted: Wanted, table: HistoryTable, today: date) -> dict[str, Any]:
    """What the page shows. Bars stand oldest first, as high as their part of the most hours."""
    count = (wanted.days.last - wanted.days.first).days + 1
    most = max((row.task_hours for row in table.rows), default=0.0) or 1.0
    return {
        "by": wanted.by.value, "ways": [(by.value, word) for by, word in by_words().items()], "count": count,
        "first": wanted.days.first.isoformat(), "last": wanted.days.last.isoformat(), "head": head(table),
        "rows": [cells(row, table, name_of(row, table.by, today)) for row in table.rows],
        "total": cells(table.total, table, total_name(table)), "notes": table.notes,
        "bars": [round(100 * row.task_hours / most, 2) for row in reversed(table.rows)],
        "is_empty": not has_something(table.total),
    }  # fmt: skip
