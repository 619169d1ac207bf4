"""What the sandbox child is told for one task: pure, no process and no file is touched.

Also used by benchmarks to run the very same child without a worker around it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from hivemind_worker.model.work import RunOrder
from hivemind_worker.nursery.children import Program, own_program
from hivemind_worker.runtimes.wasm.bootstrap import TASK_FOLDER, bootstrap
from hivemind_worker.runtimes.wasm.child import GuestOrder, Preparation
from hivemind_worker.runtimes.wasm.packs import Pack

SANDBOX_WORD = "--run-sandbox"
OPEN_FILES = 512
NICENESS = 10
GUARD_RENAMES = sys.platform not in ("linux", "win32")
# One file may grow a little past the quota, so that the quota's own check says what happened.
FILE_ROOM_BYTES = 256 << 20


def sandbox_program() -> Program:
    """The words that start a sandbox child; all that it shall do it reads from standard input."""
    return own_program(SANDBOX_WORD)


def preparation_line(
    module: Path, *, watched_by_kernel: bool = True, guard_renames: bool = GUARD_RENAMES
) -> bytes:
    """The first line: which compiled module to load, and whose child it is."""
    preparation = Preparation(
        parent=os.getpid(),
        watched_by_kernel=watched_by_kernel,
        module=os.fspath(module),
        guard_renames=guard_renames,
    )
    return json.dumps(preparation).encode() + b"\n"


def guest_line(order: RunOrder, pack: Pack, temporary: Path) -> bytes:
    """The second line: one guest with the task's words, folders and limits. `temporary` is its /tmp."""
    guest = GuestOrder(
        argv=[pack.argv0, "-c", bootstrap(rewire=pack.rewire), f"{TASK_FOLDER}/{order.entry}"],
        env=[("TASK_ID", order.task_id), ("PYTHONUNBUFFERED", "1"), *pack.env],
        folders=[
            (os.fspath(order.workspace), "/workspace", True),
            (os.fspath(order.workspace), TASK_FOLDER, True),
            (os.fspath(temporary), "/tmp", True),  # noqa: S108 - the guest's name for it
            *((os.fspath(path), name, False) for path, name in pack.folders),
        ],
        memory_bytes=order.memory_bytes,
        bounds={
            "nice": NICENESS,
            "open_files": OPEN_FILES,
            "file_bytes": order.disk_bytes + FILE_ROOM_BYTES,
        },
    )
    return json.dumps(guest).encode() + b"\n"
