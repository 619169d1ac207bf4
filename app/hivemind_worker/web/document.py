"""What a route says about itself, and the OpenAPI 3.1 document that is made from it.

A query parameter is one object that both reads requests and describes itself, so that the two cannot differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from http import HTTPStatus
from typing import Any, Protocol

from aiohttp import web

from hivemind_worker.presentation.work_history import RangeError, day_asked
from hivemind_worker.web.answers import Refusal, refusal

Schema = Mapping[str, Any]
JSON = "application/json"
PROBLEM = "application/problem+json"


Answers = Mapping[int, tuple[str, Schema | None, str]]
"""By status: a description, the schema, the content type."""


class Query(Protocol):
    """A parameter of the query."""

    @property
    def name(self) -> str: ...

    @property
    def about(self) -> str: ...

    def schema(self) -> Schema: ...


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number between two bounds; `default` when it is not given."""

    name: str
    about: str
    default: int | None
    low: int
    high: int

    def schema(self) -> Schema:
        found: dict[str, Any] = {"type": "integer", "minimum": self.low, "maximum": self.high}
        return found if self.default is None else {**found, "default": self.default}

    def read(self, request: web.Request) -> int | Refusal | None:
        """The number, or why it is none."""
        text = request.query.get(self.name)
        if text is None:
            return self.default
        digits = text.isascii() and text.isdigit() and len(text) < 20
        if not digits or not self.low <= int(text) <= self.high:
            about = f"{self.name} must be a whole number from {self.low} to {self.high}."
            return refusal(HTTPStatus.BAD_REQUEST, about)
        return int(text)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    name: str
    about: str
    default: str
    words: tuple[str, ...]

    def schema(self) -> Schema:
        return {"type": "string", "enum": list(self.words), "default": self.default}

    def read(self, request: web.Request) -> str | Refusal:
        """The word, or why it is none."""
        text = request.query.get(self.name, self.default)
        if text not in self.words:
            return refusal(HTTPStatus.BAD_REQUEST, f"{self.name} must be one of {', '.join(self.words)}.")
        return text


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the calendar: 2026-11-24."""

    name: str
    about: str

    def schema(self) -> Schema:
        return {"type": "string", "format": "date"}

    def read(self, request: web.Request) -> date | Refusal | None:
        """The day, or why it is none."""
        text = request.query.get(self.name)
        try:
            return None if text is None else day_asked(text)
        except RangeError as error:
            return refusal(HTTPStatus.BAD_REQUEST, str(error))


@dataclass(frozen=True, slots=True)
class Text:
    """Text that the route itself understands."""

    name: str
    about: str
    pattern: str

    def schema(self) -> Schema:
        return {"type": "string", "pattern": self.pattern}


@dataclass(frozen=True, slots=True, kw_only=True)
class Doc:
    """A route in the document. `problems` are the refusals beyond those that every route may give."""

    summary: str
    tag: str
    query: Sequence[Query] = ()
    body: Schema | None = None
    answers: Answers = field(default_factory=dict)
    problems: Sequence[HTTPStatus] = ()
    seed: bool = False  # its refusals have the seed's shape


def good(description: str, schema: Schema | None, kind: str = JSON) -> Answers:
    """The answer 200 alone."""
    return {200: (description, schema, kind)}


EVERYWHERE = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
WITH_BODY = (HTTPStatus.REQUEST_TIMEOUT,)


class Documented(Protocol):
    """A row of the route table, as far as the document needs it."""

    @property
    def method(self) -> str: ...

    @property
    def doc(self) -> Doc | None: ...

    @property
    def is_open(self) -> bool: ...


def openapi(
    routes: Iterable[tuple[str, Documented]], schemas: Mapping[str, Schema], version: str
) -> dict[str, object]:
    """The document of these routes (canonical path and row), those without a Doc left out."""
    paths: dict[str, dict[str, object]] = {}
    for path, route in routes:
        if route.doc is not None:
            paths.setdefault(path, {})[route.method.lower()] = _operation(path, route, route.doc)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "HiveMind Worker",
            "version": version,
            "summary": "The local API of one worker.",
            "description": "Refusals carry a stable `code` and the next step in `fix`. A page of a browser"
            " that is signed in sends `X-CSRF-Token` with everything that is not a GET.",
        },
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": dict(schemas), "securitySchemes": SECURITY},
    }


SECURITY = {
    "token": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def _operation(path: str, route: Documented, doc: Doc) -> dict[str, object]:
    names = re.findall(r"\{(\w+)\}", path)
    found: dict[str, object] = {
        "operationId": _operation_id(route.method, path),
        "summary": doc.summary,
        "tags": [doc.tag],
        "security": [{}, {"token": []}, {"key": []}] if route.is_open else [{"token": []}, {"key": []}],
        "parameters": [_path_parameter(name) for name in names] + [_query(query) for query in doc.query],
        "responses": _answers(doc),
    }
    if doc.body is not None:
        found["requestBody"] = {"required": False, "content": {JSON: {"schema": doc.body}}}
    return found


def _operation_id(method: str, path: str) -> str:
    words = path.replace("{", "").replace("}", "").replace(".", "/").strip("/").split("/")
    return "_".join([method.lower(), *words])


def _path_parameter(name: str) -> dict[str, object]:
    kind = {"type": "integer", "minimum": 1} if name == "number" else {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "schema": kind}


def _query(query: Query) -> dict[str, object]:
    return {
        "name": query.name, "in": "query", "required": False, "description": query.about,
        "schema": query.schema(),
    }  # fmt: skip


def _answers(doc: Doc) -> dict[str, object]:
    found: dict[str, object] = {}
    for status, (description, schema, kind) in doc.answers.items():
        content = {} if schema is None else {"content": {kind: {"schema": schema}}}
        found[str(status)] = {"description": description, **content}
    kind, name = (JSON, "SeedError") if doc.seed else (PROBLEM, "Problem")
    refused = {"content": {kind: {"schema": {"$ref": f"#/components/schemas/{name}"}}}}
    extra = WITH_BODY if doc.body is not None else ()
    for status in sorted({*EVERYWHERE, *extra, *doc.problems}):
        found.setdefault(str(status.value), {"description": status.phrase, **refused})
    return found
