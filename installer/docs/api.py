"""docs/api.md, from the OpenAPI document that a worker serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hivemind_worker import __version__
from hivemind_worker.web.document import openapi
from hivemind_worker.web.local_api import LocalApi
from hivemind_worker.web.schemas import COMPONENTS

HEAD = """# API

This page is made from the program itself, so it says what this version does.

The worker serves it at `http://127.0.0.1:5000/api/v1/openapi.json`, with every schema. Who may call,
tokens, and access from other computers: [Dashboard and API](dashboard.md).

    curl -H "Authorization: Bearer $(hivemind-worker config token)" http://127.0.0.1:5000/api/status

- A refusal has a stable `code` and the next step in `fix` (`application/problem+json`); the codes and their
  cures are those of [Troubleshooting](troubleshooting.md).
- What changes something is a `POST`, `PATCH` or `DELETE` with `Content-Type: application/json`. A page that
  is signed in also sends `X-CSRF-Token`.
- *open* in the tables: answers without a token.
"""
MOST_NAMES = 8
TITLES = {"seed": "The routes of the original program"}


def api_page() -> str:
    """The page as Markdown, ending with a newline."""
    document = _document()
    by_tag: dict[str, list[str]] = {}
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            by_tag.setdefault(operation["tags"][0], []).append(_row(verb.upper(), path, operation))
    parts = [
        _section(tag, rows)
        for tag, rows in sorted(by_tag.items(), key=lambda each: (each[0] != "seed", each[0]))
    ]
    return HEAD + "".join(parts)


class _Nobody:
    """Stands where a worker would: its parts are named, and never asked."""

    def __getattr__(self, _name: str) -> _Nobody:
        return self


def _document() -> dict[str, Any]:
    """The document of a worker that is never started: its routes alone are looked at."""
    nobody: Any = _Nobody()
    table = LocalApi(nobody, "").table
    return dict(openapi(((path, route) for (_method, path), route in table.items()), COMPONENTS, __version__))


def _section(tag: str, rows: list[str]) -> str:
    title = TITLES.get(tag, tag[:1].upper() + tag[1:])
    return f"\n## {title}\n\n| Route | What it does | Takes | Answers |\n|---|---|---|---|\n{''.join(rows)}"


def _row(verb: str, path: str, operation: Mapping[str, Any]) -> str:
    cells = (
        f"`{verb} {path}`" + (" *open*" if {} in operation["security"] else ""),
        _cell(operation["summary"]),
        ", ".join(_taken(operation)) or "–",
        "; ".join(_answered(operation["responses"])) or "–",
    )
    return "| " + " | ".join(cells) + " |\n"


def _taken(operation: Mapping[str, Any]) -> Iterator[str]:
    for each in operation["parameters"]:
        if each["in"] == "query":
            yield f"`?{each['name']}=`"
    body = operation.get("requestBody")
    if body:
        schema = body["content"]["application/json"]["schema"]
        names = list(schema.get("properties", {}))
        shown = [f"`{name}`" for name in names[:MOST_NAMES]] + ["…"] * (len(names) > MOST_NAMES)
        yield ", ".join(shown) or "JSON"


def _answered(responses: Mapping[str, Any]) -> Iterator[str]:
    """The answers that are no refusal."""
    for status, answer in responses.items():
        if int(status) < 400 or ("problem" not in str(answer.get("content", "")) and int(status) == 503):
            yield f"{status} {_cell(answer['description'])}"


def _cell(text: str) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")
