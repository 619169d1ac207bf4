"""What of a task's folder goes into its result: every plain file of its own, nothing that leads elsewhere.

Never follows a link, never waits for a pipe, never believes an earlier look: what is opened is looked
at again. Counterpart: `packing`, which reads what is found here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from dataclasses import dataclass

from hivemind_worker.runtimes.workspace.folders import Folder, leads_elsewhere
from hivemind_worker.runtimes.workspace.limits import Limits
from hivemind_worker.runtimes.workspace.names import fault_of, fold


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file to pack, or an empty folder. `size` is what a first look says."""

    path: str
    folder: Folder
    name: str
    size: int
    modified_s: float
    is_folder: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Something that does not go into the result."""

    path: str
    why: str


Finding = Found | LeftOut


class Walk:
    """One way through a folder. `reserved` are folded names that the worker's own files have at the top."""

    def __init__(self, root: Folder, limits: Limits, reserved: frozenset[str]) -> None:
        self._root = root
        seen = root.look_at_self()
        self._device = seen.st_dev
        self._owners = {seen.st_uid, os.geteuid() if os.name == "posix" else seen.st_uid}
        self._limits = limits
        self._reserved = reserved

    def findings(self) -> Generator[Finding, None, None]:
        """Everything below the root, in sorted order. A finding is good until the next one is asked for."""
        yield from self._below(self._root, "", 1)

    def _below(self, folder: Folder, prefix: str, depth: int) -> Generator[Finding, None, None]:
        for name in self._names(folder):
            path = f"{prefix}{name}"
            why = self._bad_name(path, name, depth)
            if why:
                yield LeftOut(path=path, why=why)
            else:
                yield from self._entry(folder, path, name, depth)

    def _names(self, folder: Folder) -> list[str]:
        # One over the limit is enough for the caller to see that it is too many.
        names = []
        for name in folder.names():
            names.append(name)
            if len(names) > self._limits.members:
                break
        return sorted(names)

    def _bad_name(self, path: str, name: str, depth: int) -> str | None:
        if depth == 1 and fold(name) in self._reserved:
            return "the worker's own file has this name"
        if fault := fault_of(name, self._limits):
            return f"its name {fault}"
        if depth > self._limits.depth or len(path.encode()) > self._limits.path_bytes:
            return "it is too deep"
        return None

    def _entry(self, folder: Folder, path: str, name: str, depth: int) -> Generator[Finding, None, None]:
        try:
            seen = folder.look(name)
        except OSError as error:
            yield LeftOut(path=path, why=reason(error))
            return
        if why := self.objection(seen):
            yield LeftOut(path=path, why=why)
        elif stat.S_ISDIR(seen.st_mode):
            yield from self._inside(folder, path, name, depth, seen.st_mtime)
        else:
            yield Found(path=path, folder=folder, name=name, size=seen.st_size, modified_s=seen.st_mtime)

    def _inside(
        self, folder: Folder, path: str, name: str, depth: int, modified_s: float
    ) -> Generator[Finding, None, None]:
        try:
            inner = folder.enter(name)
        except OSError as error:
            yield LeftOut(path=path, why=reason(error))
            return
        try:
            empty = True
            for finding in self._below(inner, f"{path}/", depth + 1):
                empty = False
                yield finding
            if empty:
                yield Found(
                    path=path, folder=folder, name=name, size=0, modified_s=modified_s, is_folder=True
                )
        except OSError as error:
            yield LeftOut(path=path, why=reason(error))
        finally:
            inner.close()

    def objection(self, seen: os.stat_result) -> str | None:
        """Why this thing is not packed; None for a plain file or folder of the task's own."""
        if leads_elsewhere(seen):
            return "a link"
        if not stat.S_ISREG(seen.st_mode) and not stat.S_ISDIR(seen.st_mode):
            return "not a plain file"
        if seen.st_dev != self._device:
            return "on another disk"
        if seen.st_uid not in self._owners:
            return "belongs to another user"
        if stat.S_ISREG(seen.st_mode) and seen.st_nlink > 1:
            return "a file with several names"
        return None

    def open_checked(self, found: Found) -> tuple[int, os.stat_result]:
        """A descriptor of the very file that was found; the caller closes it.

        Raises:
            OSError: it cannot be opened, or is not what it was.
        """
        descriptor = found.folder.open_file(found.name)
        try:
            seen = os.fstat(descriptor)
            if (why := self.objection(seen)) or not stat.S_ISREG(seen.st_mode):
                raise OSError(why or "not a plain file any more")
        except OSError:
            os.close(descriptor)
            raise
        return descriptor, seen


def reason(error: OSError) -> str:
    """Why something could not be read, in the system's words."""
    return (error.strerror or str(error)).lower()
