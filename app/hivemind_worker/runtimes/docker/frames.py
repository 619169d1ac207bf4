"""Takes the engine's output stream apart: many frames at a time, since a frame may be one short line.

Pure: bytes in, pieces out. A frame is a byte for the stream (1 output, 2 error output), three
empty ones, four for the length, then the content (Docker Engine API, "attach to a container").
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

OUT, ERR = 0, 1
LONGEST_LINE_BYTES = 16 * 1024
_HEADER = struct.Struct(">BxxxI")
_HEADER_BYTES = _HEADER.size

Piece = tuple[int, bytes]
"""A stream (OUT or ERR) and what came of it."""


class Frames:
    """Gives what came, in order, neighbours of one stream joined. Content of a cut frame is given at once."""

    def __init__(self) -> None:
        self._rest = b""
        self._left = 0  # of a frame whose beginning has been given
        self._stream = OUT

    def feed(self, data: bytes) -> list[Piece]:
        """Pieces of `data`, which may be cut anywhere."""
        buffer = self._rest + data if self._rest else data
        given: list[Piece] = []
        parts: list[bytes] = []
        current, at, end = self._stream, 0, len(buffer)
        if self._left:
            at = min(self._left, end)
            parts.append(buffer[:at])
            self._left -= at
        unpack = _HEADER.unpack_from
        while end - at >= _HEADER_BYTES:  # the hot loop: a few hundred nanoseconds a frame
            kind, size = unpack(buffer, at)
            stream = ERR if kind == 2 else OUT
            if stream != current:
                if parts:
                    given.append((current, b"".join(parts)))
                    parts = []
                current = stream
            at += _HEADER_BYTES
            stop = at + size
            parts.append(buffer[at:stop])
            if stop > end:
                self._left = stop - end
                at = end
                break
            at = stop
        if parts:
            given.append((current, b"".join(parts)))
        self._stream = current
        self._rest = buffer[at:]
        return [piece for piece in given if piece[1]]


class Lines:
    """Keeps the two streams from meeting inside a line. A line that grows too long is given in pieces."""

    def __init__(self) -> None:
        self._held = [b"", b""]

    @property
    def holds(self) -> bool:
        """Whether a line has begun that was not given yet."""
        return any(self._held)

    def feed(self, pieces: Iterable[Piece]) -> list[Piece]:
        """Whole lines, in the order in which they were completed."""
        given: list[Piece] = []
        for kind, data in pieces:
            whole = self._held[kind] + data if self._held[kind] else data
            cut = whole.rfind(b"\n") + 1
            if len(whole) - cut > LONGEST_LINE_BYTES:
                cut = len(whole)
            if cut:
                given.append((kind, whole[:cut]))
            self._held[kind] = whole[cut:]
        return given

    def rest(self) -> list[Piece]:
        """What is held, as it is: nothing more comes now, or ever."""
        held, self._held = self._held, [b"", b""]
        return [(kind, data) for kind, data in enumerate(held) if data]


class Messages:
    """Gives each frame by itself and whole, as the engine's log keeps its messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Piece]:
        """The frames that are complete with `data`, which may be cut anywhere."""
        buffer, at, end = self._rest + data, 0, len(self._rest) + len(data)
        given: list[Piece] = []
        while end - at >= _HEADER_BYTES:
            kind, size = _HEADER.unpack_from(buffer, at)
            stop = at + _HEADER_BYTES + size
            if stop > end:
                break
            given.append((ERR if kind == 2 else OUT, buffer[at + _HEADER_BYTES : stop]))
            at = stop
        self._rest = buffer[at:]
        return given


class Chunks:
    """Undoes HTTP's chunked transfer, which the engine uses for logs: the SDK does it line by line."""

    def __init__(self) -> None:
        self._rest = b""
        self._left = 0
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        """The content of `data`, which may be cut anywhere."""
        buffer = self._rest + data if self._rest else data
        parts: list[bytes] = []
        at, end = 0, len(buffer)
        while not self.ended:
            if self._left > 2:  # content, then the line end of two bytes that closes a chunk
                take = min(self._left - 2, end - at)
                parts.append(buffer[at : at + take])
                at += take
                self._left -= take
                if self._left > 2:
                    break
            if self._left:
                skip = min(self._left, end - at)
                at += skip
                self._left -= skip
                if self._left:
                    break
            line_end = buffer.find(b"\r\n", at)
            if line_end < 0:
                break
            size = int(buffer[at:line_end].split(b";")[0], 16)
            at = line_end + 2
            self.ended = size == 0
            self._left = size + 2
        self._rest = b"" if self.ended else buffer[at:]
        return b"".join(parts)
