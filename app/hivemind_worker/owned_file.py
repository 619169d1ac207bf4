"""Small files that only their owner may read: tokens, logins, settings. Written whole or not at all.

Nothing here follows a link that lies in the way. Counterpart for folders: `places.own_folder`.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from pathlib import Path

MAX_BYTES = 65536


def lies_in_the_way(path: Path) -> bool:
    """Whether something is there that is not a file of our own: a link, a pipe, somebody else's file."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return not (stat.S_ISREG(status.st_mode) and _has_our_owner(status))


def clear_the_way(path: Path) -> bool:
    """Take away what lies in the way at `path`; whether there was such a thing.

    What a link leads to stays as it is; a folder stays in the way.

    Raises:
        OSError: it cannot be taken away.
    """
    if not lies_in_the_way(path):
        return False
    path.unlink()
    return True


def write_owned(path: Path, content: bytes) -> None:
    """Replace the file by `content`, mode 0600, never through a link, durable when it returns.

    Raises:
        OSError: nothing was changed.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(temporary, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise


def leftovers(path: Path) -> tuple[Path, ...]:
    """Unfinished copies that `write_owned` left beside the file when its process was killed."""
    shape = re.compile(re.escape(f".{path.name}.") + r"[0-9a-f]{16}")
    if not path.parent.is_dir():
        return ()
    return tuple(each for each in path.parent.iterdir() if shape.fullmatch(each.name))


def read_owned(path: Path) -> bytes | None:
    """The content, or None when the file is absent, a link, too long, or open to anybody else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not _is_ours(os.fstat(file.fileno())):
            return None
        content = file.read(MAX_BYTES + 1)
    return content if len(content) <= MAX_BYTES else None


def _is_ours(status: os.stat_result) -> bool:
    if not stat.S_ISREG(status.st_mode):
        return False
    if os.name != "posix":  # there the folder's access list keeps others out
        return True
    return _has_our_owner(status) and not status.st_mode & 0o077


def _has_our_owner(status: os.stat_result) -> bool:
    return os.name != "posix" or status.st_uid == os.geteuid()
