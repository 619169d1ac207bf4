"""Signing in and out: one-time links, accounts, sessions. Passwords are checked by the book of users.

GET /login with a code is the one GET that changes something: the code is good once, for a minute.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import quote

from aiohttp import web

from hivemind_worker.model.accounts import ACCOUNT_NAME, KeptSession, Role
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.presentation.amounts import duration_words, iso
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.web.answers import Refusal, answer, refusal, refuse
from hivemind_worker.web.asked import BODY_LIMIT_S, object_of
from hivemind_worker.web.document import Doc, good
from hivemind_worker.web.guard import FORM_TYPE, NO_CSRF, Guard, has_csrf
from hivemind_worker.web.login_limits import LoginLimits
from hivemind_worker.web.routes import Access, Route
from hivemind_worker.web.schemas import NOTHING, NUMBER, SUCCESS, TEXT, VISITOR, listed, record, ref
from hivemind_worker.web.start_codes import LASTS_S, StartCodes
from hivemind_worker.web.visitors import By, Users, Visitor, of_session, visitor_of

log = logging.getLogger(__name__)
LoginPage = Callable[[web.Request, str, int], Awaitable[web.Response]]
"""The page with the form: the request, a sentence about what went wrong ("" at first), the status."""

START = "/dashboard"
LOGIN = "/login"
LONGEST_NEXT = 2000
WAITING_LOGINS = 8


class SignIn:
    """The routes, and the sessions that they begin and end."""

    def __init__(
        self,
        guard: Guard,
        users: Users,
        session_s: Callable[[], float],
        clock: Callable[[], float],
        *,
        login_page: LoginPage,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._guard = guard
        self._users = users
        self._session_s = session_s
        self._clock = clock
        self._login_page = login_page
        self._steady = steady
        self._limits = LoginLimits()
        self._codes = StartCodes()
        self._waiting = 0

    def table(self) -> list[Route]:
        """The routes that are not part of /api/v1."""
        return [
            Route(method="GET", path=LOGIN, handler=self.login_form, access=Access.OPEN),
            Route(method="POST", path=LOGIN, handler=self.login, access=Access.OPEN, form=True),
            Route(method="POST", path="/logout", handler=self.logout, form=True),
            *self._api(),
        ]

    def _api(self) -> list[Route]:
        """Who is signed in, as /api/v1 shows and ends it."""
        base = "/api/v1/sessions"
        link = record(path=TEXT, expires_in_s=NUMBER)
        return [
            Route(method="GET", path=base, handler=self.sessions, doc=Doc(
                summary="Who is signed in: an owner sees everybody, others themselves", tag="sessions",
                answers=good("The sessions.", record(sessions=listed(ref("Session")))))),
            Route(method="GET", path=base + "/current", handler=self.whoami, doc=Doc(
                summary="Who is asking", tag="sessions", answers=good("The visitor.", VISITOR))),
            Route(method="POST", path=base + "/link", handler=self.link, access=Access.TOKEN, doc=Doc(
                summary="A one-time link; for the holder of the worker's own token", tag="sessions",
                body=NOTHING, answers=good("The link.", link))),
            Route(method="DELETE", path=base + "/{number}", handler=self.end_session, doc=Doc(
                summary="End a session: an owner any, others their own", tag="sessions",
                problems=(HTTPStatus.NOT_FOUND,), answers=good("It has ended.", SUCCESS))),
        ]  # fmt: skip

    # --- in -----------------------------------------------------------------------------------

    async def link(self, request: web.Request) -> web.Response:
        """A one-time path that signs a browser in as the owner."""
        body = await object_of(request, ())
        if isinstance(body, Refusal):
            return refuse(request.path, body)
        return answer({"path": self.start_path(), "expires_in_s": LASTS_S})

    def start_path(self) -> str:
        """A path that signs a browser in as the owner, once, within a minute."""
        return f"{LOGIN}?t={self._codes.make(self._steady())}"

    async def login_form(self, request: web.Request) -> web.StreamResponse:
        """The form; with a one-time code the way in."""
        code = request.query.get("t")
        if code is None:
            return await self._login_page(request, "", HTTPStatus.OK)
        if not self._codes.take(code, self._steady()):
            sentence = _("This link has been used or is older than a minute. Ask for another one.")
            return await self._login_page(request, sentence, HTTPStatus.UNAUTHORIZED)
        _visitor, cookie = await self._begin(request, "", Role.OWNER)
        return _led_to(START, cookie)

    async def login(self, request: web.Request) -> web.StreamResponse:
        """Name and password, as a form or as JSON."""
        is_form = request.content_type == FORM_TYPE
        wanted = await _credentials(request, is_form=is_form)
        if isinstance(wanted, Refusal):
            return await self._refused(request, wanted, is_form=is_form)
        name, password, then = wanted
        visitor = await self._judged(request, name, password)
        if isinstance(visitor, Refusal):
            return await self._refused(request, visitor, is_form=is_form)
        who, cookie = visitor
        if is_form:
            return _led_to(local_path(then), cookie)
        response = answer(who_is(who))
        response.headers["Set-Cookie"] = cookie
        return response

    async def _refused(self, request: web.Request, refused: Refusal, *, is_form: bool) -> web.Response:
        if not is_form:
            return refuse(request.path, refused)
        return await self._login_page(request, refused.words()[0], refused.status)

    async def _judged(self, request: web.Request, name: str, password: str) -> tuple[Visitor, str] | Refusal:
        """The session that begins, or why none does: the same words whether there is such a name or not."""
        address, began_s = request.remote or "", self._steady()
        delay_s = self._limits.begin(address, name, began_s)
        if delay_s is None or self._waiting >= WAITING_LOGINS:
            log.warning("too many logins were tried from %s; they are refused for a while", address)
            return self._too_many(address, name)
        self._waiting += 1
        try:
            await asyncio.sleep(delay_s)
            account = await self._users.check_password(name, password)
        finally:
            self._waiting -= 1
        if account is None:
            log.warning("a login from %s was refused", address)  # the name may be a mistyped password
            return WRONG
        self._limits.succeeded(address, name, began_s)
        log.info("%s signed in from %s", account.name, address)
        return await self._begin(request, account.name, account.role)

    def _too_many(self, address: str, name: str) -> Refusal:
        wait_s = max(1.0, self._limits.wait_s(address, name, self._steady()))
        sentence = _("Too many logins were tried. Try again in {time}.", time=duration_words(wait_s))
        return refusal(
            HTTPStatus.TOO_MANY_REQUESTS, "", FaultCode.BUSY, detail=sentence, retry_s=wait_s,
            fix=_("On the computer itself, open the dashboard with: hivemind-worker dashboard"),
        )  # fmt: skip

    async def _begin(self, request: web.Request, user: str, role: Role) -> tuple[Visitor, str]:
        """A new session with a new id; the one that this browser had before ends."""
        before = visitor_of(request)
        if before is not None and before.number is not None:
            await self._users.end_session(before.number)
        length_s = self._session_s()
        session_id, kept = await self._users.begin_session(
            user, role, at_s=self._clock(), length_s=length_s, address=request.remote or "",
            agent=_shown(request.headers.get("User-Agent", "")),
        )  # fmt: skip
        return of_session(session_id, kept), self._cookie(request, session_id, length_s)

    def _cookie(self, request: web.Request, session_id: str, length_s: float) -> str:
        secure = "; Secure" if request.scheme == "https" else ""
        return (
            f"{self._guard.cookie_name}={session_id}; HttpOnly; SameSite=Strict; Path=/;"
            f" Max-Age={int(length_s)}{secure}"
        )

    # --- out ----------------------------------------------------------------------------------

    async def logout(self, request: web.Request) -> web.StreamResponse:
        """End this session."""
        visitor = visitor_of(request)
        assert visitor is not None
        is_form = request.content_type == FORM_TYPE
        if is_form and visitor.by is By.SESSION:
            form = await _form(request)
            if isinstance(form, Refusal):
                return refuse(request.path, form)
            if not has_csrf(visitor, form.get("csrf", "")):
                return refuse(request.path, NO_CSRF)
        if visitor.number is not None:
            await self._users.end_session(visitor.number)
        cookie = self._cookie(request, "", 0)
        if is_form:
            return _led_to(LOGIN, cookie)
        response = answer({"success": True})
        response.headers["Set-Cookie"] = cookie
        return response

    # --- sessions -----------------------------------------------------------------------------

    async def sessions(self, request: web.Request) -> web.Response:
        """Who is signed in: an owner sees everybody, others themselves."""
        visitor = visitor_of(request)
        assert visitor is not None
        kept = await self._users.sessions(self._clock())
        seen = [s for s in kept if visitor.may_write or s.number == visitor.number]
        return answer({"sessions": [session_row(s, visitor) for s in seen]})

    async def end_session(self, request: web.Request) -> web.Response:
        """End a session: an owner any, others their own."""
        visitor = visitor_of(request)
        assert visitor is not None
        text = request.match_info["number"]
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
        if not visitor.may_write and number != visitor.number:
            number = 0
        if not await self._users.end_session(number):
            return refuse(request.path, refusal(HTTPStatus.NOT_FOUND, "There is no such session."))
        return answer({"success": True, "message": _("The session has ended.")})

    async def whoami(self, request: web.Request) -> web.Response:
        """Who is asking, and the CSRF token of its session."""
        visitor = visitor_of(request)
        assert visitor is not None
        return answer(who_is(visitor))


WRONG = Refusal(
    status=HTTPStatus.UNAUTHORIZED,
    problem=refusal(HTTPStatus.UNAUTHORIZED, "", FaultCode.UNAUTHORISED).problem,
    detail="The name or the password is not right.",
    fix="Make an account with: hivemind-worker user add NAME",
)


def who_is(visitor: Visitor) -> dict[str, object]:
    """A visitor as the API shows it."""
    return {
        "user": visitor.user,
        "role": visitor.role.value,
        "by": visitor.by.value,
        "csrf": visitor.csrf or None,
        "ends_at": iso(visitor.ends_at_s),
    }


def session_row(kept: KeptSession, visitor: Visitor) -> dict[str, object]:
    """A session as the API shows it; its id is never shown."""
    return {
        "number": kept.number,
        "user": kept.user,
        "role": kept.role.value,
        "began_at": iso(kept.began_at_s),
        "ends_at": iso(kept.ends_at_s),
        "address": kept.address,
        "agent": kept.agent,
        "current": kept.number == visitor.number,
    }


def local_path(untrusted_path: str) -> str:
    """The path when it is one of this server, else the start page; never an address elsewhere."""
    plain = untrusted_path.isascii() and untrusted_path.isprintable() and "\\" not in untrusted_path
    local = untrusted_path.startswith("/") and not untrusted_path.startswith("//")
    loops = untrusted_path.startswith((LOGIN, "/logout", "/api/"))
    fits = plain and local and not loops and len(untrusted_path) <= LONGEST_NEXT
    return untrusted_path if fits else START


def login_path(request: web.Request) -> str:
    """Where one who is not signed in is led: the form, which leads back here."""
    wanted = local_path(request.raw_path)
    return LOGIN if wanted == START else f"{LOGIN}?next={quote(wanted, safe='/')}"


def _led_to(path: str, cookie: str) -> web.Response:
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": path, "Set-Cookie": cookie})


async def _credentials(request: web.Request, *, is_form: bool) -> tuple[str, str, str] | Refusal:
    """Name, password, and where to go then."""
    body = await (_form(request) if is_form else object_of(request, ("name", "password")))
    if isinstance(body, Refusal):
        return body
    name, password, then = body.get("name"), body.get("password"), body.get("next", "")
    if not (isinstance(name, str) and isinstance(password, str) and isinstance(then, str)):
        return refusal(HTTPStatus.BAD_REQUEST, "The body must hold name and password as texts.")
    if not ACCOUNT_NAME.fullmatch(name):
        name = "?"  # no account has such a name: counted and judged like one that is not there
    return name, password[:2000], then


async def _form(request: web.Request) -> dict[str, str] | Refusal:
    """The fields of a form, the first of each name."""
    try:
        async with asyncio.timeout(BODY_LIMIT_S):
            fields = await request.post()
    except TimeoutError:
        return refusal(HTTPStatus.REQUEST_TIMEOUT, "The body of the request did not arrive.")
    except (ValueError, LookupError):
        return refusal(HTTPStatus.BAD_REQUEST, "The form cannot be read.")
    return {name: value for name, value in reversed(list(fields.items())) if isinstance(value, str)}


def _shown(untrusted_agent: str) -> str:
    return json.dumps(untrusted_agent)[1:-1][:200]
