"""Passwords of accounts: kept as salted scrypt digests, compared in constant time. Both calls block."""

from __future__ import annotations

import hashlib
import hmac
import secrets

# 2**14 blocks of 8 x 128 bytes: 16 MiB and about 45 ms a guess.
COST, BLOCK, LANES, DIGEST_BYTES = 2**14, 8, 1, 32
PASSWORD_BYTES_MOST = 1024
NO_SALT = bytes(16)


def _digest(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"), salt=salt, n=COST, r=BLOCK, p=LANES, dklen=DIGEST_BYTES
    )


def seal(password: str) -> tuple[bytes, bytes]:
    """A new salt, and the digest of the password under it."""
    salt = secrets.token_bytes(16)
    return salt, _digest(password, salt)


def matches(password: str, salt: bytes, digest: bytes) -> bool:
    """Whether it is the sealed password. An empty digest never matches but takes as long."""
    return hmac.compare_digest(_digest(password, salt or NO_SALT), digest)
