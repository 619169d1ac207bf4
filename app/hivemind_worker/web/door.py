"""The one door of every request: the guard, a time limit, and a plain answer to whatever goes wrong.

The only place in this room with a broad except: what gets here is a bug of ours.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Middleware

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.web.answers import HEADERS, Refusal, refusal, refuse
from hivemind_worker.web.guard import Guard

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HANDLER_LIMIT_S = 30.0
STREAM_ROUTE = "result"  # limited by the piece instead: a large file may take its time

_PLAIN = {
    HTTPStatus.NOT_FOUND: "There is nothing at this address.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not take that method.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body of the request is over 1 MiB.",
}


def make_door(guard: Guard) -> Middleware:
    """The middleware around every route, unknown ones included."""

    @web.middleware
    async def door(request: web.Request, handler: Handler) -> web.StreamResponse:
        objection = guard.objection(request)
        if objection is not None:
            return _refused(request, objection)
        try:
            return await _limited(request, handler)
        except web.HTTPException as error:
            return _refused(request, _as_refusal(error))
        except Exception as error:  # the route's door: see the module's head
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError("the caller has gone") from error
            return _failed(request, error)

    return door


async def _limited(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.match_info.route.name == STREAM_ROUTE:
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


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Give every answer the security headers, also those that a library made."""
    response.headers.update(HEADERS)
