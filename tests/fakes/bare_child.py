"""The sandbox child with no worker around it: the baseline that the worker is measured against.

The very process that `WasmRuntime` starts for a task, fed with the very same two lines.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from hivemind_worker.model.work import RunOrder
from hivemind_worker.nursery import NamedThread
from hivemind_worker.runtimes.wasm import orders, packs
from hivemind_worker.runtimes.wasm.digests import DigestBook
from hivemind_worker.runtimes.wasm.modules import ModuleCache

LIMIT_S = 60.0


def bare_child(order: RunOrder, sandbox_folder: Path) -> tuple[tuple[str, ...], bytes]:
    """The words that start the child, and what it reads; `sandbox_folder` must have been prepared."""
    pack = packs.find_scientific(sandbox_folder) or packs.find_small()
    assert pack is not None
    thread = NamedThread("bare")
    place = ModuleCache(sandbox_folder / "modules", DigestBook(sandbox_folder / "none"), thread).place(pack)
    thread.close()
    assert place.is_file(), "prepare the runtime first"
    temporary = order.workspace.with_name(f"{order.workspace.name}.bare")
    temporary.mkdir(exist_ok=True)
    lines = orders.preparation_line(place) + orders.guest_line(order, pack, temporary)
    return orders.sandbox_program().argv, lines


async def run_bare(order: RunOrder, sandbox_folder: Path) -> tuple[int, bytes]:
    """Run one to its end: the guest's exit code and output."""
    argv, lines = bare_child(order, sandbox_folder)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe, env={})
    async with asyncio.timeout(LIMIT_S):
        output, notes = await process.communicate(lines)
    return int(json.loads(notes)["code"]), output
