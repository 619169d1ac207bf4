"""NKEYs: the Ed25519 keys of a NATS server's world, as text with a kind and a check sum.

Only the text form is ours; the arithmetic is cryptography's. https://docs.nats.io (NKEYs) describes the form:
a byte for the kind, the 32 bytes, CRC-16/XMODEM, in base 32.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from enum import IntEnum

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RAW_BYTES = 32
_SEED = 18 << 3  # shows as S


class Kind(IntEnum):
    """What a key is for: its first letter is O, A or U."""

    OPERATOR = 14 << 3
    ACCOUNT = 0
    USER = 20 << 3


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key with its private half, which never shows in a repr."""

    kind: Kind
    _private: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> str:
        """The name under which others know the key: 56 letters and digits."""
        raw = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return _text(bytes([self.kind]) + raw)

    @property
    def seed(self) -> str:
        """The private half as text: 58 letters and digits. A secret."""
        head = bytes([_SEED | self.kind >> 5, (self.kind & 31) << 3])
        return _text(head + self._private.private_bytes_raw())

    def sign(self, content: bytes) -> bytes:
        """64 bytes that only the holder of the private half can make."""
        return self._private.sign(content)


def new_key(kind: Kind) -> KeyPair:
    """A fresh key."""
    return KeyPair(kind, Ed25519PrivateKey.generate())


def from_seed(seed: str) -> KeyPair:
    """The key of a seed.

    Raises:
        ValueError: this is no seed.
    """
    raw = _raw(seed)
    if len(raw) != RAW_BYTES + 2 or raw[0] & 0xF8 != _SEED:
        raise ValueError("not an NKEY seed")
    kind = Kind((raw[0] & 7) << 5 | raw[1] >> 3)
    return KeyPair(kind, Ed25519PrivateKey.from_private_bytes(raw[2:]))


def is_public(text: str, kind: Kind) -> bool:
    """Whether this is the public half of a key of that kind."""
    try:
        raw = _raw(text)
    except ValueError:
        return False
    return len(raw) == RAW_BYTES + 1 and raw[0] == kind


def _text(raw: bytes) -> str:
    checked = raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")
    return base64.b32encode(checked).decode().rstrip("=")


def _raw(text: str) -> bytes:
    padded = text + "=" * (-len(text) % 8)
    try:
        checked = base64.b32decode(padded)
    except binascii.Error as error:
        raise ValueError("not an NKEY") from error
    raw, told = checked[:-2], checked[-2:]
    if binascii.crc_hqx(raw, 0).to_bytes(2, "little") != told:
        raise ValueError("not an NKEY: its check sum is wrong")
    if _text(raw) != text:  # the last letter has bits to spare: one key, one text
        raise ValueError("not an NKEY: not written as one is")
    return raw
