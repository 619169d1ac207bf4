"""The pages: routes, who is shown what, and the frame around every page.

Server-rendered; resources/web/app.js follows the events and asks for the same page again. Everything that is
changed goes through /api/v1, so that pages decide nothing. Counterparts: pages_views, pages_render.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aiohttp import web

from hivemind_worker.model.task import TaskId, TaskState
from hivemind_worker.nursery import NamedThread
from hivemind_worker.places import resources
from hivemind_worker.presentation import page_facts, page_sessions
from hivemind_worker.presentation.catalogue import _, mark, translate_forms
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.page_words import node_look, short_name
from hivemind_worker.presentation.ranges import RANGES
from hivemind_worker.presentation.work_history import By, RangeError, days_asked
from hivemind_worker.web.answers import refusal, refuse
from hivemind_worker.web.pages_help import HelpPages
from hivemind_worker.web.pages_render import Renderer
from hivemind_worker.web.pages_views import Values, Views, place_of
from hivemind_worker.web.routes import Access, Route
from hivemind_worker.web.visitors import Users, Visitor, visitor_of
from hivemind_worker.web.work_history import Wanted, WorkHistoryRoutes, history_values

if TYPE_CHECKING:
    from hivemind_worker.engine.face import NodeFace

NOT_PAGES = "api/|assets/|health|livez|readyz|metrics|login|logout"
"""Beginnings of addresses that are no page's: what is missing there is answered as there, not in HTML."""

SEND_AGAIN = (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS)
"""Answers to a form that was read to its end: where it leads to is in it."""

EVERY_S = {"dashboard": 15, "fleet": 10, "tasks": 30, "task": 15, "monitor": 15, "history": 60, "logs": 60}
OTHERS_S = 30
MINUTE_RANGE_S = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One page in the navigation."""

    path: str
    word: str


PLACES = tuple(
    Place(path=path, word=word)
    for path, word in (
        ("dashboard", mark("Dashboard")), ("tasks", mark("Tasks")), ("monitor", mark("Monitor")),
        ("history", mark("History")),
        ("pools", mark("Pools")),
        ("rules", mark("Rules")), ("logs", mark("Logs")), ("doctor", mark("Doctor")),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Chrome:
    """The frame around a page: the worker's name and state, and who looks."""

    at_s: float
    name: str
    node_id: str
    version: str
    look: Look
    who: str
    csrf: str
    may_write: bool
    reach: str


class Pages:
    """The routes. Templates are read in the given thread when the first page is asked for."""

    def __init__(
        self, node: NodeFace, files: NamedThread, users: Users | None, clock: Callable[[], float],
        past: WorkHistoryRoutes,
    ) -> None:  # fmt: skip
        self._node = node
        self._users = users
        self._past = past
        self._clock = clock
        self._files = files
        self._views = Views(node, files)
        self._made: Renderer | None = None

    def table(self) -> list[Route]:
        """The routes."""
        views = self._views
        plain: list[tuple[str, str, Callable[[], Awaitable[Values]]]] = [
            ("dashboard", "Dashboard", views.dashboard), ("pools", "Pools", views.pools),
            ("rules", "Rules", views.rules), ("logs", "Logs", views.logs), ("doctor", "Doctor", views.doctor),
            ("fleet", mark("Your machines"), views.fleet),
        ]  # fmt: skip
        return [
            Route(method="GET", path="/", handler=self.root, page=True),
            *(
                Route(method="GET", path=f"/{name}", handler=self._plain(name, word, view), page=True)
                for name, word, view in plain
            ),
            Route(method="GET", path="/tasks", handler=self.tasks, page=True),
            Route(method="GET", path="/tasks/{id:.+}", handler=self.task, page=True),
            Route(method="GET", path="/sessions", handler=self.sessions, page=True),
            Route(method="GET", path="/monitor", handler=self.monitor, page=True),
            *HelpPages(self._files, self._help, self.missing).table(),
            Route(method="GET", path="/history", handler=self.history, page=True),
            Route(method="GET", path="/assets/{name}", handler=self.asset, access=Access.OPEN),
            Route(method="GET", path=f"/{{path:(?!{NOT_PAGES}).*}}", handler=self.missing),
        ]

    # --- pages --------------------------------------------------------------------------------

    async def root(self, _request: web.Request) -> web.Response:
        """Lead to the dashboard."""
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": "/dashboard"})

    def _plain(
        self, name: str, word: str, view: Callable[[], Awaitable[Values]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def route(request: web.Request) -> web.StreamResponse:
            return await self._page(request, name, _(word), await view())

        return route

    async def tasks(self, request: web.Request) -> web.Response:
        """Running tasks and history."""
        kind, before = request.query.get("state", ""), request.query.get("before", "")
        ended = {state.value: state for state in TaskState if state.has_ended}
        values = await self._views.tasks(ended.get(kind), place_of(before))
        return await self._page(request, "tasks", _("Tasks"), values)

    async def task(self, request: web.Request) -> web.Response:
        """One task, by its id or its key. The id is read from the raw path: it may hold slashes."""
        raw = request.raw_path.partition("?")[0].removeprefix("/tasks/")
        try:
            task_id = TaskId(unquote(raw, errors="strict"))
        except UnicodeDecodeError:
            return await self.missing(request)
        task = await self._node.find_task(task_id)
        if task is None:
            return await self._missing(request, _("No such task is known here"))
        values = await self._views.task(task)
        return await self._page(request, "task", f"{values['headline']} · {values['row'].name}", values)

    async def monitor(self, request: web.Request) -> web.Response:
        """Figures of the computer over a range of time."""
        span = RANGES.get(request.query.get("range", ""), RANGES["1h"])
        values = await self._views.monitor(span)
        values["connections"] = page_facts.connections(self._node.snapshot(), _web_address(request))
        every_s = MINUTE_RANGE_S if span is RANGES["1m"] else EVERY_S["monitor"]
        return await self._page(request, "monitor", _("Monitor"), values, every_s=every_s)

    async def history(self, request: web.Request) -> web.Response:
        """What tasks came to; a range that makes no sense is told above the usual one."""
        today, trouble = self._past.today, ""
        ways = {by.value: by for by in By}
        first, last = request.query.get("from"), request.query.get("to")
        try:
            days = days_asked(first, last, today)
        except RangeError as error:
            days, trouble = days_asked(None, None, today), str(error)
        wanted = Wanted(ways.get(request.query.get("by", ""), By.DAY), days)
        values = history_values(wanted, await self._past.made(wanted), today)
        return await self._page(request, "history", _("History"), {**values, "trouble": trouble})

    async def sessions(self, request: web.Request) -> web.Response:
        """Who is signed in: an owner sees everybody, others themselves."""
        visitor = visitor_of(request)
        assert visitor is not None
        kept = await self._users.sessions(self._clock()) if self._users else ()
        rows = [
            page_sessions.session_row(one, visitor.number)
            for one in kept if visitor.may_write or one.number == visitor.number
        ]  # fmt: skip
        hours = f"{self._node.settings.session_timeout_h:g}"
        return await self._page(request, "sessions", _("Signed in"), {"sessions": rows, "hours": hours})

    async def _help(self, request: web.Request, title: str, values: Values) -> web.Response:
        return await self._page(request, "help", title, values)

    async def missing(self, request: web.Request) -> web.Response:
        """No page is at this address."""
        if "text/html" not in request.headers.get("Accept", ""):
            return refuse(request.path, refusal(HTTPStatus.NOT_FOUND, _("There is nothing at this address.")))
        return await self._missing(request, _("There is nothing at this address"))

    async def _missing(self, request: web.Request, headline: str) -> web.Response:
        values = {"headline": headline, "text": _("It may have been removed, or the link is not whole.")}
        return await self._page(request, "missing", headline, values, status=HTTPStatus.NOT_FOUND)

    async def asset(self, request: web.Request) -> web.Response:
        """The sheet, the script, the icon."""
        renderer = await self._renderer()
        return renderer.assets.answer(request)

    async def login_page(self, request: web.Request, trouble: str, status: int) -> web.Response:
        """The form to sign in with; `trouble` says what went wrong the last time."""
        renderer = await self._renderer()
        form = await request.post() if status in SEND_AGAIN else {}
        then = request.query.get("next", form.get("next", "/dashboard"))
        reach = page_facts.reach_words(_web_address(request))
        return renderer.page(
            "login", status, chrome=None, title=_("Sign in"), name=short_name(self._node.snapshot().node_id),
            address=_web_address(request), reach=reach, trouble=trouble,
            then=then, typed=form.get("name", ""),
        )  # fmt: skip

    # --- frame --------------------------------------------------------------------------------

    async def _renderer(self) -> Renderer:
        if self._made is None:
            self._made = await self._files.call(Renderer, resources())
        return self._made

    async def _page(
        self, request: web.Request, name: str, title: str, values: dict[str, Any], *, every_s: int = 0,
        status: int = HTTPStatus.OK,
    ) -> web.Response:  # fmt: skip
        renderer = await self._renderer()
        visitor = visitor_of(request)
        assert visitor is not None
        here = request.path.strip("/").partition("/")[0]
        return renderer.page(
            name, status, chrome=self._chrome(request, visitor), title=title, here=here, places=PLACES,
            script_words=script_words(), every_s=every_s or EVERY_S.get(name, OTHERS_S), **values,
        )  # fmt: skip

    def _chrome(self, request: web.Request, visitor: Visitor) -> Chrome:
        snapshot = self._node.snapshot()
        who = _("signed in as {name}", name=visitor.user) if visitor.user else _("signed in here")
        return Chrome(
            at_s=round(snapshot.at_s, 3),
            name=short_name(snapshot.node_id),
            node_id=snapshot.node_id,
            version=snapshot.version,
            look=node_look(snapshot),
            who=who,
            csrf=visitor.csrf,
            may_write=visitor.may_write,
            reach=page_facts.reach_words(_web_address(request)),
        )


def _web_address(request: web.Request) -> str:
    """The address that the browser used; the guard has let only our own names in."""
    return re.sub(r"[^\w.:\[\]-]", "", request.host)


def script_words() -> dict[str, str | tuple[str, str]]:
    """Sentences that the script shows by itself; of those with a number the forms for one and for several."""
    return {
        "live": _("Live, updated {time}"),
        "polling": _("Looked at {time}, every 5 s: too many pages follow it live"),
        "gone": _("Last heard {seconds} s ago"),
        "gone_minutes": _("Last heard {minutes} min ago"),
        "unanswered": _("The worker did not answer. Nothing is known of what you asked for."),
        "copied": _("Copied."),
        "log_live": _("live"),
        "log_ended": _("complete"),
        "log_size": translate_forms("{count} line, {size}", "{count} lines, {size}"),
        "log_cut": _("… earlier lines are not shown here"),
        "hits": translate_forms("{count} line", "{count} lines"),
        "lines": translate_forms("{shown} of {count} line", "{shown} of {count} lines"),
    }
