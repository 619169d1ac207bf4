"""The members of an archive after every check that needs no unpacking: kinds, names, sizes, places.

Reads the directory and the local headers, never a member's bytes. Counterpart: `reading` (the bytes).
"""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass
from typing import BinaryIO

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.runtimes.workspace.directory import Row, read_at, read_end, read_rows, widened
from hivemind_worker.runtimes.workspace.limits import MIB, Limits
from hivemind_worker.runtimes.workspace.names import NameBook
from hivemind_worker.runtimes.workspace.refusals import ArchiveError, bad, shown, too_big, unsafe

LOCAL = struct.Struct("<4s5H3L2H")
LOCAL_MARK = b"PK\x03\x04"
STORED = 0
DEFLATED = 8
AES = 99
ENCRYPTED_FLAGS = 0x0001 | 0x0040 | 0x2000  # classic, strong, hidden headers
STREAMED_FLAG = 0x0008
PATCH_FLAG = 0x0020
UTF8_FLAG = 0x0800
UNIX_SYSTEMS = (3, 19)  # only these keep Unix permissions in the upper half of the attributes
KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file or folder that may be unpacked. `start` is where its packed bytes begin in the file."""

    name: str
    is_folder: bool
    executable: bool
    deflated: bool
    crc: int
    packed_bytes: int
    opened_bytes: int
    offset: int
    start: int


def read_members(file: BinaryIO, limits: Limits) -> tuple[Member, ...]:
    """All members, in the directory's order, after all checks that need no unpacking.

    Raises:
        ArchiveError: the archive is refused.
        OSError: the file cannot be read.
    """
    end = read_end(file, limits)
    book = NameBook(limits)
    members = []
    opened = 0
    for row in read_rows(file, end):
        member = _member(file, row, end.start)
        book.add(member.name, is_folder=member.is_folder)
        _check_size(member, limits)
        opened += member.opened_bytes
        members.append(member)
    if opened > limits.opened_bytes:
        raise too_big(
            f"it opens to {opened / MIB:.0f} MiB, and {limits.opened_bytes / MIB:.0f} MiB is the most"
        )
    _check_overlap(members)
    return tuple(members)


def _member(file: BinaryIO, row: Row, directory_start: int) -> Member:
    _check_method(row)
    name = _name_of(row)
    is_folder = _check_kind(row, name)
    # Before anything is read there: an offset can be larger than a file can be.
    if row.offset >= directory_start:
        raise bad(f"{shown(name)} is not where the directory says")
    start = _data_start(file, row)
    if start + row.packed_bytes > directory_start:
        raise bad(f"{shown(name)} lies beyond the end of the files")
    mode = row.attributes >> 16 if row.system in UNIX_SYSTEMS else 0
    return Member(
        name=name.removesuffix("/"),
        is_folder=is_folder,
        executable=bool(mode & 0o111) and not is_folder,
        deflated=row.method == DEFLATED,
        crc=row.crc,
        packed_bytes=row.packed_bytes,
        opened_bytes=row.opened_bytes,
        offset=row.offset,
        start=start,
    )


def _check_method(row: Row) -> None:
    if row.flags & ENCRYPTED_FLAGS or row.method == AES:
        raise ArchiveError(FaultCode.ENCRYPTED, shown(row.name))
    if row.method not in (STORED, DEFLATED):
        raise bad(f"{shown(row.name)} is packed by method {row.method}; only store and deflate are read")
    if row.flags & PATCH_FLAG or row.disk:
        raise bad(f"{shown(row.name)} is only a part of a file")
    if row.method == STORED and row.packed_bytes != row.opened_bytes:
        raise bad(f"{shown(row.name)} has two sizes")


def _name_of(row: Row) -> str:
    """The directory's name alone decides; other names (the Unicode path field) are not read."""
    try:
        return row.name.decode("utf-8")
    except UnicodeDecodeError:
        if row.flags & UTF8_FLAG:
            raise unsafe(row.name, "is not valid UTF-8") from None
        return row.name.decode("cp437")


def _check_kind(row: Row, name: str) -> bool:
    is_folder = name.endswith("/")
    kind = stat.S_IFMT(row.attributes >> 16)
    if kind in KINDS:
        raise bad(f"{shown(name)} is {KINDS[kind]}, and only files and folders are taken")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or (kind == stat.S_IFDIR and not is_folder):
        raise bad(f"{shown(name)} is neither a file nor a folder")
    if is_folder and row.opened_bytes:
        raise bad(f"{shown(name)} is a folder with contents of a file")
    return is_folder


def _data_start(file: BinaryIO, row: Row) -> int:
    head = read_at(file, row.offset, LOCAL.size + len(row.name))
    mark, _, flags, method, _, _, crc, packed, opened, name_bytes, extra_bytes = LOCAL.unpack_from(head)
    if mark != LOCAL_MARK:
        raise bad(f"{shown(row.name)} is not where the directory says")
    if name_bytes != len(row.name) or not head.endswith(row.name):
        raise bad(f"{shown(row.name)} has another name at its own place")
    if flags & ENCRYPTED_FLAGS:
        raise ArchiveError(FaultCode.ENCRYPTED, shown(row.name))
    name_end: int = row.offset + len(head)
    if not flags & STREAMED_FLAG:
        extra = read_at(file, name_end, extra_bytes)
        opened, packed, _, _ = widened(extra, opened, packed)
        _check_same(row, method, crc, packed, opened)
    return name_end + int(extra_bytes)


def _check_same(row: Row, method: int, crc: int, packed: int, opened: int) -> None:
    if (method, crc, packed, opened) != (row.method, row.crc, row.packed_bytes, row.opened_bytes):
        raise bad(f"{shown(row.name)} is described in two ways")


def _check_size(member: Member, limits: Limits) -> None:
    opened = member.opened_bytes
    if opened > limits.member_bytes:
        most = limits.member_bytes / MIB
        raise too_big(f"{shown(member.name)} opens to {opened / MIB:.0f} MiB, and {most:.0f} MiB is the most")
    if opened > limits.ratio_free_bytes and opened > member.packed_bytes * limits.ratio:
        raise too_big(f"{shown(member.name)} opens to more than {limits.ratio} times its size")


def _check_overlap(members: list[Member]) -> None:
    end = 0
    for member in sorted(members, key=lambda member: member.offset):
        if member.offset < end:
            raise bad(f"{shown(member.name)} shares its bytes with another file")
        end = member.start + member.packed_bytes
