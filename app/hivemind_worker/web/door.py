"""The one door of every request: the guard, a time limit, and a plain answer to whatever goes wrong.

The only place in this room with a broad except: what gets here is a bug of ours.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Middleware

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.presentation.catalogue import speaking
from hivemind_worker.web.answers import Refusal, refusal, refuse
from hivemind_worker.web.guard import Guard
from hivemind_worker.web.languages import wanted_languages
from hivemind_worker.web.routes import Handler, Route, Table, route_of
from hivemind_worker.web.sign_in import login_path
from hivemind_worker.web.visitors import VISITOR_KEY

log = logging.getLogger(__name__)
HANDLER_LIMIT_S = 30.0

_PLAIN = {
    HTTPStatus.NOT_FOUND: "There is nothing at this address.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not take that method.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body of the request is over 1 MiB.",
}


_NO_FILES = refusal(
    HTTPStatus.SERVICE_UNAVAILABLE, "", FaultCode.DISK_FULL,
    detail="The worker cannot use its files just now.",
    fix="See the worker's log; it goes on by itself when the disk can be used again.",
)  # fmt: skip


def make_door(guard: Guard, table: Table, owners_language: Callable[[], str]) -> Middleware:
    """The middleware around every route, unknown ones included. `table` may be filled later."""

    @web.middleware
    async def door(request: web.Request, handler: Handler) -> web.StreamResponse:
        objection = guard.objection(request)
        if objection is not None:
            return _refused(request, objection)
        try:
            route = route_of(request, table)
            # The seed's answers are for programs, and kept for a moment: all get the same.
            seed = route is not None and route.doc is not None and route.doc.seed
            with speaking([] if seed else wanted_languages(request, owners_language())):
                return await _let_in(guard, route, request, handler)
        except web.HTTPException as error:
            return _refused(request, _as_refusal(error))
        except ConnectionError:
            raise
        except OSError as error:
            log.error("web route %s: %s", _shown(request), error)
            return _refused(request, _NO_FILES)
        except Exception as error:  # the route's door: see the module's head
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError("the caller has gone") from error
            return _failed(request, error)

    return door


async def _let_in(
    guard: Guard, route: Route | None, request: web.Request, handler: Handler
) -> web.StreamResponse:
    visitor = await guard.visitor(request)
    if isinstance(visitor, Refusal):
        return _refused(request, visitor)
    if visitor is not None:
        request[VISITOR_KEY] = visitor
    refused = guard.refusal(request, route, visitor)
    if refused is not None:
        if visitor is None and route is not None and route.page:
            return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": login_path(request)})
        return _refused(request, refused)
    if route is not None and route.stream:
        return await handler(request)
    async with asyncio.timeout(HANDLER_LIMIT_S):
        return await handler(request)


def _failed(request: web.Request, error: Exception) -> web.Response:
    """Log the bug and answer it; an answer that has begun can only be cut off."""
    if isinstance(error, TimeoutError):
        log.warning("web route %s took too long and was given up", _shown(request))
    else:
        log.error("bug in web route %s", _shown(request), exc_info=error)
    if request.writer.output_size > 0:
        raise ConnectionResetError("the answer had begun") from error
    return _refused(request, _bug("see its log"))


def _refused(request: web.Request, objection: Refusal) -> web.Response:
    response = refuse(request.path, objection)
    if request.body_exists:  # an unread body would be taken for the next request's head
        response.force_close()
    return response


def _as_refusal(error: web.HTTPException) -> Refusal:
    status = HTTPStatus(error.status)
    plain = refusal(status, _PLAIN.get(status, status.phrase + "."))
    allow = error.headers.get("Allow", "")
    return Refusal(status=status, problem=plain.problem, allow=allow)


def _bug(about: str) -> Refusal:
    return refusal(HTTPStatus.INTERNAL_SERVER_ERROR, about, FaultCode.BUG)


def _shown(request: web.Request) -> str:
    """The route for a log line: ids are the requester's free text, so never its characters as they are."""
    return f"{request.method} {ascii(request.path)[:200]}"
