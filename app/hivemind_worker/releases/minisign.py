"""Signatures as the program minisign makes them: Ed25519 over the file's BLAKE2b, and over the comment.

The format: https://jedisct1.github.io/minisign/ ("Signature format"). Only prehashed signatures are taken,
which is what minisign has made by itself since version 0.10.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KEY_KIND, PREHASHED = b"Ed", b"ED"
ID_BYTES, SIGNATURE_BYTES = 8, 64
COMMENT = "trusted comment: "


class BadSignatureError(Exception):
    """The content is not what the holder of the key has signed, or this is no signature."""


def verify(content: bytes, untrusted_signature: str, key: str) -> str:
    """The signed comment of a good signature. `key`: the second line of minisign.pub.

    Raises:
        BadSignatureError: anything is wrong with it.
    """
    try:
        _comment, line, comment, over_all = untrusted_signature.strip().splitlines()
        kind, key_id, public = _parts(key, 32)
        made, by, signature = _parts(line, SIGNATURE_BYTES)
        if kind != KEY_KIND or made != PREHASHED or by != key_id or not comment.startswith(COMMENT):
            raise BadSignatureError
        told = comment.removeprefix(COMMENT)
        holder = Ed25519PublicKey.from_public_bytes(public)
        holder.verify(signature, hashlib.blake2b(content).digest())
        holder.verify(base64.b64decode(over_all, validate=True), signature + told.encode())
    except (ValueError, binascii.Error, InvalidSignature) as error:
        raise BadSignatureError from error
    return told


def _parts(line: str, length: int) -> tuple[bytes, bytes, bytes]:
    """Kind, key id and the rest of a line, which must have this length."""
    raw = base64.b64decode(line.strip(), validate=True)
    if len(raw) != len(KEY_KIND) + ID_BYTES + length:
        raise BadSignatureError
    return raw[:2], raw[2 : 2 + ID_BYTES], raw[2 + ID_BYTES :]
