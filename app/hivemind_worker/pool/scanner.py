"""The fields of a protobuf message, read over the received bytes without copying them.

Owns the wire format's grammar and its limits; knows no message. The generated parser would
copy a 100 MiB archive and hide fields whose type has changed (quirk 19). Counterpart:
`pool.wire`, which gives the fields their meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

VARINT, FIXED64, BYTES, GROUP, GROUP_END, FIXED32 = 0, 1, 2, 3, 4, 5
MAX_FIELD_NUMBER = (1 << 29) - 1
MAX_GROUP_DEPTH = 32
MAX_FIELDS = 10_000  # the largest known message has 13; more only costs us time


class MalformedError(ValueError):
    """The bytes are not a protobuf message; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `value` is the number of a varint, the bytes of any other type."""

    number: int
    wire_type: int
    value: int | memoryview


def read_varint(view: memoryview, at: int) -> tuple[int, int]:
    """The unsigned number at `at` and the place behind it.

    Raises:
        MalformedError: cut off, over 64 bits, or written with more bytes than it needs.
    """
    number = 0
    for count in range(10):
        if at + count >= len(view):
            raise MalformedError(f"number cut off at byte {at}")
        byte = view[at + count]
        number |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            if (count and not byte) or number >> 64:
                break
            return number, at + count + 1
    raise MalformedError(f"over-long number at byte {at}")


def _read_tag(view: memoryview, at: int) -> tuple[int, int, int]:
    tag, behind = read_varint(view, at)
    number, wire_type = tag >> 3, tag & 7
    if not 1 <= number <= MAX_FIELD_NUMBER or wire_type > FIXED32:
        raise MalformedError(f"impossible field at byte {at}")
    return number, wire_type, behind


def _take(view: memoryview, at: int, count: int) -> tuple[memoryview, int]:
    if count > len(view) - at:
        raise MalformedError(f"field cut off at byte {at}")
    return view[at : at + count], at + count


def _read_value(view: memoryview, at: int, wire_type: int) -> tuple[int | memoryview, int]:
    if wire_type == VARINT:
        return read_varint(view, at)
    if wire_type == BYTES:
        count, at = read_varint(view, at)
        return _take(view, at, count)
    return _take(view, at, 8 if wire_type == FIXED64 else 4)


def scan(view: memoryview) -> Iterator[Field]:
    """The fields in order; contents of groups (no message here has any) are checked and left out.

    Raises:
        MalformedError: while iterating.
    """
    open_groups: list[int] = []
    at = seen = 0
    while at < len(view):
        seen += 1
        if seen > MAX_FIELDS:
            raise MalformedError(f"more than {MAX_FIELDS} fields")
        start = at
        number, wire_type, at = _read_tag(view, at)
        if wire_type == GROUP:
            open_groups.append(number)
            if len(open_groups) > MAX_GROUP_DEPTH:
                raise MalformedError(f"groups nested deeper than {MAX_GROUP_DEPTH}")
        elif wire_type == GROUP_END:
            if not open_groups or open_groups.pop() != number:
                raise MalformedError(f"group end without a beginning at byte {start}")
        else:
            value, at = _read_value(view, at, wire_type)
            if not open_groups:
                yield Field(number, wire_type, value)
    if open_groups:
        raise MalformedError("group without an end")
