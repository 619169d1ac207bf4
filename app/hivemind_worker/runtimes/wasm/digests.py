"""SHA-256 of large files, counted once: a file that has not changed since is not read again.

What is remembered lies in one private JSON file of the sandbox folder. It guards against files
damaged or swapped by accident or by another program; whoever may write this folder is the owner.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path


def sha256_of(path: Path) -> str:
    """The digest of a file's bytes, in hex.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_private(path: Path, text: str) -> None:
    """Replace a small file in one step, readable by its owner alone.

    Raises:
        OSError: it cannot be written.
    """
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    with contextlib.suppress(FileNotFoundError):
        unfinished.unlink()
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
    unfinished.replace(path)


class DigestBook:
    """Remembers digests by path, size, time of change and inode. One thread at a time."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, list[object]] = _read(file)

    def sha256(self, path: Path) -> str:
        """The digest of `path`, counted only when the file is not as it was.

        Raises:
            OSError: it cannot be read.
        """
        stamp = _stamp(path)
        known = self._known.get(str(path))
        if known is not None and known[:-1] == stamp:
            return str(known[-1])
        digest = sha256_of(path)
        self._known[str(path)] = [*stamp, digest]
        with contextlib.suppress(OSError):  # what cannot be remembered is counted again
            write_private(self._file, json.dumps(self._known))
        return digest


def _stamp(path: Path) -> list[object]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ino]


def _read(file: Path) -> dict[str, list[object]]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {path: entry for path, entry in found.items() if isinstance(entry, list) and entry}
