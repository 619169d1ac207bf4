"""Answers of the local API: JSON bodies, errors in both shapes, and the headers that every one carries."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from hivemind_worker import __version__
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.faults import words

CLOSED_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
    " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
JSON_TYPE = "application/json; charset=utf-8"
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "hivemind-worker",  # without a version; left out, the library would name its own
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-HiveMind-Worker": __version__,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request is not served. `allow` names the methods that the route has.

    `detail` and `fix` are used instead of the fault's own words where those speak of something else.
    """

    status: HTTPStatus
    problem: Problem
    allow: str = ""
    detail: str = ""
    fix: str = ""
    retry_s: float | None = None
    errors: tuple[str, ...] = ()

    def words(self) -> tuple[str, str]:
        """What happened, and what to do."""
        sentence, next_step = words(self.problem)
        return self.detail or sentence, self.fix or next_step


def refusal(
    status: HTTPStatus,
    about: str,
    code: FaultCode = FaultCode.BAD_USAGE,
    *,
    detail: str = "",
    fix: str = "",
    retry_s: float | None = None,
    errors: tuple[str, ...] = (),
) -> Refusal:
    """A refusal with a fault of the table; BAD_USAGE says `about` and nothing else."""
    problem = Problem(code=code, about=about)
    return Refusal(status=status, problem=problem, detail=detail, fix=fix, retry_s=retry_s, errors=errors)


def answer(values: Mapping[str, object], status: int = HTTPStatus.OK) -> web.Response:
    """One JSON object."""
    return answer_encoded(encoded(values), status)


def answer_encoded(content: bytes, status: int = HTTPStatus.OK) -> web.Response:
    """One JSON object that `encoded` has made."""
    return web.Response(body=content, status=status, headers={**HEADERS, "Content-Type": JSON_TYPE})


def refuse(path: str, refused: Refusal) -> web.Response:
    """The refusal in the shape that the callers of this path expect."""
    extra = {}
    if refused.status == HTTPStatus.UNAUTHORIZED:
        extra["WWW-Authenticate"] = 'Bearer realm="hivemind-worker"'
    if refused.allow:
        extra["Allow"] = refused.allow
    if refused.retry_s is not None:
        extra["Retry-After"] = str(math.ceil(refused.retry_s))
    values = _seed_error(refused) if _is_seed(path) else _problem(refused)
    kind = "application/json" if _is_seed(path) else "application/problem+json"
    return web.Response(
        body=encoded(values), status=refused.status, content_type=kind, charset="utf-8",
        headers={**HEADERS, **extra},
    )  # fmt: skip


def _is_seed(path: str) -> bool:
    return path == "/health" or (path.startswith("/api/") and not path.startswith("/api/v1/"))


def _seed_error(refused: Refusal) -> dict[str, object]:
    if refused.problem.code is FaultCode.UNKNOWN_TASK:
        return {"success": False, "error": "Task not found", "code": refused.problem.code.value}
    sentence, next_step = refused.words()
    return {"success": False, "error": sentence, "code": refused.problem.code.value, "fix": next_step}


def _problem(refused: Refusal) -> dict[str, object]:
    """RFC 9457, with our code, the next step, and the particulars that the sentence was made with."""
    sentence, next_step = refused.words()
    errors = {"errors": list(refused.errors)} if refused.errors else {}
    return errors | {
        "type": f"urn:hivemind-worker:fault:{refused.problem.code.value}",
        "title": refused.status.phrase,
        "status": refused.status.value,
        "detail": sentence,
        "code": refused.problem.code.value,
        "fix": next_step,
        "about": refused.problem.about,
    }


def encoded(values: Mapping[str, object]) -> bytes:
    """ASCII alone: a lone surrogate in a name cannot break it, nor U+2028 a reader."""
    return json.dumps(values, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Give every answer the security headers, also those that a library made."""
    response.headers.update(HEADERS)
    is_page = response.content_type == "text/html"
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("Content-Security-Policy", PAGE_POLICY if is_page else CLOSED_POLICY)
    # With "no-referrer" a browser sends the forms of our own pages with `Origin: null`.
    response.headers.setdefault("Referrer-Policy", "same-origin" if is_page else "no-referrer")
