"""How far a container's output has been handed over: a later life goes on there, from the engine's own log.

Pure. The two streams are counted apart: live they come in another order than they stand in the log.
A stream's last bytes are kept as well: they show whether the log still begins where the output did.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hivemind_worker.runtimes.docker.frames import Piece

TAIL_BYTES = 1024
PARTIAL_BYTES = 16 * 1024
"""The engine cuts longer lines into messages of this size."""


@dataclass(slots=True)
class _Stream:
    count: int = 0
    tail: bytes = b""

    def take(self, data: bytes) -> None:
        self.count += len(data)
        self.tail = data[-TAIL_BYTES:] if len(data) >= TAIL_BYTES else (self.tail + data)[-TAIL_BYTES:]


@dataclass(slots=True)
class Position:
    """Bytes handed over of each stream, and the running time so far; `at_s` is when that was counted."""

    streams: tuple[_Stream, _Stream] = field(default_factory=lambda: (_Stream(), _Stream()))
    running_s: float = 0.0
    at_s: float = 0.0

    def take(self, pieces: Iterable[Piece]) -> None:
        """These have been handed over."""
        for stream, data in pieces:
            self.streams[stream].take(data)

    @property
    def total_bytes(self) -> int:
        return sum(stream.count for stream in self.streams)

    def mark(self) -> bytes:
        """All of it as bytes, for `read_mark`."""
        streams = [[one.count, base64.b85encode(one.tail).decode()] for one in self.streams]
        return json.dumps([*streams, round(self.running_s, 3), round(self.at_s, 3)]).encode()


def read_mark(mark: bytes) -> Position:
    """The position that was written down; the beginning when there is none or it is not one of ours."""
    try:
        noted: Any = json.loads(mark) if mark else [[0, ""], [0, ""], 0.0, 0.0]
        out, err = (_Stream(int(count), base64.b85decode(tail)) for count, tail in noted[:2])
        return Position((out, err), float(noted[2]), float(noted[3]))
    except (ValueError, TypeError, KeyError, IndexError):
        return Position()


class Replay:
    """Leaves out of an engine's log, read from its beginning, what has been handed over already."""

    def __init__(self, position: Position) -> None:
        self._skips = tuple(_Skip(stream.count, stream.tail) for stream in position.streams)

    def feed(self, frames: Iterable[Piece]) -> list[Piece]:
        """What is new of these messages, each as the engine keeps it.

        Raises:
            MisplacedError: the log does not have what was handed over where it should be.
        """
        return [(kind, new) for kind, data in frames if (new := self._skips[kind].feed(data))]

    @property
    def is_short(self) -> bool:
        """Whether the log had less than was handed over: its beginning is gone."""
        return any(skip.left for skip in self._skips)


class MisplacedError(Exception):
    """The engine's log does not begin where the output did: it was full, and its beginning is gone."""


class _Skip:
    def __init__(self, count: int, tail: bytes) -> None:
        self.left = count
        self._expected = tail
        self._seen = b""
        self._cut_short = False

    def feed(self, data: bytes) -> bytes:
        data = self._mended(data)
        if not self.left:
            return data
        skipped, new = data[: self.left], data[self.left :]
        self.left -= len(skipped)
        self._seen = (self._seen + skipped)[-TAIL_BYTES:]
        if not self.left and not self._seen.endswith(self._expected):
            raise MisplacedError
        return new

    def _mended(self, data: bytes) -> bytes:
        """The engine's `local` log loses the line end after a line that it had cut into several."""
        before, ends = self._cut_short, data.endswith(b"\n")
        self._cut_short = not ends and len(data) < PARTIAL_BYTES
        return b"\n" + data if before else data


def found_behind(log: Iterable[Piece], position: Position) -> tuple[Position, bool]:
    """Where in this log, whose beginning is gone, the output stood; False: it is not in there any more."""
    whole: tuple[list[bytes], list[bytes]] = ([], [])
    menders = (_Skip(0, b""), _Skip(0, b""))
    for kind, data in log:
        whole[kind].append(menders[kind].feed(data))
    places = [_place(b"".join(parts), stream) for parts, stream in zip(whole, position.streams, strict=True)]
    streams = tuple(
        _Stream(place or 0, stream.tail if place else b"")
        for place, stream in zip(places, position.streams, strict=True)
    )
    return Position((streams[0], streams[1]), position.running_s, position.at_s), None not in places


def _place(log: bytes, stream: _Stream) -> int | None:
    if not stream.count:
        return 0
    at = log.rfind(stream.tail)
    return None if at < 0 else at + len(stream.tail)
