"""Who may ask: host, origin and token. Looks at the head of a request only, never at its body."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.web.answers import Refusal, refusal
from hivemind_worker.web.token import is_token

NAMES = ("localhost", "127.0.0.1", "[::1]")
HEAD_BYTES = 8192
BODY_BYTES = 1 << 20
OPEN_ROUTE = "/livez"
HALF_OPEN_ROUTE = "/health"  # statuses for everybody, reasons with the token
NO_TOKEN = refusal(HTTPStatus.UNAUTHORIZED, "", FaultCode.UNAUTHORISED)


class Guard:
    """The checks of security.md, section W, in order: the first that fails answers."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._hosts: frozenset[str] = frozenset()
        self._origins: frozenset[str] = frozenset()

    def serve_port(self, port: int) -> None:
        """From now on only requests to this port are for us."""
        self._hosts = frozenset(f"{name}:{port}" for name in NAMES)
        if port == 80:  # the port that browsers leave out
            self._hosts |= frozenset(NAMES)
        self._origins = frozenset(f"http://{host}" for host in self._hosts)

    def objection(self, request: web.Request) -> Refusal | None:
        """Why this request is not served, or None."""
        return self._head(request) or self._site(request) or self._caller(request) or self._body(request)

    def knows_token(self, request: web.Request) -> bool:
        """Whether the caller sent the token; with two tokens both must be right."""
        sent = _sent_tokens(request)
        return bool(sent) and all(is_token(self._token, text) for text in sent)

    def _head(self, request: web.Request) -> Refusal | None:
        size = len(request.raw_path) + sum(len(name) + len(value) + 4 for name, value in request.raw_headers)
        if size > HEAD_BYTES:
            return refusal(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The head of the request is over 8 KiB."
            )
        if not request.raw_path.startswith("/"):
            return refusal(HTTPStatus.BAD_REQUEST, "The request must name a path.")
        return None

    def _site(self, request: web.Request) -> Refusal | None:
        """A page of another site, or a name that was turned to this address (DNS rebinding), is refused."""
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return _forbidden()
        origins = request.headers.getall("Origin", [])
        if any(origin.lower() not in self._origins for origin in origins):
            return _forbidden()
        sites = request.headers.getall("Sec-Fetch-Site", [])
        # "same-site" is refused too: every port of localhost is the same site.
        if any(site.lower() not in ("same-origin", "none") for site in sites):
            return _forbidden()
        return None

    def _caller(self, request: web.Request) -> Refusal | None:
        path = request.path
        if path == OPEN_ROUTE or (path == HALF_OPEN_ROUTE and not _sent_tokens(request)):
            return None
        return None if self.knows_token(request) else NO_TOKEN

    def _body(self, request: web.Request) -> Refusal | None:
        if (request.content_length or 0) > BODY_BYTES:
            return refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body of the request is over 1 MiB.")
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            return refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must not be compressed.")
        if request.body_exists and request.content_type != "application/json":
            return refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be application/json.")
        return None


def _forbidden() -> Refusal:
    return refusal(HTTPStatus.FORBIDDEN, "This address or page may not call the worker.")


def _sent_tokens(request: web.Request) -> list[str]:
    sent = list(request.headers.getall("X-API-Key", []))
    for value in request.headers.getall("Authorization", []):
        scheme, _, rest = value.partition(" ")
        sent.append(rest.strip() if scheme.lower() == "bearer" else "")
    return sent
