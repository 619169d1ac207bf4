"""The keeper: a small process that ends the worker's children when the worker is gone.

For systems where neither the kernel (Linux) nor a job object (Windows) does it. It is never
suspended, holds the reading end of a pipe from the worker, and kills what is on its list when
that pipe closes. Counterparts: `nursery.children`, and the word `--run-keeper` of `__main__`.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from typing import BinaryIO

import psutil

from hivemind_worker.nursery.children import Child, is_same, own_program

KEEPER_WORD = "--run-keeper"
QUIET_END_S = 2.0


class Keeper:
    """The worker's end. Lines are `+ PID CREATED_S` and `- PID`."""

    def __init__(self, child: Child) -> None:
        self._child = child

    @classmethod
    async def start(cls) -> Keeper:
        """Start the keeper process.

        Raises:
            OSError: it cannot be started.
        """
        program = own_program(KEEPER_WORD)
        return cls(await Child.spawn("keeper", program.argv, env=dict(program.env)))

    @property
    def pid(self) -> int:
        return self._child.pid

    def watch(self, pid: int, created_s: float) -> None:
        """Put a process on the list; `created_s` tells it from a later one with the same id."""
        self._child.write(f"+ {pid} {created_s:.2f}\n".encode())

    def forget(self, pid: int) -> None:
        """Take a process that has ended off the list."""
        self._child.write(f"- {pid}\n".encode())

    async def close(self) -> None:
        """End the keeper; by now its list should be empty."""
        await self._child.close()


def main(lines: BinaryIO | None = None) -> int:
    """Run the keeper until `lines` (standard input) ends, then kill what is on the list."""
    for name in ("SIGINT", "SIGHUP", "SIGTERM"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    listed: dict[int, float] = {}
    for line in lines or sys.stdin.buffer:
        words = line.split()
        if words[:1] == [b"+"]:
            listed[int(words[1])] = float(words[2])
        elif words[:1] == [b"-"]:
            listed.pop(int(words[1]), None)
    for pid, created_s in listed.items():
        process = is_same(pid, created_s)
        if process is not None:
            with contextlib.suppress(psutil.Error):
                process.kill()
    return 0
