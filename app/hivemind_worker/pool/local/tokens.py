"""The tokens of a pool: signed claims that name an account for an hour (JWT, HS256)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hivemind_worker.pool.local.limits import TOKEN_LIFE_S

# The three words that workers and requesters look for (protocol section 3).
EXPIRED = "TOKEN_EXPIRED"
INVALID = "INVALID_TOKEN"
MISSING = "Token is required"
MARKERS = frozenset({EXPIRED, INVALID, MISSING})
TOKEN_CHARS_MOST = 8192
KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Who the token speaks for."""

    user_id: int
    username: str


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _raw(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _compact(values: dict[str, object]) -> str:
    return _text(json.dumps(values, separators=(",", ":")).encode())


class Tokens:
    """Issues and reads tokens under one key."""

    HEADER = _compact({"alg": "HS256", "typ": "JWT"})

    def __init__(self, key: bytes, clock: Callable[[], float]) -> None:
        self._key, self._clock = key, clock

    def _signature(self, signed: str) -> str:
        return _text(hmac.digest(self._key, signed.encode(), hashlib.sha256))

    def issue(self, claims: Claims) -> str:
        """A token that is good for 60 minutes from now."""
        until = int(self._clock()) + TOKEN_LIFE_S
        body = _compact({"user_id": claims.user_id, "username": claims.username, "exp": until})
        signed = f"{self.HEADER}.{body}"
        return f"{signed}.{self._signature(signed)}"

    def read(self, untrusted_token: str) -> Claims | str:
        """The claims, or the marker that says what is wrong with the token."""
        if not untrusted_token:
            return MISSING
        signed, _, signature = untrusted_token.rpartition(".")
        # The header is compared whole: no token chooses its own algorithm.
        well_made = (
            len(untrusted_token) <= TOKEN_CHARS_MOST
            and untrusted_token.isascii()
            and signed.startswith(f"{self.HEADER}.")
            and hmac.compare_digest(signature, self._signature(signed))
        )
        if not well_made:
            return INVALID
        return self._claims(signed.partition(".")[2])

    def _claims(self, body: str) -> Claims | str:
        try:
            values = json.loads(_raw(body))
            claims = Claims(user_id=int(values["user_id"]), username=str(values["username"]))
            until = float(values["exp"])
        except (binascii.Error, ValueError, KeyError, TypeError):
            return INVALID
        return claims if self._clock() < until else EXPIRED


def signing_key(file: Path) -> bytes:
    """The pool's own key, made at the first start and kept, so that tokens survive a restart. Blocks.

    Raises:
        OSError: the file cannot be read or written.
    """
    try:
        key = file.read_bytes()
    except FileNotFoundError:
        key = b""
    if len(key) == KEY_BYTES:
        return key
    # A key that is cut short (a full disk) is replaced: its tokens are worth nothing anyway.
    part = file.with_name(file.name + ".part")
    part.unlink(missing_ok=True)
    key = secrets.token_bytes(KEY_BYTES)
    with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
        out.write(key)
        out.flush()
        os.fsync(out.fileno())
    part.replace(file)
    return key
