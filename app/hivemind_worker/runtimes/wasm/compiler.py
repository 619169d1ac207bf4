"""Compiles an interpreter to machine code, in a process of its own: it needs up to 2.4 GB for a while.

Reads one JSON line, checks the very bytes that it compiles, writes the target beside itself and
renames it. Says how it ended as one JSON line on standard output. Counterpart: `modules`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import TypedDict

from hivemind_worker.runtimes.wasm import lifeline


class CompileOrder(TypedDict):
    """What to compile, and to which file; `sha256` is that of the module."""

    parent: int
    watched_by_kernel: bool
    source: str
    sha256: str
    target: str
    bounds: lifeline.Bounds


class CompileReport(TypedDict, total=False):
    """`ended` is `done` (with the target's own `sha256`), `wrong_digest` or `trouble`."""

    ended: str
    sha256: str
    text: str


def main(words: list[str]) -> int:
    """Be the compile child; 0 when the report was written."""
    del words
    lifeline.die_with_parent(True)
    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    order: CompileOrder = json.loads(line)
    if not order["watched_by_kernel"]:
        lifeline.die_with_parent(False)
    lifeline.leave_if_orphaned(order["parent"])
    lifeline.set_bounds(order["bounds"])
    try:
        report = _compile(order)
    except Exception as error:  # the door of this process: its only caller reads the report
        report = CompileReport(ended="trouble", text=f"{type(error).__name__}: {error}"[:2000])
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()
    os._exit(0)  # the engine's own threads panic at an orderly exit


def _compile(order: CompileOrder) -> CompileReport:
    import wasmtime  # noqa: PLC0415 - after the lifeline is set

    from hivemind_worker.runtimes.wasm.engines import make_engine  # noqa: PLC0415

    source = Path(order["source"]).read_bytes()
    digest = hashlib.sha256(source).hexdigest()
    if digest != order["sha256"]:
        return CompileReport(ended="wrong_digest", sha256=digest)
    machine_code = bytes(wasmtime.Module(make_engine(), source).serialize())
    target = Path(order["target"])
    unfinished = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with unfinished.open("wb") as file:
            file.write(machine_code)
            file.flush()
            os.fsync(file.fileno())
        unfinished.chmod(0o600)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return CompileReport(ended="done", sha256=hashlib.sha256(machine_code).hexdigest())
