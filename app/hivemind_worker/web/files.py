"""A task's files for an answer: pieces of its output log, and its result as a stream. All calls block."""

from __future__ import annotations

import codecs
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

PIECE_BYTES = 256 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPiece:
    """Text from an offset, and the offset after it, in bytes. `kept`: the log exists."""

    text: str
    next_offset: int
    size: int
    kept: bool

    @property
    def at_end(self) -> bool:
        return self.next_offset >= self.size


def read_log(path: Path, offset: int, limit: int, *, final: bool) -> LogPiece:
    """At most `limit` bytes as text, wrong bytes replaced; a letter that is cut is left for the next piece.

    `final`: nothing will be added, so that a cut letter at the end is a wrong one.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(offset)
            content = file.read(limit)
    except OSError:
        return LogPiece(text="", next_offset=offset, size=0, kept=False)
    size = max(size, offset + len(content))
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(content, final and offset + len(content) >= size)
    pending = len(decoder.getstate()[0])
    return LogPiece(text=text, next_offset=offset + len(content) - pending, size=size, kept=True)


def file_bytes(path: Path) -> int | None:
    """Size of a file, or None when there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def open_result(path: Path) -> tuple[BinaryIO, int] | None:
    """The packed result and its size, or None when it is not there. The caller closes it."""
    try:
        file = path.open("rb")
    except OSError:
        return None
    return file, os.fstat(file.fileno()).st_size


class WholeLines:
    """Bytes of a log of known size, piece by piece, as text that ends with a line: what is cut waits for the
    next piece, unless a line is longer than that."""

    def __init__(self, size: int) -> None:
        self._left, self._held = size, ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, piece: bytes) -> str:
        """The lines that are whole with this piece; with the last one all that is left."""
        self._left -= len(piece)
        text = self._held + self._decoder.decode(piece, self._left <= 0)
        end = text.rfind("\n") + 1
        if self._left <= 0 or not end:
            end = len(text)
        self._held = text[end:]
        return text[:end]
