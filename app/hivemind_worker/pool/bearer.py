"""A pool's token: its text, and until when it may be used.

Reads the token's own claims without checking its signature (we have no key): they only time
the refresh. A pool's clock may differ from ours, so lengths are used, never moments.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import dataclass, field
from typing import Any

USUAL_LIFETIME_S = 3600.0
SHORTEST_S, LONGEST_S = 60.0, 86400.0
REFRESH_AT = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """A token and the steady time at which it should be refreshed."""

    token: str = field(repr=False)
    refresh_at_s: float


def bearer(token: str, *, now_s: float, steady_s: float) -> Bearer:
    """The token with its time of refresh, at 80 % of its life."""
    return Bearer(token=token, refresh_at_s=steady_s + REFRESH_AT * lifetime_s(token, now_s))


def lifetime_s(token: str, now_s: float) -> float:
    """How long a fresh token lasts: its `exp` less its `iat` or now; 60 min when that makes no sense."""
    claims = _claims(token)
    expires, issued = _number(claims.get("exp")), _number(claims.get("iat"))
    if expires is None:
        return USUAL_LIFETIME_S
    life_s = expires - (now_s if issued is None else issued)
    return life_s if SHORTEST_S <= life_s <= LONGEST_S else USUAL_LIFETIME_S


def clock_ahead_s(token: str, now_s: float) -> float | None:
    """How far the clock of a pool that just gave this token is ahead of ours; None when it does not tell.

    By when it says it was given, else by its end, since tokens of these pools last 60 minutes.
    """
    claims = _claims(token)
    issued, expires = _number(claims.get("iat")), _number(claims.get("exp"))
    if issued is None and expires is None:
        return None
    given_s = issued if issued is not None else (expires or 0.0) - USUAL_LIFETIME_S
    return given_s - now_s


def _number(claim: object) -> float | None:
    if isinstance(claim, bool) or not isinstance(claim, int | float) or abs(claim) > 1e15:
        return None
    return float(claim) if math.isfinite(claim) else None


def _claims(token: str) -> dict[str, Any]:
    parts = token.split(".")
    if len(parts) != 3 or len(parts[1]) > 4096:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
