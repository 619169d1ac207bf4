"""Who may look at this worker in a browser or by a script: accounts of its own, sessions, named tokens.

Nothing here is an account of a pool (model.pool_records). Secrets and their hashes never leave store.users.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

ACCOUNT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
"""What a name of an account or token may be: it is shown, never used as a path."""

PASSWORD_LETTERS = (8, 1024)


class Role(StrEnum):
    """What an account may do."""

    VIEWER = "viewer"  # look at everything, change nothing
    OWNER = "owner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One local account."""

    name: str
    role: Role
    created_at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSession:
    """One browser that is signed in. `user` is "" for one that came by the owner's one-time link."""

    number: int
    user: str
    role: Role
    began_at_s: float
    ends_at_s: float
    address: str = ""
    agent: str = ""  # what the browser calls itself: its own words


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedToken:
    """A token for scripts that may only read."""

    name: str
    created_at_s: float
