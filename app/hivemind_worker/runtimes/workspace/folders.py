"""Folders that a task has filled, looked into without ever following a link.

`PinnedFolder` holds a descriptor, so a folder that is swapped for a link behind our back changes nothing.
`PathFolder` is for systems without such descriptors (Windows): it compares what it opened with what it saw.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

OPEN_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
OPEN_FOLDER |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
# O_NONBLOCK: opening a pipe must not wait for a writer.
OPEN_FILE = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
OPEN_FILE |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0)
OPEN_FILE |= getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)
OPEN_NAME = getattr(os, "O_PATH", 0) | OPEN_FOLDER
OWNER_ONLY = 0o700


class Folder(Protocol):
    """One folder; names are those of its direct entries. All calls raise OSError."""

    def names(self) -> Iterator[str]: ...

    def look_at_self(self) -> os.stat_result: ...

    def look(self, name: str) -> os.stat_result:
        """What the entry itself is, never what a link leads to."""
        ...

    def enter(self, name: str) -> Folder: ...

    def open_file(self, name: str) -> int:
        """A descriptor for reading; the caller checks what it is, and closes it."""
        ...

    def make_accessible(self, name: str) -> None:
        """Give the owner all rights on a folder in here, so that it can be emptied."""
        ...

    def unlink(self, name: str) -> None: ...

    def rmdir(self, name: str) -> None: ...

    def move_in(self, source: Folder, name: str, new_name: str) -> None: ...

    def close(self) -> None: ...


class PinnedFolder:
    """A folder held by a descriptor (POSIX)."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def names(self) -> Iterator[str]:
        with os.scandir(self.descriptor) as entries:
            for entry in entries:
                yield entry.name

    def look_at_self(self) -> os.stat_result:
        return os.fstat(self.descriptor)

    def look(self, name: str) -> os.stat_result:
        return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)

    def enter(self, name: str) -> PinnedFolder:
        return PinnedFolder(os.open(name, OPEN_FOLDER, dir_fd=self.descriptor))

    def open_file(self, name: str) -> int:
        return os.open(name, OPEN_FILE, dir_fd=self.descriptor)

    def make_accessible(self, name: str) -> None:
        if not hasattr(os, "O_PATH"):
            os.chmod(name, OWNER_ONLY, dir_fd=self.descriptor, follow_symlinks=False)
            return
        # Linux has no chmod that stays off links; a descriptor that needs no right to read does.
        handle = os.open(name, OPEN_NAME, dir_fd=self.descriptor)
        try:
            Path(f"/proc/self/fd/{handle}").chmod(OWNER_ONLY)
        finally:
            os.close(handle)

    def unlink(self, name: str) -> None:
        os.unlink(name, dir_fd=self.descriptor)

    def rmdir(self, name: str) -> None:
        os.rmdir(name, dir_fd=self.descriptor)

    def move_in(self, source: Folder, name: str, new_name: str) -> None:
        assert isinstance(source, PinnedFolder)
        os.rename(name, new_name, src_dir_fd=source.descriptor, dst_dir_fd=self.descriptor)

    def close(self) -> None:
        os.close(self.descriptor)


class PathFolder:
    """A folder known by its path, for systems that cannot hold it by a descriptor."""

    def __init__(self, path: str) -> None:
        self.path = path

    def names(self) -> Iterator[str]:
        with os.scandir(self.path) as entries:
            for entry in entries:
                yield entry.name

    def look_at_self(self) -> os.stat_result:
        return os.lstat(self.path)

    def look(self, name: str) -> os.stat_result:
        return os.lstat(self._at(name))

    def enter(self, name: str) -> PathFolder:
        seen = self.look(name)
        if not stat.S_ISDIR(seen.st_mode) or leads_elsewhere(seen):
            raise NotADirectoryError(f"{name!a} is no folder")
        return PathFolder(self._at(name))

    def open_file(self, name: str) -> int:
        seen = self.look(name)
        descriptor = os.open(self._at(name), OPEN_FILE)
        opened = os.fstat(descriptor)
        if leads_elsewhere(seen) or (seen.st_dev, seen.st_ino) != (opened.st_dev, opened.st_ino):
            os.close(descriptor)
            raise OSError("it was changed while being read")
        return descriptor

    def make_accessible(self, name: str) -> None:
        if not leads_elsewhere(self.look(name)):
            os.chmod(self._at(name), OWNER_ONLY)  # noqa: PTH101 - may be in the \\?\ form

    def unlink(self, name: str) -> None:
        try:
            os.unlink(self._at(name))  # noqa: PTH108
        except PermissionError:
            # Windows does not remove what is marked read-only.
            if os.name != "nt" or leads_elsewhere(self.look(name)):
                raise
            os.chmod(self._at(name), stat.S_IWRITE)  # noqa: PTH101
            os.unlink(self._at(name))  # noqa: PTH108

    def rmdir(self, name: str) -> None:
        os.rmdir(self._at(name))  # noqa: PTH106

    def move_in(self, source: Folder, name: str, new_name: str) -> None:
        assert isinstance(source, PathFolder)
        os.rename(source._at(name), self._at(new_name))  # noqa: PTH104

    def close(self) -> None:
        """Nothing is held."""

    def _at(self, name: str) -> str:
        return os.path.join(self.path, name)  # noqa: PTH118


def leads_elsewhere(seen: os.stat_result) -> bool:
    """Whether it is a link, or another kind of signpost that Windows knows (junctions, mount points)."""
    signposts = getattr(stat, "FILE_ATTRIBUTE_REPARSE_POINT", 0)
    return stat.S_ISLNK(seen.st_mode) or bool(getattr(seen, "st_file_attributes", 0) & signposts)


def long_path(path: Path) -> str:
    """An absolute path; on Windows in the form that has no limit of 260 characters."""
    whole = os.path.abspath(path)  # noqa: PTH100 - links above the folder are the owner's own
    return f"\\\\?\\{whole}" if os.name == "nt" and not whole.startswith("\\\\") else whole


@contextmanager
def opened_folder(path: Path, *, pinned: bool = os.name == "posix") -> Iterator[Folder]:
    """The folder at `path`, which must not itself be a link.

    Raises:
        OSError: it is absent, a link, or may not be read.
    """
    where = long_path(path)
    folder: Folder = PinnedFolder(os.open(where, OPEN_FOLDER)) if pinned else _checked(PathFolder(where))
    try:
        yield folder
    finally:
        folder.close()


def _checked(folder: PathFolder) -> PathFolder:
    seen = os.lstat(folder.path)
    if not stat.S_ISDIR(seen.st_mode) or leads_elsewhere(seen):
        raise NotADirectoryError("it is no folder")
    return folder
