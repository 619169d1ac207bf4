"""A received request onto the disk: checked, written and hashed in the files thread, never on the loop.

Owns the spool file until the handler is asked; from then on the handler does. Counterparts:
`pool.wire` (what the bytes mean), `pool.server` (when).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Offer, Problem
from hivemind_worker.pool.wire import read_execute_task

CHUNK_BYTES = 1 << 20
"""Written and hashed in pieces: each lets go of the interpreter lock, so the loop stays prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """An offer whose archive lies in `path`."""

    offer: Offer
    path: Path


def spool_request(message: list[bytes], folder: Path) -> Spooled | Problem:
    """Write the archive of an ExecuteTask to a new private file; blocks.

    `message` holds the request alone and is emptied, so that its memory is free when this
    returns, whoever else still holds the list.
    """
    request = read_execute_task(message.pop())
    if isinstance(request, Problem):
        return request
    path = folder / f"{secrets.token_hex(16)}.zip"
    try:
        digest = _write(request.archive, path)
    except OSError as error:
        remove(path)
        return _disk_problem(error)
    offer = Offer(
        task_id=request.task_id,
        body_sha256=digest,
        archive_bytes=len(request.archive),
        demand=request.demand,
    )
    return Spooled(offer=offer, path=path)


def _write(archive: memoryview, path: Path) -> str:
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 - a descriptor, not a path
        for start in range(0, len(archive), CHUNK_BYTES):
            piece = archive[start : start + CHUNK_BYTES]
            digest.update(piece)
            while piece:
                piece = piece[file.write(piece) or 0 :]
    return digest.hexdigest()


def _disk_problem(error: OSError) -> Problem:
    words = error.strerror or type(error).__name__
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return Problem(code=FaultCode.DISK_FULL if full else FaultCode.NO_PERMISSION, about=f"spool, {words}")


def remove(path: Path) -> None:
    """Remove a spool file; absent is fine."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
