"""The directory at the end of a zip file, read with bounded time and memory before any member is looked at.

Own reading instead of `zipfile`: that parses a directory of any size whole, cuts names at NUL,
and takes offsets that do not fit. Layout: APPNOTE.TXT 4.3.12 to 4.3.16. Counterpart: `members`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from hivemind_worker.runtimes.workspace.limits import MIB, Limits
from hivemind_worker.runtimes.workspace.refusals import bad, too_big

END = struct.Struct("<4s4H2LH")
END_MARK = b"PK\x05\x06"
LOCATOR = struct.Struct("<4sLQL")
LOCATOR_MARK = b"PK\x06\x07"
END64 = struct.Struct("<4sQ2H2L4Q")
END64_MARK = b"PK\x06\x06"
CENTRAL = struct.Struct("<4s4B4H3L5H2L")
CENTRAL_MARK = b"PK\x01\x02"
TAIL_BYTES = END.size + 0xFFFF + LOCATOR.size
WIDE16 = 0xFFFF
WIDE32 = 0xFFFFFFFF
WIDE_TAG = 0x0001


class Row(NamedTuple):
    """One member as the directory has it; sizes and offset in full width, names still raw bytes."""

    name: bytes
    system: int
    flags: int
    method: int
    crc: int
    packed_bytes: int
    opened_bytes: int
    disk: int
    attributes: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Where the directory lies and how many members it promises."""

    start: int
    size: int
    rows: int


def read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    """Exactly `size` bytes from `offset`.

    Raises:
        ArchiveError: BAD_ARCHIVE, the file is shorter.
    """
    file.seek(offset)
    found = file.read(size)
    if len(found) != size:
        raise bad("it ends in the middle")
    return found


def read_end(file: BinaryIO, limits: Limits) -> End:
    """Find the directory and check its promises against the limits, without reading it.

    Raises:
        ArchiveError: BAD_ARCHIVE or TOO_BIG.
    """
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        raise bad("it is empty")
    if size > limits.packed_bytes:
        raise too_big(f"{size / MIB:.1f} MiB, and {limits.packed_bytes / MIB:.0f} MiB is the most")
    base = max(0, size - TAIL_BYTES)
    tail = read_at(file, base, size - base)
    at = _find_end(tail, file)
    return _check_end(_parse_end(file, tail, base, at), limits)


def _find_end(tail: bytes, file: BinaryIO) -> int:
    found = []
    at = tail.find(END_MARK)
    while at >= 0:
        room = len(tail) - at - END.size
        if room >= 0 and END.unpack_from(tail, at)[7] == room:
            found.append(at)
        at = tail.find(END_MARK, at + 1)
    if len(found) > 1:
        raise bad("it has two ends, so it can be read in two ways")
    if not found:
        raise bad(_not_a_zip(read_at(file, 0, min(64, len(tail)))))
    return found[0]


def _not_a_zip(head: bytes) -> str:
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a web page, not a zip file"
    return "its end is missing" if head.startswith(b"PK") else "it is not a zip file"


def _parse_end(file: BinaryIO, tail: bytes, base: int, at: int) -> End:
    _, disk, first_disk, rows_here, rows, size, start, _ = END.unpack_from(tail, at)
    located = at >= LOCATOR.size and tail.startswith(LOCATOR_MARK, at - LOCATOR.size)
    if located:
        narrow = (disk, first_disk, rows_here, rows, size, start)
        return _parse_end64(file, base + at - LOCATOR.size, narrow)
    if disk or first_disk or rows_here != rows:
        raise bad("it is one part of several")
    if start + size != base + at:
        raise bad("its directory is not where it should be")
    return End(start=start, size=size, rows=rows)


def _parse_end64(file: BinaryIO, locator_at: int, narrow: tuple[int, ...]) -> End:
    _, disk, end_at, disks = LOCATOR.unpack(read_at(file, locator_at, LOCATOR.size))
    if disk or disks > 1:
        raise bad("it is one part of several")
    if end_at > locator_at - END64.size:
        raise bad("its directory is not where it should be")
    mark, length, _, _, *wide = END64.unpack(read_at(file, end_at, END64.size))
    if mark != END64_MARK or end_at + 12 + length != locator_at:
        raise bad("its large-file record is broken")
    for small, large, most in zip(narrow, wide, (WIDE16,) * 4 + (WIDE32,) * 2, strict=True):
        if small not in (large, most):
            raise bad("its two ends contradict each other")
    disk, first_disk, rows_here, rows, size, start = wide
    if disk or first_disk or rows_here != rows:
        raise bad("it is one part of several")
    if start + size != end_at:
        raise bad("its directory is not where it should be")
    return End(start=start, size=size, rows=rows)


def _check_end(end: End, limits: Limits) -> End:
    if end.rows > limits.members:
        raise too_big(f"{end.rows} files and folders, and {limits.members} is the most")
    if end.size > limits.directory_bytes:
        raise too_big(f"a directory of {end.size / MIB:.0f} MiB")
    if end.rows * CENTRAL.size > end.size:
        raise bad("its directory is too short for what it promises")
    return end


def read_rows(file: BinaryIO, end: End) -> Iterator[Row]:
    """The directory's rows in order.

    Raises:
        ArchiveError: BAD_ARCHIVE, while iterating.
    """
    data = read_at(file, end.start, end.size)
    at = 0
    for _ in range(end.rows):
        row, at = _parse_row(data, at)
        yield row
    if at != len(data):
        raise bad("its directory has more members than it promises")


def _parse_row(data: bytes, at: int) -> tuple[Row, int]:
    if len(data) - at < CENTRAL.size or not data.startswith(CENTRAL_MARK, at):
        raise bad("its directory is broken")
    head = CENTRAL.unpack_from(data, at)
    system, flags, method, crc = head[2], head[5], head[6], head[9]
    packed, opened, name_bytes, extra_bytes, comment_bytes, disk, _, attributes, offset = head[10:]
    name_at = at + CENTRAL.size
    extra_at = name_at + name_bytes
    end = extra_at + extra_bytes + comment_bytes
    if end > len(data):
        raise bad("its directory is broken")
    extra = data[extra_at : extra_at + extra_bytes]
    opened, packed, offset, disk = widened(extra, opened, packed, offset, disk)
    name = data[name_at:extra_at]
    row = Row(name, system, flags, method, crc, packed, opened, disk, attributes, offset)
    return row, end


def widened(
    extra: bytes, opened: int, packed: int, offset: int = 0, disk: int = 0
) -> tuple[int, int, int, int]:
    """Sizes, offset and disk, each taken from the large-file field where it is marked as too wide."""
    wide = (opened == WIDE32, packed == WIDE32, offset == WIDE32, disk == WIDE16)
    if not any(wide):
        return opened, packed, offset, disk
    field = _wide_field(extra)
    figures = [opened, packed, offset, disk]
    at = 0
    for index, size in enumerate((8, 8, 8, 4)):
        if wide[index]:
            figures[index] = int.from_bytes(field[at : at + size], "little")
            at += size
    if at > len(field):
        raise bad("its large-file fields are broken")
    return figures[0], figures[1], figures[2], figures[3]


def _wide_field(extra: bytes) -> bytes:
    at = 0
    while at + 4 <= len(extra):
        tag, size = struct.unpack_from("<2H", extra, at)
        if tag == WIDE_TAG:
            return extra[at + 4 : at + 4 + size]
        at += 4 + size
    return b""
