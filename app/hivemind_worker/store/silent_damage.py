"""Damage that SQLite does not speak of: a log that it stops taking half way, a file without its end.

It ends at the first frame of the log whose checksum is wrong and forgets what follows without a
word; a missing page reads as zeros; a file whose header asks for a later version of SQLite can be
read and not written. Layouts: sqlite.org/walformat.html and fileformat2.html.
"""

from __future__ import annotations

import contextlib
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path

FILE_HEADER_BYTES, HEADER_BYTES, FRAME_HEADER_BYTES = 100, 32, 24
PAGE_SIZE_AT, SALTS_AT = 8, 16
VERSIONS, KNOWN_VERSIONS = slice(18, 20), (b"\x01\x01", b"\x02\x02")
MX_FRAME_AT = 16  # of the index file (-shm), in the machine's own byte order
PAGE_SIZES = frozenset(1 << n for n in range(9, 17))


def silent_damage(path: Path) -> str:
    """What is wrong with the journal at `path`, or "". To be called while nobody has it open."""
    if lost := lost_commits(path):
        return f"the last {lost} writes to it cannot be read"
    if _is_cut(path):
        return "its end is missing"
    return "its header is damaged" if _is_shut(path) else ""


def _is_shut(path: Path) -> bool:
    """Whether SQLite would refuse to write to it, by the versions in its header."""
    header = _header(path)
    if len(header) < FILE_HEADER_BYTES or header[VERSIONS] in KNOWN_VERSIONS:
        return False
    return all(page != 1 for page, _ in _frames(Path(f"{path}-wal")))  # else the log has a good one


def _is_cut(path: Path) -> bool:
    """Whether the file is shorter than its own header says; the log of a crash may hold the rest."""
    log = Path(f"{path}-wal")
    if not path.exists() or (log.exists() and log.stat().st_size):
        return False
    header = _header(path)
    if not header.startswith(b"SQLite format 3"[: len(header)]):
        return False  # no journal at all: opening it will tell
    if len(header) < FILE_HEADER_BYTES:
        return bool(header)
    page_bytes = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big")
    return path.stat().st_size < pages * (65536 if page_bytes == 1 else page_bytes)


def _header(path: Path) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        return file.read(FILE_HEADER_BYTES)


def lost_commits(path: Path) -> int:
    """How many transactions stand in the log of the journal at `path` that SQLite does not take.

    To be called while nobody has the journal open; 0 also when there is no log.
    """
    try:
        commits = _commits(Path(f"{path}-wal"))
        if not commits:
            return 0
        taken = _taken(path)
    except (OSError, sqlite3.Error, struct.error, UnicodeDecodeError):
        return 0  # opening it will tell
    return sum(number > taken for number in commits)


def _commits(log: Path) -> list[int]:
    """Numbers from 1 of the frames that end a transaction, of the log's present generation."""
    return [number for number, (_, ends) in enumerate(_frames(log), 1) if ends]


def _frames(log: Path) -> Iterator[tuple[int, bool]]:
    """Which page each frame of the log holds, and whether it ends a transaction of the present generation."""
    if not log.exists():
        return
    with log.open("rb") as file:
        header = file.read(HEADER_BYTES)
        if len(header) < HEADER_BYTES:
            return
        page_bytes = int.from_bytes(header[PAGE_SIZE_AT : PAGE_SIZE_AT + 4], "big")
        frame_bytes = FRAME_HEADER_BYTES + (page_bytes if page_bytes in PAGE_SIZES else 4096)
        salts = {header[SALTS_AT : SALTS_AT + 8]}
        whole = (log.stat().st_size - HEADER_BYTES) // frame_bytes
        for number in range(1, whole + 1):
            file.seek(HEADER_BYTES + (number - 1) * frame_bytes)
            frame = file.read(FRAME_HEADER_BYTES)
            if number == 1:
                salts.add(frame[8:16])  # of this generation as well, unless one of the two is damaged
            ours = frame[8:16] in salts
            yield int.from_bytes(frame[:4], "big") if ours else 0, ours and frame[4:8] != bytes(4)


def _taken(path: Path) -> int:
    """The number of frames that SQLite takes, as it tells all who share the journal."""
    # Read only: the last connection to close would fold the log in, and with it what a copy should keep.
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        index = Path(f"{path}-shm").read_bytes()[: MX_FRAME_AT + 4]
        return int(struct.unpack_from("=I", index, MX_FRAME_AT)[0])
