"""The token of the local API, and the proof that a server knows it. No aiohttp here: commands import it."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from pathlib import Path

from hivemind_worker.owned_file import read_owned, write_owned

TOKEN_BYTES = 32
_SHAPE = re.compile(rb"[A-Za-z0-9_-]{43,128}")
PROOF_HEADER = "X-HiveMind-Proof"
NONCE_LETTERS = (16, 128)  # shortest and longest nonce that is answered


def load_token(path: Path) -> str | None:
    """The kept token, or None when there is none, or when others could have read or written it."""
    content = (read_owned(path) or b"").strip()
    return content.decode("ascii") if _SHAPE.fullmatch(content) else None


def load_or_make_token(path: Path) -> str:
    """The kept token, else a new one of 256 bits, in a file that only its owner may read.

    Raises:
        OSError: the file cannot be written.
    """
    token = load_token(path)
    if token is None:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        write_owned(path, token.encode("ascii") + b"\n")
    return token


def is_token(token: str, untrusted_text: str) -> bool:
    """Whether the text is the token, in time that does not tell how much of it was right."""
    return hmac.compare_digest(token.encode(), untrusted_text.encode("utf-8", "surrogateescape"))


def proof_of(token: str, nonce: str) -> str:
    """What only a holder of the token can answer to a nonce; it does not tell the token.

    A command asks for it before it sends the token: the port in an endpoint file that a
    killed worker left behind may by now belong to a program of somebody else.
    """
    return hmac.new(token.encode(), b"livez:" + nonce.encode(), hashlib.sha256).hexdigest()
