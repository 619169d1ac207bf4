"""A zip file in the making: written beside its target, moved there only when it is whole.

Own writing instead of `zipfile`: a member that fails half-way is taken back, and the size is bounded at
every step. Never needs the large-file form: results stay under 4 GiB and 65,535 members.
Layout: APPNOTE.TXT 4.3.
"""

from __future__ import annotations

import os
import stat
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from hivemind_worker.runtimes.workspace.limits import KIB

LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
VERSION = 20
MADE_BY_UNIX = 3 << 8 | VERSION
UTF8_FLAG = 0x0800
STORED = 0
DEFLATED = 8
LEVEL = 3  # measured on tables of text: nearly three times as fast as 6, and 5 % larger
CHUNK = 256 * KIB
CRC_AT = 14  # where a local header has its checksum and sizes
EARLIEST_S = 315_619_200  # 1980-01-02 UTC: the format begins in 1980
LATEST_S = 4_354_732_800  # 2107-12-30 UTC: and ends in 2107
# Suffixes of what is packed already: trying again costs time and gains nothing.
DENSE = (
    *(".7z", ".avif", ".br", ".bz2", ".docx", ".flac", ".gif", ".gz", ".heic", ".jpeg", ".jpg", ".lz4"),
    *(".lzma", ".m4a", ".mkv", ".mov", ".mp3", ".mp4", ".odt", ".ogg", ".opus", ".parquet", ".png"),
    *(".rar", ".tgz", ".webm", ".webp", ".whl", ".xlsx", ".xz", ".zip", ".zst"),
)

Read = Callable[[int], bytes]


class Overfull(Exception):  # noqa: N818 - not a fault: the caller asks for it
    """The next piece would make the archive larger than it may be."""


class Unreadable(Exception):  # noqa: N818 - one file less in the archive, not a fault
    """The source of a member cannot be read; its words are those of the system."""


class Record(NamedTuple):
    """What the directory will say of one member."""

    name: bytes
    flags: int
    method: int
    stamp: tuple[int, int]
    mode: int
    crc: int
    packed: int
    opened: int
    offset: int


class Draft:
    """Use as a context manager: what is not finished leaves no file.

    All calls may raise OSError (the disk of the archive) and Overfull.
    """

    def __init__(self, target: Path, limit_bytes: int) -> None:
        self._target = target
        self._part = target.with_name(target.name + ".part")
        self._limit = limit_bytes
        self._records: list[Record] = []
        self._directory_bytes = END.size
        self._part.unlink(missing_ok=True)  # of an earlier life of the worker
        self._file = open(self._part, "xb")  # noqa: SIM115, PTH123 - closed by __exit__
        if os.name == "posix":
            os.fchmod(self._file.fileno(), 0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError:
            if kind is None:
                raise
        finally:
            self._part.unlink(missing_ok=True)

    def add_bytes(self, name: str, content: bytes) -> None:
        """Add a file of ours."""
        pieces = iter([content])
        self.add(name, lambda _size: next(pieces, b""), len(content), time.time())

    def add_folder(self, name: str, modified_s: float) -> None:
        """Add an empty folder."""
        start = self._begin(f"{name}/".encode())
        mode = stat.S_IFDIR | 0o755
        record = Record(f"{name}/".encode(), _flags(name), STORED, _stamp(modified_s), mode, 0, 0, 0, start)
        self._file.write(_local(record))
        self._end(record)

    def add(self, name: str, read: Read, size: int, modified_s: float, *, executable: bool = False) -> None:
        """Add at most `size` bytes that `read(n)` gives until it gives none.

        When this raises, the archive is as it was before.

        Raises:
            Unreadable: `read` failed.
        """
        raw = name.encode()
        start = self._begin(raw)
        try:
            at = start + LOCAL.size + len(raw)
            method, crc, packed, opened, first = self._content(name, _guarded(read), size, at)
            mode = stat.S_IFREG | (0o755 if executable else 0o644)
            record = Record(raw, _flags(name), method, _stamp(modified_s), mode, crc, packed, opened, start)
            self._file.seek(start)
            self._file.write(_local(record) + first)
            self._file.seek(0, os.SEEK_END)
            self._end(record)
        except BaseException:
            self._take_back(start)
            raise

    def _content(self, name: str, read: Read, size: int, at: int) -> tuple[int, int, int, int, bytes]:
        """Write large contents from `at` on; small ones are returned, to be written with their header."""
        head = read(min(size, CHUNK))
        dense = name.lower().endswith(DENSE) or _is_dense(head)
        packer = None if dense else zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        method = STORED if dense else DEFLATED
        if len(head) == size or not head:
            body = head if packer is None else packer.compress(head) + packer.flush()
            if len(body) >= len(head):
                method, body = STORED, head
            self._check_room(at + len(body))
            return method, zlib.crc32(head), len(body), len(head), body
        self._file.seek(at)
        crc, packed, opened = 0, 0, 0
        for piece in _pieces(head, read, size):
            crc = zlib.crc32(piece, crc)
            opened += len(piece)
            packed += self._put(piece if packer is None else packer.compress(piece), at + packed)
        if packer is not None:
            packed += self._put(packer.flush(), at + packed)
        return method, crc, packed, opened, b""

    def _put(self, piece: bytes, at: int) -> int:
        self._check_room(at + len(piece))
        self._file.write(piece)
        return len(piece)

    def _begin(self, raw_name: bytes) -> int:
        self._directory_bytes += CENTRAL.size + len(raw_name)
        start = self._file.tell()
        try:
            self._check_room(start + LOCAL.size + len(raw_name))
        except Overfull:
            self._directory_bytes -= CENTRAL.size + len(raw_name)
            raise
        return start

    def _end(self, record: Record) -> None:
        self._records.append(record)

    def _take_back(self, start: int) -> None:
        self._directory_bytes = END.size + sum(CENTRAL.size + len(record.name) for record in self._records)
        self._file.seek(start)
        self._file.truncate()

    def names(self) -> Iterator[str]:
        """What is in the archive so far."""
        return (record.name.decode() for record in self._records)

    def _check_room(self, size: int) -> None:
        if size + self._directory_bytes > self._limit:
            raise Overfull

    def finish(self) -> int:
        """Write the directory, make all durable, move the file to its target; returns its size."""
        start = self._file.tell()
        for record in self._records:
            self._file.write(_central(record))
        size = self._file.tell() - start
        count = len(self._records)
        self._file.write(END.pack(b"PK\x05\x06", 0, 0, count, count, size, start, 0))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self._target)
        _sync_folder(self._target.parent)
        return start + size + END.size


def _guarded(read: Read) -> Read:
    """Tell trouble with the source from trouble with the archive's own disk."""

    def guarded(size: int) -> bytes:
        try:
            return read(size)
        except OSError as error:
            raise Unreadable((error.strerror or str(error)).lower()) from error

    return guarded


def _pieces(head: bytes, read: Read, size: int) -> Iterator[bytes]:
    """`head` and what follows, up to `size`: a file that grows while it is read ends where it did."""
    yield head
    left = size - len(head)
    while left > 0 and (piece := read(min(left, CHUNK))):
        left -= len(piece)
        yield piece


def _is_dense(head: bytes) -> bool:
    """Whether deflate gains next to nothing on the first 64 KiB (noise, or packed already)."""
    sample = head[: 64 * KIB]
    return len(sample) >= 4 * KIB and len(zlib.compress(sample, 1)) > 0.97 * len(sample)


def _flags(name: str) -> int:
    return 0 if name.isascii() else UTF8_FLAG


def _stamp(modified_s: float) -> tuple[int, int]:
    """Date and time of the format: local time in steps of 2 s, as every unpacker reads it."""
    bounded = min(max(modified_s, EARLIEST_S), LATEST_S)
    at = time.localtime(bounded)
    return (
        at.tm_year - 1980
    ) << 9 | at.tm_mon << 5 | at.tm_mday, at.tm_hour << 11 | at.tm_min << 5 | at.tm_sec // 2


def _local(record: Record) -> bytes:
    date, clock = record.stamp
    sizes = (record.crc, record.packed, record.opened)
    head = (b"PK\x03\x04", VERSION, record.flags, record.method, clock, date, *sizes, len(record.name), 0)
    return LOCAL.pack(*head) + record.name


def _central(record: Record) -> bytes:
    date, clock = record.stamp
    head = (b"PK\x01\x02", MADE_BY_UNIX, VERSION, record.flags, record.method, clock, date)
    sizes = (record.crc, record.packed, record.opened, len(record.name), 0, 0, 0, 0)
    return CENTRAL.pack(*head, *sizes, record.mode << 16, record.offset) + record.name


def _sync_folder(folder: Path) -> None:
    """Make the new name durable, where folders can be opened for that."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
