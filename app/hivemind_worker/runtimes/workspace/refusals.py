"""The one exception of this room, and the words for what the operating system says.

`ArchiveError` never leaves the room: the doors in `__init__` turn it into its `Problem`.
"""

from __future__ import annotations

import errno

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem

SHOWN_NAME = 80
SHOWN_ABOUT = 240

FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
BAD_NAME = {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EEXIST, errno.ENOTDIR, errno.EISDIR}


class ArchiveError(Exception):
    """An archive is refused, or this computer cannot hold it; `problem` says why."""

    def __init__(self, code: FaultCode, about: str) -> None:
        super().__init__(about)
        self.problem = Problem(code=code, about=about[:SHOWN_ABOUT])


def shown(untrusted_name: str | bytes) -> str:
    """A name as plain ASCII on one line, cut: safe in logs, pages and terminals."""
    text = ascii(untrusted_name)
    return text if len(text) <= SHOWN_NAME else f"{text[: SHOWN_NAME - 3]}..."


def bad(about: str) -> ArchiveError:
    """The archive is not what a zip file has to be."""
    return ArchiveError(FaultCode.BAD_ARCHIVE, about)


def too_big(about: str) -> ArchiveError:
    """The archive is over a limit."""
    return ArchiveError(FaultCode.TOO_BIG, about)


def unsafe(name: str | bytes, why: str) -> ArchiveError:
    """A member's name cannot be used."""
    return ArchiveError(FaultCode.UNSAFE_NAME, f"{shown(name)} {why}")


def problem_of(error: OSError) -> Problem:
    """What an error of the file system means for a task's folder or archive."""
    about = f"{error.strerror or error}"
    if error.errno in FULL:
        return Problem(code=FaultCode.DISK_FULL, about=about)
    if error.errno in FORBIDDEN:
        where = f" ({shown(str(error.filename))})" if error.filename else ""
        return Problem(code=FaultCode.NO_PERMISSION, about=about + where)
    return Problem(code=FaultCode.SANDBOX_FAILED, about=about)
