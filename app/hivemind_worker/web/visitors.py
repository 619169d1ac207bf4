"""Who is asking: the visitor of a request, and the shape of the book that knows visitors.

Counterparts: store.users, which fits `Users`; web.guard, which finds the visitor of each request.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from aiohttp import web

from hivemind_worker.model.accounts import Account, KeptSession, NamedToken, Role
from hivemind_worker.model.task import Problem

CSRF_HEADER = "X-CSRF-Token"


class By(StrEnum):
    """How a visitor showed who it is."""

    SESSION = "session"  # the cookie of a browser
    TOKEN = "token"  # noqa: S105 - the 0600 file of this worker
    NAMED_TOKEN = "named_token"  # noqa: S105


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A caller that is signed in. `user` is "" for the owner of this computer (one-time link or token)."""

    user: str
    role: Role
    by: By
    csrf: str = ""  # what writes must carry; only browsers have one
    number: int | None = None  # of the session
    ends_at_s: float | None = None

    @property
    def may_write(self) -> bool:
        return self.role is Role.OWNER


VISITOR_KEY = web.RequestKey("visitor", Visitor)
"""Where the door puts the visitor of a request; absent when nobody is signed in."""


def visitor_of(request: web.Request) -> Visitor | None:
    """Who sent this request; None when nobody is signed in (open routes alone are reached then)."""
    return request.get(VISITOR_KEY)


def csrf_of(session_id: str) -> str:
    """The token that pages of this session put on their writes; it does not tell the session's id."""
    return hmac.new(session_id.encode("utf-8", "surrogatepass"), b"csrf", hashlib.sha256).hexdigest()


def of_session(session_id: str, kept: KeptSession) -> Visitor:
    """The visitor behind a session."""
    return Visitor(
        user=kept.user, role=kept.role, by=By.SESSION, csrf=csrf_of(session_id), number=kept.number,
        ends_at_s=kept.ends_at_s,
    )  # fmt: skip


class Users(Protocol):
    """The book of accounts, sessions and named tokens. Every call may raise OSError: nothing changed then."""

    async def add_account(self, name: str, password: str, role: Role, at_s: float) -> Problem | None: ...

    async def accounts(self) -> tuple[Account, ...]: ...

    async def remove_account(self, name: str) -> bool: ...

    async def check_password(self, name: str, untrusted_password: str) -> Account | None: ...

    async def begin_session(
        self, user: str, role: Role, *, at_s: float, length_s: float, address: str, agent: str
    ) -> tuple[str, KeptSession]: ...

    async def find_session(self, untrusted_secret: str, now_s: float) -> KeptSession | None: ...

    async def sessions(self, now_s: float) -> tuple[KeptSession, ...]: ...

    async def end_session(self, number: int) -> bool: ...

    async def tokens(self) -> tuple[NamedToken, ...]: ...

    async def find_token(self, untrusted_secret: str) -> NamedToken | None: ...

    async def remove_token(self, name: str) -> bool: ...
