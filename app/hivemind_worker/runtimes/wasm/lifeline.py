"""First steps of every child of the sandbox: tied to its worker, limited, and out of everyone's way.

Runs in the child, so it imports next to nothing. Counterpart: `nursery.children`, which ties
children of systems other than Linux from outside.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TypedDict

try:
    import resource
except ImportError:  # pragma: no cover - Windows has no such limits
    resource = None  # type: ignore[assignment]

PR_SET_PDEATHSIG = 1


class Bounds(TypedDict):
    """What a child may take of the system: niceness, open files, bytes of one file."""

    nice: int
    open_files: int
    file_bytes: int


def die_with_parent(wanted: bool) -> None:
    """Have Linux kill this process with the thread that started it, stopped or not."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes  # noqa: PLC0415 - start-up time of other systems

    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL if wanted else 0, 0, 0, 0)


def leave_if_orphaned(parent: int) -> None:
    """End at once when the worker died before the kernel was asked to watch it."""
    if os.name == "posix" and os.getppid() != parent:
        os._exit(0)


def forget_handlers() -> None:
    """Undo what a worker started with nohup hands down: a lost worker must be able to end this child."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def set_bounds(bounds: Bounds) -> None:
    """Take the limits upon this process; a limit that the system does not have is passed over."""
    if os.name == "posix":
        os.nice(bounds["nice"])
    if resource is None:
        return
    wanted = (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, bounds["open_files"]),
        (resource.RLIMIT_FSIZE, bounds["file_bytes"]),
    )
    for which, amount in wanted:
        hard = resource.getrlimit(which)[1]
        most = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        resource.setrlimit(which, (most, most))
