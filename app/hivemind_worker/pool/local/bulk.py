"""Messages that carry an archive, taken apart and put together without copying it.

The generated classes copy a 100 MiB field two or three times and block the loop
meanwhile; here the archive stays one view of the received bytes, or a mapped file.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Protocol

FIELDS_MOST = 64  # our messages have at most 10; later versions may add some
REST_BYTES_MOST = 1024 * 1024
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5


class Serialised(Protocol):
    """Any generated message."""

    def SerializeToString(self) -> bytes: ...  # noqa: N802 - protobuf's name


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(view) or shift > 63:
            raise ValueError("a number is cut short or too long")
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
        shift += 7


def _skip(view: memoryview, at: int, kind: int) -> tuple[int, int]:
    """(start of the field's body, end of the field) of a field whose body starts at `at`."""
    if kind == VARINT:
        return at, _varint(view, at)[1]
    if kind in (FIXED64, FIXED32):
        return at, at + (8 if kind == FIXED64 else 4)
    if kind == LENGTH:
        size, body = _varint(view, at)
        return body, body + size
    raise ValueError("a kind of field that is not used here")


def part(raw: bytes, number: int) -> tuple[bytes, memoryview]:
    """The message without its bytes field `number`, and a view of that field (the last one counts).

    Raises:
        ValueError: not a message, more than 64 fields, or more than 1 MiB beside the field.
    """
    view, at = memoryview(raw), 0
    rest, bulk = bytearray(), memoryview(b"")
    for _ in range(FIELDS_MOST):
        if at == len(view):
            return bytes(rest), bulk
        tag, body = _varint(view, at)
        start, stop = _skip(view, body, tag & 7)
        if stop > len(view):
            raise ValueError("the message is cut short")
        if tag == number << 3 | LENGTH:
            bulk = view[start:stop]
        elif len(rest) + stop - at <= REST_BYTES_MOST:
            rest += view[at:stop]
        else:
            raise ValueError("too much beside the archive")
        at = stop
    raise ValueError("too many fields")


def _prefix(number: int, size: int) -> bytes:
    out = bytearray()
    for value in (number << 3 | LENGTH, size):
        left = value
        while left > 0x7F:
            out.append(left & 0x7F | 0x80)
            left >>= 7
        out.append(left)
    return bytes(out)


def joined(message: Serialised, number: int, file: Path) -> bytes:
    """The serialised message with the file's content as its bytes field `number`. Blocks.

    Raises:
        OSError: the file cannot be read.
    """
    head = message.SerializeToString()
    size = file.stat().st_size
    if size == 0:  # an empty file cannot be mapped
        return head
    with file.open("rb") as source, mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return b"".join((head, _prefix(number, len(content)), content))
