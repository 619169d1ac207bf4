"""The bytes of one member, opened in small pieces and counted as they come: no header is believed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hivemind_worker.runtimes.workspace.limits import KIB
from hivemind_worker.runtimes.workspace.members import Member
from hivemind_worker.runtimes.workspace.refusals import bad, shown

PACKED_CHUNK = 64 * KIB
OPENED_CHUNK = 256 * KIB


def opened_archive(archive: Path) -> BinaryIO:
    """The archive's file, unbuffered: headers lie far apart, and a buffer would read 8 KiB around each.

    Raises:
        ArchiveError: BAD_ARCHIVE, it is not there.
        OSError: it cannot be read.
    """
    try:
        return archive.open("rb", buffering=0)
    except FileNotFoundError:
        raise bad("the file is not there") from None


def contents(file: BinaryIO, member: Member) -> Iterator[bytes]:
    """The member's bytes in pieces of at most 256 KiB; never more than the directory promises.

    Raises:
        ArchiveError: BAD_ARCHIVE while iterating, as soon as the bytes differ from the promise.
        OSError: the file cannot be read.
    """
    pieces = _inflated(file, member) if member.deflated else _packed(file, member)
    crc = 0
    count = 0
    for piece in pieces:
        count += len(piece)
        if count > member.opened_bytes:
            raise bad(f"{shown(member.name)} holds more than it says")
        crc = zlib.crc32(piece, crc)
        yield piece
    if count != member.opened_bytes:
        raise bad(f"{shown(member.name)} holds less than it says")
    if crc != member.crc:
        raise bad(f"{shown(member.name)} is damaged: its checksum is wrong")


def _packed(file: BinaryIO, member: Member) -> Iterator[bytes]:
    file.seek(member.start)
    left = member.packed_bytes
    while left:
        piece = file.read(min(left, PACKED_CHUNK))
        if not piece:
            raise bad("it ends in the middle")
        left -= len(piece)
        yield piece


def _inflated(file: BinaryIO, member: Member) -> Iterator[bytes]:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for packed in _packed(file, member):
            left = packed
            while left and not stream.eof:
                yield stream.decompress(left, OPENED_CHUNK)
                left = stream.unconsumed_tail
            if stream.unused_data:
                raise bad(f"{shown(member.name)} has something behind its end")
        while not stream.eof and (piece := stream.decompress(b"", OPENED_CHUNK)):
            yield piece
    except zlib.error:
        raise bad(f"{shown(member.name)} is damaged: it cannot be opened") from None
    if not stream.eof:
        raise bad(f"{shown(member.name)} is damaged: it ends too early")
