"""WireGuard keys (X25519): made, checked, and their public half. Nothing here prints or keeps one."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A new identity in a network. The private half never shows in a repr."""

    private: str = field(repr=False)
    public: str


def new_pair() -> KeyPair:
    """A fresh pair."""
    private = X25519PrivateKey.generate()
    text = base64.b64encode(private.private_bytes_raw()).decode()
    return KeyPair(private=text, public=_text(private))


def is_key(text: str) -> bool:
    """Whether this is 32 bytes in the one canonical base64, and not all zero."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(raw) == KEY_BYTES and any(raw) and base64.b64encode(raw).decode() == text


def public_of(private: str) -> str:
    """The public half of a private key that `is_key`."""
    return _text(X25519PrivateKey.from_private_bytes(base64.b64decode(private)))


def _text(private: X25519PrivateKey) -> str:
    return base64.b64encode(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
