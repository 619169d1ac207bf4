"""The language in which a visitor is answered: what it chose, what the owner set, what its browser asks for.

The choice is a cookie that the pages' script sets: it concerns the browser alone, the worker keeps nothing.
"""

from __future__ import annotations

from aiohttp import web

from hivemind_worker.presentation.catalogue import LANGUAGES

COOKIE = "hivemind-language"
MOST = 16


def wanted_languages(request: web.Request, owners_choice: str) -> list[str]:
    """The best first; none where the worker's own language is the one."""
    chosen = request.cookies.get(COOKIE, "")
    if chosen in LANGUAGES:
        return [chosen]
    return [] if owners_choice else accepted(request.headers.get("Accept-Language", ""))


def accepted(untrusted_header: str) -> list[str]:
    """The languages of an Accept-Language header by their weight; those of weight 0 are not wanted."""
    weighed = [_weighed(part) for part in untrusted_header.split(",")[:MOST]]
    return [name for name, weight in sorted(weighed, key=lambda one: -one[1]) if name and weight > 0]


def _weighed(part: str) -> tuple[str, float]:
    name, _semicolon, rest = part.strip().partition(";")
    text = rest.strip().removeprefix("q=")
    plain = text.replace(".", "", 1)
    if not rest:
        return name, 1.0
    return name.strip(), float(text) if plain.isascii() and plain.isdigit() else 0.0
