"""A folder as a task's archive: the same bytes for the same files, no links, no droppings.

Names and sizes are checked with the worker's own rules, so that what cannot run anywhere
is told here and not by a stranger's computer an hour later.
"""

from __future__ import annotations

import fnmatch
import os
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem

SKIPPED_FOLDERS = frozenset({
    ".git", ".hg", ".svn", "__pycache__", ".venv", ".tox", ".nox", ".idea", ".vscode", ".mypy_cache",
    ".ruff_cache", ".pytest_cache", ".ipynb_checkpoints", "node_modules", "__MACOSX",
})  # fmt: skip
SKIPPED_FILES = (
    "*.pyc",
    "*.pyo",
    "*~",
    "*.swp",
    "*.swo",
    ".#*",
    "#*#",
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
)
NO_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
PLAIN, EXECUTABLE = 0o644, 0o755
CHUNK = 1024 * 1024
OPEN_FLAGS = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An archive on disk, and what of the folder is not in it."""

    archive: Path
    size: int
    skipped: tuple[str, ...] = ()


class _UnusableError(Exception):
    """Carries the problem out of the walk."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


def _unusable(about: str, code: FaultCode = FaultCode.BAD_PATH) -> _UnusableError:
    return _UnusableError(Problem(code=code, about=about))


def bundle(path: Path, scratch: Path, most_bytes: int) -> Bundle | Problem:
    """The archive of a folder (made in `scratch`), or the .zip file itself. Blocks.

    BAD_PATH: neither, or it holds links or other things that are no plain files. TOO_BIG: over
    `most_bytes`. Other codes: no worker would take it, for the same reason.
    """
    try:
        made = _of_folder(path, scratch, most_bytes) if path.is_dir() else _of_file(path, most_bytes)
    except _UnusableError as error:
        return error.problem
    except OSError as error:
        return Problem(code=FaultCode.BAD_PATH, about=f"{error.filename or path} ({error.strerror})")
    return _reason_against(made.archive) or made


def _reason_against(archive: Path) -> Problem | None:
    from hivemind_worker.runtimes.workspace import Workspace  # noqa: PLC0415 - it stands beside us

    found = Workspace().inspect(archive)
    return found if isinstance(found, Problem) else None


def _of_file(path: Path, most_bytes: int) -> Bundle:
    if not path.exists():
        raise _unusable(f"{path} is not there")
    if not path.is_file():
        raise _unusable(f"{path} is neither a folder nor a file")
    size = path.stat().st_size
    if size == 0:
        raise _unusable("it is empty", FaultCode.BAD_ARCHIVE)
    _check_size(size, most_bytes)
    if not zipfile.is_zipfile(path):
        raise _unusable(f"{path} is no zip file")
    return Bundle(archive=path, size=size)


def _check_size(size: int, most_bytes: int) -> None:
    if size > most_bytes:
        about = f"packed it is over {most_bytes / 2**20:.1f} MiB, which is what a pool takes"
        raise _unusable(about, FaultCode.TOO_BIG)


def _of_folder(folder: Path, scratch: Path, most_bytes: int) -> Bundle:
    target, skipped = scratch / "task.zip", list[str]()
    with zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for file in _files(folder, folder, skipped):
            _add(archive, folder, file, most_bytes)
        if not archive.namelist():
            raise _unusable(f"{folder} has no file in it")
    size = target.stat().st_size
    _check_size(size, most_bytes)
    return Bundle(archive=target, size=size, skipped=tuple(skipped))


def _files(root: Path, folder: Path, skipped: list[str]) -> Iterator[Path]:
    """Plain files below, in the order of their names; what is left out is added to `skipped`."""
    with os.scandir(folder) as listed:
        entries = sorted(listed, key=lambda entry: entry.name)
    for entry in entries:
        path, shown = Path(entry.path), Path(entry.path).relative_to(root).as_posix()
        if _is_dropping(entry):
            skipped.append(shown + ("/" if entry.is_dir(follow_symlinks=False) else ""))
        elif _is_link(entry):
            raise _unusable(f"{shown} is a link; put the file itself in its place")
        elif entry.is_dir(follow_symlinks=False):
            yield from _files(root, path, skipped)
        elif entry.is_file(follow_symlinks=False):
            yield path
        else:
            raise _unusable(f"{shown} is neither a file nor a folder")


def _is_link(entry: os.DirEntry[str]) -> bool:
    seen = entry.stat(follow_symlinks=False)
    junction = getattr(seen, "st_file_attributes", 0) & getattr(stat, "FILE_ATTRIBUTE_REPARSE_POINT", 0)
    return entry.is_symlink() or bool(junction)


def _is_dropping(entry: os.DirEntry[str]) -> bool:
    if entry.is_dir(follow_symlinks=False):
        return entry.name in SKIPPED_FOLDERS or Path(entry.path, "pyvenv.cfg").is_file()
    return any(fnmatch.fnmatchcase(entry.name, pattern) for pattern in SKIPPED_FILES)


def _add(archive: zipfile.ZipFile, root: Path, file: Path, most_bytes: int) -> None:
    name = file.relative_to(root).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError:
        raise _unusable(f"the name {name!a} is not UTF-8") from None
    # O_NOFOLLOW: what was a file a moment ago may be a link by now.
    with os.fdopen(os.open(file, OPEN_FLAGS), "rb") as source:
        mode = os.fstat(source.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise _unusable(f"{name} is no plain file")
        entry = zipfile.ZipInfo(name, NO_TIME)
        entry.create_system, entry.compress_type = 3, zipfile.ZIP_DEFLATED
        entry.external_attr = (stat.S_IFREG | (EXECUTABLE if mode & 0o100 else PLAIN)) << 16
        with archive.open(entry, "w") as target:
            while chunk := source.read(CHUNK):
                target.write(chunk)
                _check_size(archive.fp.tell() if archive.fp else 0, most_bytes)
