"""What may go: spooled archives and folders that no row owns, delivered results that are old or too many.

Tasks come and end while it works: whether one is open is asked at the moment of removing, and
a folder is first moved out of the way, so that nothing of a task that has just come is hit.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from hivemind_worker.engine.folders import Folders
from hivemind_worker.engine.ports import Workspaces
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Task, TaskKey
from hivemind_worker.nursery import NamedThread

log = logging.getLogger(__name__)

GOING = ".going"


def clear_spool(folders: Folders) -> None:
    """Remove archives of offers that an earlier life of the worker did not answer."""
    for path in folders.places.spool.iterdir():
        path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Janitor:
    """Tidies a home. `is_open` may be called from any thread, `find` gives the journal's row of a key."""

    folders: Folders
    workspaces: Workspaces
    files: NamedThread
    find: Callable[[TaskKey], Awaitable[Task | None]]
    is_open: Callable[[TaskKey], bool]
    clock: Callable[[], float]
    keep_s: float
    quota_bytes: int

    async def tidy(self) -> None:
        """Remove what may go; what a disk does not let go now is left for the next time."""
        try:
            await self.files.call(self._remove_results)
            for name in await self.files.call(self._names):
                await self._tidy_folder(TaskKey(name))
        except OSError as error:
            log.warning("tidying up stopped half way: %s", error)

    def _remove_results(self) -> None:
        """Results of closed tasks that are too old, then the oldest over the quota."""
        closed = [path for path in self.folders.places.results.glob("*.zip") if not self._is_owed(path)]
        found = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in closed)
        kept_bytes = sum(size for _, size, _ in found)
        now_s = self.clock()
        for made_s, size, path in found:
            if now_s - made_s <= self.keep_s and kept_bytes <= self.quota_bytes:
                continue
            kept_bytes -= size
            if not self._is_owed(path):
                path.unlink(missing_ok=True)

    def _is_owed(self, result: Path) -> bool:
        return self.is_open(TaskKey(result.stem))

    def _names(self) -> list[str]:
        return [path.name for path in self.folders.places.tasks.iterdir()]

    async def _tidy_folder(self, key: TaskKey) -> None:
        """A task's folder lives as long as its row is open or its result is kept (invariant I4);
        its workspace goes earlier, also when a crash came between the delivery and that."""
        row = await self.find(key)
        await self.files.call(self._remove_folder, key, row)

    def _remove_folder(self, key: TaskKey, row: Task | None) -> None:
        if self.is_open(key):
            return
        if not self.folders.result(key).exists():
            self._remove(self.folders.task(key))
        elif row is not None and not _is_too_large(row):
            self._remove(self.folders.workspace(key))

    def _remove(self, folder: Path) -> None:
        going = folder if folder.name.endswith(GOING) else folder.with_name(folder.name + GOING)
        with contextlib.suppress(FileNotFoundError):
            folder.replace(going)
            self.workspaces.remove(going)


def _is_too_large(row: Task) -> bool:
    """Whether the pool got the logs alone: the whole result is then what the workspace holds."""
    return row.problem is not None and row.problem.code is FaultCode.RESULT_TOO_LARGE
