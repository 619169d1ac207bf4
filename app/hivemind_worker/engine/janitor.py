"""What may go: spooled archives and folders that no row owns, delivered results that are old or too many."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

from hivemind_worker.engine.folders import Folders
from hivemind_worker.engine.ports import Workspaces
from hivemind_worker.model.task import TaskKey

log = logging.getLogger(__name__)


def clear_spool(folders: Folders) -> None:
    """Remove archives of offers that an earlier life of the worker did not answer."""
    for path in folders.places.spool.iterdir():
        path.unlink(missing_ok=True)


def tidy(
    folders: Folders, workspaces: Workspaces, open_keys: Collection[TaskKey], *,
    now_s: float, keep_s: float, quota_bytes: int,
) -> None:  # fmt: skip
    """Remove results of closed tasks that are too old, then the oldest over the quota, with their folders."""
    closed = sorted(
        (path for path in folders.places.results.glob("*.zip") if path.stem not in open_keys), key=_age_key
    )
    kept_bytes = sum(path.stat().st_size for path in closed)
    for path in closed:
        if now_s - path.stat().st_mtime <= keep_s and kept_bytes <= quota_bytes:
            continue
        kept_bytes -= path.stat().st_size
        path.unlink()
    _remove_ownerless(folders, workspaces, open_keys)


def _age_key(path: Path) -> float:
    return path.stat().st_mtime


def _remove_ownerless(folders: Folders, workspaces: Workspaces, open_keys: Collection[TaskKey]) -> None:
    """A task's folder lives as long as its row is open or its result is kept (invariant I4)."""
    for folder in folders.places.tasks.iterdir():
        if folder.name not in open_keys and not folders.result(TaskKey(folder.name)).exists():
            workspaces.remove(folder)
