"""At most one worker in one home: a lock that the system drops when its holder dies."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from hivemind_worker.model.task import Problem

LOCKED_BYTE = 4096  # beyond the text, as Windows locks bytes and would hide it from readers


class SingleInstance:
    """Holds the lock from `take` to `give_up` or the end of the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def take(self) -> Problem | None:
        """Take the lock, or name its holder; taking what is held already is fine.

        Raises:
            OSError: the lock file cannot be opened.
        """
        if self._file is not None:
            return None
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        file = os.fdopen(descriptor, "r+b")
        try:
            _lock(file)
        except OSError:
            holder = _holder(file.read(LOCKED_BYTE))
            file.close()
            return _taken(holder)
        content = json.dumps({"pid": os.getpid()}).encode()
        file.seek(0)
        file.write(content)  # over the old one: a full disk has no room for a new one
        file.flush()
        file.truncate(len(content))
        self._file = file
        return None

    def give_up(self) -> None:
        """Let another worker start here."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _taken(holder: str) -> Problem:
    # The window is painted before these are imported, and it is painted after the lock is held.
    from hivemind_worker.model.faults import FaultCode  # noqa: PLC0415
    from hivemind_worker.model.task import Problem  # noqa: PLC0415

    return Problem(code=FaultCode.ALREADY_RUNNING, about=holder)


def _holder(content: bytes) -> str:
    try:
        return f"process {int(json.loads(content)['pid'])}"
    except (ValueError, KeyError, TypeError):
        return "a process that has just started"


if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        file.seek(LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)

else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
