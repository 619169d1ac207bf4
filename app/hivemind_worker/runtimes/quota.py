"""How much disk a task's folders take. Blocks: call from a thread, at least once a second."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FILES_LIMIT = 60_000
_SECTOR_BYTES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Sum over files, links and folders. `unreadable`: nested so deep that it cannot be followed."""

    size_bytes: int
    files: int
    unreadable: bool = False

    def exceeds(self, limit_bytes: int) -> bool:
        """Whether the quota is broken: bytes, number of files, or depth."""
        return self.size_bytes > limit_bytes or self.files > FILES_LIMIT or self.unreadable


def measure(folders: Sequence[Path], limit_bytes: int, pids: Sequence[int] = ()) -> Taken:
    """Add up `folders`, links not followed, and stop as soon as a limit is broken.

    A file counts with its size or its blocks, whichever is more. Files that one
    of `pids` has deleted but holds open count as well (Linux).
    """
    size, files = _deleted_bytes(pids), 0
    waiting = [os.fspath(folder) for folder in folders]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):  # it went while we looked
                        size += _size_of(entry)
                        files += 1
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return Taken(size_bytes=size, files=files, unreadable=True)
        if size > limit_bytes or files > FILES_LIMIT:
            break
    return Taken(size_bytes=size, files=files)


def _size_of(entry: os.DirEntry[str]) -> int:
    found = entry.stat(follow_symlinks=False)
    return max(found.st_size, getattr(found, "st_blocks", 0) * _SECTOR_BYTES)


def _deleted_bytes(pids: Sequence[int]) -> int:
    """Each file once, however many hold it."""
    sizes: dict[tuple[int, int], int] = {}
    for pid in pids:
        folder = f"/proc/{pid}/fd"
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):  # noqa: PTH208 - names alone, and nothing where there is no /proc
                with contextlib.suppress(OSError):
                    path = f"{folder}/{name}"
                    if os.readlink(path).endswith(" (deleted)"):  # noqa: PTH115
                        found = os.stat(path)  # noqa: PTH116
                        sizes[found.st_dev, found.st_ino] = found.st_size
    return sum(sizes.values())
