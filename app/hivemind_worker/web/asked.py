"""What a request asks for, checked: ids in paths, numbers in queries, JSON objects in bodies."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Collection
from datetime import datetime
from http import HTTPStatus
from urllib.parse import unquote

from aiohttp import web

from hivemind_worker.model.task import TaskId
from hivemind_worker.web.answers import Refusal, refusal

BODY_LIMIT_S = 10.0
LONGEST_SNOOZE_S = 366 * 86_400.0
ID_SEGMENT = {"seed": 3, "v1": 4}  # /api/stop_task/ID, /api/v1/tasks/ID/...


def task_id_of(request: web.Request, family: str) -> TaskId | None:
    """The id in the path, as the requester wrote it; None when it is not UTF-8.

    Read from the raw path: an id may hold slashes and percent signs, which the router's own
    decoding cannot tell from the path's. The seed's route ends with the id, so there a slash
    may stand as it is.
    """
    segments = request.raw_path.partition("?")[0].split("/")
    first = ID_SEGMENT[family]
    raw = "/".join(segments[first:]) if family == "seed" else segments[first]
    try:
        return TaskId(unquote(raw, errors="strict"))
    except UnicodeDecodeError:
        return None


async def object_of(request: web.Request, keys: Collection[str]) -> dict[str, object] | Refusal:
    """The JSON object of the body ({} without a body), with none but these keys."""
    try:
        async with asyncio.timeout(BODY_LIMIT_S):
            content = await request.read()
    except TimeoutError:
        return refusal(HTTPStatus.REQUEST_TIMEOUT, "The body of the request did not arrive.")
    try:
        body = json.loads(content) if content.strip() else {}
    except (ValueError, RecursionError):
        return refusal(HTTPStatus.BAD_REQUEST, "The body must be JSON.")
    if not isinstance(body, dict):
        return refusal(HTTPStatus.BAD_REQUEST, "The body must be a JSON object.")
    if unknown := sorted(set(body) - set(keys)):
        return refusal(HTTPStatus.BAD_REQUEST, f"The body has a key that is not known: {unknown[0]!a:.80}.")
    return body


def moment(value: object, name: str, now_s: float) -> float | Refusal:
    """A time to come, at most a year ahead: epoch seconds, or ISO 8601 with its offset from UTC."""
    at_s = _epoch_s(value)
    if at_s is None:
        return refusal(
            HTTPStatus.BAD_REQUEST, f"{name} must be epoch seconds or ISO 8601 with an offset from UTC."
        )
    if not now_s < at_s <= now_s + LONGEST_SNOOZE_S:
        return refusal(HTTPStatus.BAD_REQUEST, f"{name} must lie ahead, by a year at most.")
    return at_s


def _epoch_s(value: object) -> float | None:
    if isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value)
            return parsed.timestamp() if parsed.tzinfo is not None else None
        except (ValueError, OverflowError):
            return None
    return number(value)


def number(value: object) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None
