"""Memory of messages is kept for the next one instead of given back to the system after each.

The C library returns the end of its heap whenever a message of half a MiB is done with, and fetches it
again page by page for the next: measured, that halves the rate at which waiting results go out.
"""

from __future__ import annotations

import ctypes
import platform

MIB = 1 << 20
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
KEPT_BYTES = 8 * MIB
LARGE_BYTES = 4 * MIB
"""What is larger than this still goes back at once."""


def keep_message_memory() -> bool:
    """Have this process keep up to 8 MiB of free memory; False where the C library is another one."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(TRIM_THRESHOLD, KEPT_BYTES) and mallopt(MMAP_THRESHOLD, LARGE_BYTES))
