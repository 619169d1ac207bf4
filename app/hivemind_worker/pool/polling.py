"""Keeps grpc.aio's polling thread for the life of the process; importing this is all there is to do.

The library ends that thread, and waits for it, when its last channel or server is collected. A
collection can run at any moment, and the thread may itself wait for room in a socket that only a
loop that has ended would read: both then wait for ever (grpc issues 22365 and PR 40989). One
reference of ours keeps the count above zero, so that this end never comes before the process's own.
"""

from grpc.experimental.aio import init_grpc_aio

init_grpc_aio()
