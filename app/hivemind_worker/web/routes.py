"""One row a route: address, handler, who may use it, how it behaves. The door and the server read it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from aiohttp import web

from hivemind_worker.web.document import Doc

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Access(Enum):
    """Who may use a route."""

    OPEN = "open"  # everybody whom host and origin let in
    VIEWER = "viewer"  # all that are signed in
    OWNER = "owner"  # those who may change something
    TOKEN = "token"  # noqa: S105 - the holder of the 0600 file alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route. `path` is aiohttp's pattern; a part in braces holds no slash unless it says so."""

    method: str
    path: str
    handler: Handler
    access: Access = Access.VIEWER
    page: bool = False  # those who are not signed in are led to /login instead of refused
    form: bool = False  # takes a form as well as JSON, and checks the CSRF token of a form itself
    stream: bool = False  # may last: limited by the piece instead
    doc: Doc | None = None  # what the OpenAPI document says; pages have none

    @property
    def is_open(self) -> bool:
        return self.access is Access.OPEN


Key = tuple[str, str]
Table = dict[Key, Route]


def register(app: web.Application, routes: Sequence[Route]) -> Table:
    """Add the routes to the server; returns them by method and canonical path."""
    table: Table = {}
    for route in routes:
        added = app.router.add_route(route.method, route.path, route.handler)
        assert added.resource is not None
        table[(route.method, added.resource.canonical)] = route
    return table


def route_of(request: web.Request, table: Table) -> Route | None:
    """The row behind a request; None for addresses and methods that are not served."""
    resource = request.match_info.route.resource
    return None if resource is None else table.get((request.method, resource.canonical))
