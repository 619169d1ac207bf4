"""Who is signed in, as the page of sessions shows it."""

from __future__ import annotations

from dataclasses import dataclass

from hivemind_worker.model.accounts import KeptSession, Role
from hivemind_worker.presentation.catalogue import _, mark
from hivemind_worker.presentation.plain_text import shown_line

ROLES = {Role.VIEWER: mark("looks only"), Role.OWNER: mark("may change things")}


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """One browser that is signed in; `agent` is what it calls itself, made fit to be shown."""

    number: int
    user: str
    role: str
    address: str
    agent: str
    began_at_s: float
    ends_at_s: float
    is_own: bool


def session_row(kept: KeptSession, own_number: int | None) -> SessionRow:
    """A session as a row."""
    return SessionRow(
        number=kept.number, user=kept.user or _("the owner, by a link"), role=_(ROLES[kept.role]),
        address=kept.address, agent=shown_line(kept.agent), began_at_s=kept.began_at_s,
        ends_at_s=kept.ends_at_s, is_own=kept.number == own_number,
    )  # fmt: skip
