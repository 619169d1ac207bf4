"""Writing an archive's files into a new folder: plain files and folders only, nothing outside, nothing half.

Every path is made here, part by part, in a folder that nobody else can enter; no link is ever created,
so none can be followed. Counterpart: `members` has checked the names; sizes are counted again here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NoReturn

from hivemind_worker.runtimes.workspace.folders import long_path
from hivemind_worker.runtimes.workspace.limits import Limits
from hivemind_worker.runtimes.workspace.members import Member, read_members
from hivemind_worker.runtimes.workspace.reading import contents, opened_archive
from hivemind_worker.runtimes.workspace.refusals import BAD_NAME, too_big, unsafe

# O_EXCL refuses whatever is there already, links included; O_NOFOLLOW and O_BINARY exist on one side only.
CREATE = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOINHERIT", 0)
)
PLAIN_MODE = 0o644
EXECUTABLE_MODE = 0o755


def unpack_archive(archive: Path, folder: Path, limits: Limits) -> None:
    """Fill the new folder `folder` (0700); what was written until a problem is left for the caller.

    Raises:
        ArchiveError: the archive is refused.
        OSError: the archive cannot be read, or the folder not be written.
    """
    with opened_archive(archive) as file:
        members = read_members(file, limits)
        folder.mkdir(mode=0o700)
        root = long_path(folder)
        _make_folders(root, members)
        room = limits.opened_bytes
        for member in members:
            if not member.is_folder:
                room -= _write(file, member, root, room)


def _place(root: str, name: str) -> str:
    return f"{root}{os.sep}{name.replace('/', os.sep)}"


def _make_folders(root: str, members: Iterable[Member]) -> None:
    made = {""}
    for member in members:
        wanted = member.name if member.is_folder else member.name.rpartition("/")[0]
        if wanted in made:
            continue
        parts = wanted.split("/")
        for depth in range(1, len(parts) + 1):
            path = "/".join(parts[:depth])
            if path not in made:
                _make_folder(root, path)
                made.add(path)


def _make_folder(root: str, path: str) -> None:
    try:
        os.mkdir(_place(root, path), EXECUTABLE_MODE)  # noqa: PTH102 - a Path would undo the \\?\ form
    except (OSError, UnicodeEncodeError) as error:
        _refuse_name(path, error)


def _write(file: BinaryIO, member: Member, root: str, room: int) -> int:
    mode = EXECUTABLE_MODE if member.executable else PLAIN_MODE
    try:
        descriptor = os.open(_place(root, member.name), CREATE, mode)
    except (OSError, UnicodeEncodeError) as error:
        _refuse_name(member.name, error)
    count = 0
    with os.fdopen(descriptor, "wb", buffering=0) as target:
        if os.name == "posix":
            os.fchmod(descriptor, mode)  # exact, whatever the umask
        for piece in contents(file, member):
            count += len(piece)
            if count > room:
                raise too_big("it opens to more than it says")
            _write_all(target, piece)
    return count


def _write_all(target: BinaryIO, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[target.write(view) :]


def _refuse_name(name: str, error: OSError | UnicodeEncodeError) -> NoReturn:
    """Tell a name that this system cannot hold from a disk that cannot be written."""
    if isinstance(error, UnicodeEncodeError) or error.errno in BAD_NAME:
        raise unsafe(name, "cannot be written on this system") from error
    raise error
