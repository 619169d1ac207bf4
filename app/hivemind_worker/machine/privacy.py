"""What a crash may leave of this process: no memory, which holds the password and the tokens.

Files' modes are `places` and `owned_file`.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

COREDUMP_FILTER = Path("/proc/self/coredump_filter")


def keep_memory_private() -> None:
    """New files are the owner's alone, and a crash writes no memory; children inherit both."""
    os.umask(0o077)
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415 - Windows has no such limits

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    # A system that pipes dumps to a program of its own does not ask for the limit (core(5)).
    with contextlib.suppress(OSError):
        COREDUMP_FILTER.write_text("0")
