"""How far a task's output has gone, in a small file beside its log: a later life goes on from there.

Two records, each with one writer at a time and each written by one call: the log's (with the
sandbox's own mark) and the pool's. What a power cut does to it does not matter, as no program
outlives one. Blocking calls, for the files thread.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from dataclasses import dataclass, replace
from pathlib import Path

RECORD_BYTES = 8192
RESENT_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """`log_bytes` of the file hold `fed_bytes` of the output; `is_whole`: all of it, no mark between."""

    log_bytes: int = 0
    fed_bytes: int = 0
    is_whole: bool = True
    dropped_bytes: int = 0
    sent_bytes: int = 0
    mark: bytes = b""


class Bookmark:
    """One for a run. `kept` is what an earlier life noted, `unsent` what of the log the pool has not got."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._is_closed = False
        self._lock = threading.Lock()
        self.kept = Kept()
        self.unsent: bytes | None = b""

    @property
    def is_kept(self) -> bool:
        """Whether this run, or its earlier life, noted anything: a sandbox without marks never does."""
        return self._file is not None or self.kept != Kept()

    def note_log(self, kept: Kept) -> None:
        """The log's record; called after the log has been written."""
        fields = {"log": kept.log_bytes, "fed": kept.fed_bytes, "whole": kept.is_whole,
                  "dropped": kept.dropped_bytes, "mark": kept.mark.hex()}  # fmt: skip
        self._put(0, fields)

    def note_sent(self, sent_bytes: int) -> None:
        """The pool's record; called before it is sent, so that a crash meanwhile repeats nothing."""
        if self.is_kept:
            self._put(RECORD_BYTES, {"sent": sent_bytes})

    def _put(self, at: int, fields: dict[str, object]) -> None:
        with self._lock, contextlib.suppress(OSError):  # a full disk: a crash now would repeat some lines
            if self._is_closed:
                return
            if self._file is None:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
            os.lseek(self._file, at, os.SEEK_SET)
            os.write(self._file, json.dumps(fields).encode().ljust(RECORD_BYTES))

    def take_up(self, log: Path) -> None:
        """Read what an earlier life noted, and cut off what of `log` lies behind it."""
        self.kept = self._read()
        with contextlib.suppress(FileNotFoundError):
            os.truncate(log, min(self.kept.log_bytes, log.stat().st_size))
        self.unsent = self._unsent(log)

    def _read(self) -> Kept:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            content = self._path.read_bytes()
            noted = json.loads(content[:RECORD_BYTES])
            kept = Kept(
                log_bytes=int(noted["log"]), fed_bytes=int(noted["fed"]), is_whole=bool(noted["whole"]),
                dropped_bytes=int(noted["dropped"]), mark=bytes.fromhex(noted["mark"]),
            )  # fmt: skip
            sent = json.loads(content[RECORD_BYTES:] or b"{}").get("sent", 0)
            return replace(kept, sent_bytes=min(int(sent), kept.fed_bytes))
        return Kept()

    def _unsent(self, log: Path) -> bytes | None:
        """None when the log cannot tell, or it is more than is worth sending."""
        missing = self.kept.fed_bytes - self.kept.sent_bytes
        if not missing:
            return b""
        if not self.kept.is_whole or missing > RESENT_BYTES:
            return None
        with contextlib.suppress(OSError), log.open("rb") as file:
            file.seek(self.kept.sent_bytes)
            return file.read(missing)
        return None

    def close(self) -> None:
        """Let go of the file; nothing is noted any more."""
        with self._lock:
            self._is_closed = True
            if self._file is not None:
                os.close(self._file)
                self._file = None
