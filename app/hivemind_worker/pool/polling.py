"""Keeps grpc.aio's polling thread for the life of the process; importing this is all there is to do, except
in a thread beside the loop (the window imports there): then `keep` is called in the loop's own.

The library ends that thread, and waits for it, when its last channel or server is collected. A
collection can run at any moment, and the thread may itself wait for room in a socket that only a
loop that has ended would read: both then wait for ever (grpc issues 22365 and PR 40989). One
reference of ours keeps the count above zero, so that this end never comes before the process's own.
"""

import functools
import threading

from grpc.experimental.aio import init_grpc_aio


@functools.cache
def keep() -> None:
    """Hold the reference: once, in the loop's thread, to which the library binds itself."""
    init_grpc_aio()


if threading.current_thread() is threading.main_thread():
    keep()
