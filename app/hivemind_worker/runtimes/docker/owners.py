"""Whose the files of a task are: of the user inside while it runs, of the volunteer again afterwards.

Needed only where the worker is root: then tasks run as nobody, and files would stay nobody's. Blocking
calls, for the files thread; to be made only while nothing of the task is alive.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from hivemind_worker.runtimes.docker.engine import EngineFacts
from hivemind_worker.runtimes.docker.hardening import NOBODY


def user_of_tasks(facts: EngineFacts | None) -> tuple[int, int]:
    """Uid and gid inside the container: the volunteer's own on the computer, and never root there."""
    if os.name != "posix" or not hasattr(os, "getuid"):
        return NOBODY, NOBODY
    if facts is not None and facts.rootless:
        return 0, 0  # an engine without root: its 0 is the volunteer, who has no right that it lacks
    return (os.getuid(), os.getgid()) if os.getuid() else (NOBODY, NOBODY)


def hand_over(folder: Path, user: tuple[int, int]) -> None:
    """Make the folder and all in it the task's, where that is not the worker's own user."""
    if os.name == "posix" and os.getuid() == 0 and user[0] != 0:
        _give(folder, user)


def take_back(folder: Path) -> None:
    """Make all of it the worker's own again."""
    if os.name == "posix" and os.getuid() == 0:
        _give(folder, (0, 0))


def _give(folder: Path, user: tuple[int, int]) -> None:
    """Links are never followed; what goes meanwhile is no matter."""
    with contextlib.suppress(OSError):
        for _, folders, files, fd in os.fwalk(folder, follow_symlinks=False):
            os.fchown(fd, *user)
            for name in (*folders, *files):
                with contextlib.suppress(OSError):
                    os.chown(name, *user, dir_fd=fd, follow_symlinks=False)
