"""Folders of tasks: safe unpacking of strangers' archives, safe packing of results. Fits `ports.Workspaces`.

Everything here blocks and runs in the files thread. Expected trouble comes back as a `Problem`.
Map: limits and names (rules), directory > members > reading (zip, read), inspection, unpacking,
folders > walk > packing on draft (zip, written), removal.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hivemind_worker.model.task import Problem
from hivemind_worker.model.work import Inspection, Packed
from hivemind_worker.runtimes.workspace.inspection import inspect_archive
from hivemind_worker.runtimes.workspace.limits import MIB, RESULT_LIMITS, TASK_LIMITS, Limits
from hivemind_worker.runtimes.workspace.packing import Bounds, pack_result
from hivemind_worker.runtimes.workspace.refusals import ArchiveError, problem_of
from hivemind_worker.runtimes.workspace.removal import remove_folder
from hivemind_worker.runtimes.workspace.unpacking import unpack_archive

__all__ = ["RESULT_LIMITS", "TASK_LIMITS", "Limits", "Workspace"]

RESULT_BYTES = 99 * MIB  # the pool takes messages of 100 MiB, with what goes around the archive


class Workspace:
    """Unpacks, packs and removes task folders.

    `quota_bytes` bounds what an archive may open to, below the limits' own figure. With `RESULT_LIMITS`
    the same class unpacks the result archives that `pack` makes.
    """

    def __init__(
        self,
        *,
        quota_bytes: int | None = None,
        result_limit_bytes: int = RESULT_BYTES,
        limits: Limits = TASK_LIMITS,
    ) -> None:
        opened = limits.opened_bytes if quota_bytes is None else min(limits.opened_bytes, quota_bytes)
        # A name such as "a:b" in a result means a hidden stream on Windows, so no exception is made there.
        portable = limits.portable_names or os.name == "nt"
        self._limits = replace(limits, opened_bytes=opened, portable_names=portable)
        self._bounds = Bounds(limits=RESULT_LIMITS, packed_bytes=result_limit_bytes)

    def inspect(self, archive: Path) -> Inspection | Problem:
        """Check names, sizes, methods and structure; reads headers and a small requirements.txt only."""
        try:
            return inspect_archive(archive, self._limits)
        except ArchiveError as error:
            return error.problem
        except OSError as error:
            return problem_of(error)

    def unpack(self, archive: Path, folder: Path) -> Problem | None:
        """Fill a new folder (0700; files 0644 or 0755); on a problem the folder is gone again.

        What an earlier, interrupted try left at `folder` is removed first.
        """
        problem = self._unpack(archive, folder)
        if problem is not None:
            self.remove(folder)
        return problem

    def _unpack(self, archive: Path, folder: Path) -> Problem | None:
        self.remove(folder)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            unpack_archive(archive, folder, self._limits)
        except ArchiveError as error:
            return error.problem
        except OSError as error:
            return problem_of(error)
        return None

    def pack(self, folder: Path, target: Path, own_files: Sequence[tuple[str, Path | bytes]]) -> Packed:
        """Write the result archive: our own files, then the folder without links; our names win.

        Left-out things are in `left_out` and in the archive's left_out.txt. RESULT_TOO_LARGE and
        RESULT_UNREADABLE come with an archive of our own files alone; only when the disk takes not
        even that is there no archive: `result_bytes` is 0. An absent folder counts as an empty one.
        """
        return pack_result(folder, target, own_files, self._bounds)

    def remove(self, folder: Path) -> None:
        """Remove a task's folder whatever its modes and depth; absent is fine. What stays is logged."""
        remove_folder(folder)
