"""Who may ask: host, origin, visitor, and what a body may be. Looks at the head of a request only."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web

from hivemind_worker.model.accounts import Role
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.web.answers import Refusal, refusal
from hivemind_worker.web.routes import Access, Route
from hivemind_worker.web.token import is_token
from hivemind_worker.web.visitors import CSRF_HEADER, By, Users, Visitor, of_session

NAMES = ("localhost", "127.0.0.1", "[::1]")
HEAD_BYTES = 8192
BODY_BYTES = 1 << 20
SAFE_METHODS = ("GET", "HEAD")
JSON_TYPE, FORM_TYPE = "application/json", "application/x-www-form-urlencoded"
NO_TOKEN = refusal(HTTPStatus.UNAUTHORIZED, "", FaultCode.UNAUTHORISED)
DEFAULT_PORTS = {"http": 80, "https": 443}


class Guard:
    """The checks of security.md, section W, in order: the first that fails answers."""

    def __init__(self, token: str, users: Users | None, clock: Callable[[], float]) -> None:
        self._token = token
        self._users = users
        self._clock = clock
        self._hosts: dict[str, frozenset[str]] = {}
        # Cookies do not know ports: the name tells the installs of one computer apart.
        self.cookie_name = "hivemind-" + hashlib.sha256(b"cookie:" + token.encode()).hexdigest()[:16]

    def serve(self, scheme: str, names: tuple[str, ...], port: int) -> None:
        """From now on requests by this scheme to these names at this port are for us, and to no others."""
        hosts = {f"{name}:{port}" for name in names}
        if port == DEFAULT_PORTS[scheme]:  # the port that browsers leave out
            hosts |= set(names)
        self._hosts[scheme] = frozenset(hosts)

    def objection(self, request: web.Request) -> Refusal | None:
        """Why this request is not even looked at, whoever sent it; None when it is."""
        return self._head(request) or self._site(request)

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
        ours = self._hosts.get(_scheme(request), frozenset())
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or hosts[0].lower() not in ours:
            return _forbidden()
        own_origin = f"{_scheme(request)}://{hosts[0].lower()}"
        # The origin of this very name: two names of ours are two sites to a browser.
        if any(origin.lower() != own_origin for origin in request.headers.getall("Origin", [])):
            return _forbidden()
        sites = request.headers.getall("Sec-Fetch-Site", [])
        # "same-site" is refused too: every port of localhost is the same site.
        if any(site.lower() not in ("same-origin", "none") for site in sites):
            return _forbidden()
        return None

    async def visitor(self, request: web.Request) -> Visitor | Refusal | None:
        """Who sent it; a refusal when it shows a token that is not one; None without token and session.

        Raises:
            OSError: the accounts cannot be read just now.
        """
        sent = _sent_tokens(request)
        if sent:
            return await self._holder(sent)
        session_id = request.cookies.get(self.cookie_name)
        if session_id is None or self._users is None:
            return None
        kept = await self._users.find_session(session_id, self._clock())
        return None if kept is None else of_session(session_id, kept)

    async def still_knows(self, request: web.Request) -> bool:
        """Whether the sender of a request that lasts is still signed in."""
        return isinstance(await self.visitor(request), Visitor)

    async def _holder(self, sent: list[str]) -> Visitor | Refusal:
        """With two tokens both must be right, and be the same."""
        if all(is_token(self._token, text) for text in sent):
            return Visitor(user="", role=Role.OWNER, by=By.TOKEN)
        named = await self._users.find_token(sent[0]) if self._users and len(set(sent)) == 1 else None
        return NO_TOKEN if named is None else Visitor(user=named.name, role=Role.VIEWER, by=By.NAMED_TOKEN)

    def refusal(self, request: web.Request, route: Route | None, visitor: Visitor | None) -> Refusal | None:
        """Why this visitor may not use this route so, or None."""
        return self._right(request, route, visitor) or self._body(request, route)

    def _right(self, request: web.Request, route: Route | None, visitor: Visitor | None) -> Refusal | None:
        if route is not None and route.access is Access.OPEN:
            return None
        if visitor is None:
            return NO_TOKEN
        if route is None:
            return None  # there is nothing here, or not with this method: those signed in may know
        if route.access is Access.OWNER and not visitor.may_write:
            return refusal(
                HTTPStatus.FORBIDDEN, "", FaultCode.FORBIDDEN,
                detail=_("This account may look, but not change anything."),
                fix=_("Ask the owner of the computer, or sign in with an owner's account."),
            )  # fmt: skip
        if route.access is Access.TOKEN and visitor.by is not By.TOKEN:
            return refusal(HTTPStatus.FORBIDDEN, "The token of this worker is needed.", FaultCode.FORBIDDEN)
        return self._csrf(request, route, visitor)

    def _csrf(self, request: web.Request, route: Route, visitor: Visitor) -> Refusal | None:
        """A cookie alone changes nothing: what a page sends must show that the page is ours."""
        if visitor.by is not By.SESSION or request.method in SAFE_METHODS:
            return None
        if route.form and request.content_type == FORM_TYPE:
            return None  # it stands in the form: the route looks at it
        return None if has_csrf(visitor, request.headers.get(CSRF_HEADER, "")) else NO_CSRF

    def _body(self, request: web.Request, route: Route | None) -> Refusal | None:
        if (request.content_length or 0) > BODY_BYTES:
            return refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body of the request is over 1 MiB.")
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            return refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must not be compressed.")
        if not request.body_exists or request.content_type == JSON_TYPE:
            return None
        if route is not None and route.form and request.content_type == FORM_TYPE:
            return None
        return refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be application/json.")


def _scheme(request: web.Request) -> str:
    """What the connection speaks, whatever the request says of itself."""
    encrypted = request.transport is not None and request.transport.get_extra_info("sslcontext") is not None
    return "https" if encrypted else "http"


def has_csrf(visitor: Visitor, untrusted_text: str) -> bool:
    """Whether the text is the CSRF token of this session."""
    sent = untrusted_text.encode("utf-8", "surrogateescape")
    return bool(visitor.csrf) and hmac.compare_digest(visitor.csrf.encode(), sent)


def _forbidden() -> Refusal:
    return refusal(HTTPStatus.FORBIDDEN, "This address or page may not call the worker.")


NO_CSRF = refusal(HTTPStatus.FORBIDDEN, f"no {CSRF_HEADER} of this session", FaultCode.FORBIDDEN)


def _sent_tokens(request: web.Request) -> list[str]:
    sent = list(request.headers.getall("X-API-Key", []))
    for value in request.headers.getall("Authorization", []):
        scheme, _colon, rest = value.partition(" ")
        sent.append(rest.strip() if scheme.lower() == "bearer" else "")
    return sent
