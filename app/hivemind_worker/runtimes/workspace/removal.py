"""Removing a task's folder whatever is in it: any depth, any mode, without following a link.

A folder inside a folder is moved up to the top before it is emptied, so depth never matters: neither
the stack nor the number of open descriptors nor the length of a path grows with it.
"""

from __future__ import annotations

import itertools
import logging
import os
import secrets
import stat
import time
from collections.abc import Callable
from pathlib import Path

from hivemind_worker.runtimes.workspace.folders import Folder, leads_elsewhere, opened_folder
from hivemind_worker.runtimes.workspace.walk import reason

log = logging.getLogger(__name__)

TRIES = 5
WAIT_S = 0.1  # a virus scanner or a late writer lets go within moments
BATCH = 1000


def remove_folder(folder: Path, *, pinned: bool = os.name == "posix") -> bool:
    """Remove `folder` (or the link or file of that name) and all below it; whether it is gone."""
    for attempt in range(TRIES):
        try:
            _remove(folder, pinned=pinned)
        except FileNotFoundError:
            pass  # absent, or somebody else removes it as well: look again
        except OSError as error:
            log.info("try %d to remove a task's folder: %s", attempt + 1, reason(error))
            time.sleep(WAIT_S * attempt)
        if not os.path.lexists(folder):
            return True
    log.warning("a task's folder cannot be removed and stays: %s", folder)
    return False


def _remove(folder: Path, *, pinned: bool) -> None:
    if not _is_folder(folder.lstat()):
        folder.unlink()
        return
    # The folders above are the owner's own and may be links; the task's folder is opened as it is.
    with opened_folder(folder.parent.resolve(), pinned=pinned) as parent:
        _remove_folder_in(parent, folder.name, parent=None)


def _remove_folder_in(holder: Folder, name: str, parent: Folder | None) -> None:
    """Empty and remove `name`; what is a folder in it goes up to `parent`, or is emptied in turn."""
    holder.make_accessible(name)
    inner = holder.enter(name)
    try:
        if parent is None:
            _take_all(inner, lambda entry: _remove_entry(inner, entry))
        else:
            _take_all(inner, lambda entry: _spill(inner, entry, parent))
    finally:
        inner.close()
    holder.rmdir(name)


def _remove_entry(top: Folder, name: str) -> None:
    if _is_folder(top.look(name)):
        _remove_folder_in(top, name, parent=top)
    else:
        top.unlink(name)


def _spill(inner: Folder, name: str, top: Folder) -> None:
    if _is_folder(inner.look(name)):
        inner.make_accessible(name)  # a folder can only be moved by who may write in it
        top.move_in(inner, name, f".moved-{secrets.token_hex(8)}")
    else:
        inner.unlink(name)


def _take_all(folder: Folder, take: Callable[[str], None]) -> None:
    """Call `take`, which removes or moves, for every entry; go on after a failure and raise it at the end."""
    failed: dict[str, OSError] = {}
    while names := list(itertools.islice((name for name in folder.names() if name not in failed), BATCH)):
        for name in names:
            try:
                take(name)
            except FileNotFoundError:
                continue
            except OSError as error:
                failed[name] = error
    for failure in failed.values():
        raise failure


def _is_folder(seen: os.stat_result) -> bool:
    return stat.S_ISDIR(seen.st_mode) and not leads_elsewhere(seen)
