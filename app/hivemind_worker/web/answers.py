"""Answers of the local API: JSON bodies, errors in both shapes, and the headers that every one carries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from hivemind_worker import __version__
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.faults import words

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "hivemind-worker",  # without a version; left out, the library would name its own
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-HiveMind-Worker": __version__,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request is not served. `allow` names the methods that the route has."""

    status: HTTPStatus
    problem: Problem
    allow: str = ""


def refusal(status: HTTPStatus, about: str, code: FaultCode = FaultCode.BAD_USAGE) -> Refusal:
    """A refusal with a fault of the table; BAD_USAGE says `about` and nothing else."""
    return Refusal(status=status, problem=Problem(code=code, about=about))


def answer(values: Mapping[str, object], status: int = HTTPStatus.OK) -> web.Response:
    """One JSON object."""
    return web.Response(
        body=_encoded(values),
        status=status,
        content_type="application/json",
        charset="utf-8",
        headers=HEADERS,
    )


def refuse(path: str, refused: Refusal) -> web.Response:
    """The refusal in the shape that the callers of this path expect."""
    extra = {}
    if refused.status == HTTPStatus.UNAUTHORIZED:
        extra["WWW-Authenticate"] = 'Bearer realm="hivemind-worker"'
    if refused.allow:
        extra["Allow"] = refused.allow
    values = _seed_error(refused) if _is_seed(path) else _problem(refused)
    kind = "application/json" if _is_seed(path) else "application/problem+json"
    return web.Response(
        body=_encoded(values), status=refused.status, content_type=kind, charset="utf-8",
        headers={**HEADERS, **extra},
    )  # fmt: skip


def _is_seed(path: str) -> bool:
    return path == "/health" or (path.startswith("/api/") and not path.startswith("/api/v1/"))


def _seed_error(refused: Refusal) -> dict[str, object]:
    if refused.problem.code is FaultCode.UNKNOWN_TASK:
        return {"success": False, "error": "Task not found", "code": refused.problem.code.value}
    sentence, next_step = words(refused.problem)
    return {"success": False, "error": sentence, "code": refused.problem.code.value, "fix": next_step}


def _problem(refused: Refusal) -> dict[str, object]:
    """RFC 9457, with our code, the next step, and the particulars that the sentence was made with."""
    sentence, next_step = words(refused.problem)
    return {
        "type": f"urn:hivemind-worker:fault:{refused.problem.code.value}",
        "title": refused.status.phrase,
        "status": refused.status.value,
        "detail": sentence,
        "code": refused.problem.code.value,
        "fix": next_step,
        "about": refused.problem.about,
    }


def _encoded(values: Mapping[str, object]) -> bytes:
    """ASCII alone: a lone surrogate in a name cannot break it, nor U+2028 a reader."""
    return json.dumps(values, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")
