"""`run`: the worker without a window, until it is told to end."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import threading
from typing import TYPE_CHECKING

from hivemind_worker.commands.printing import fail, say
from hivemind_worker.commands.resolve import Resolved, add_setting_flags, flag_values, resolve
from hivemind_worker.machine.endings import Endings
from hivemind_worker.machine.privacy import keep_memory_private
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import Nursery

if TYPE_CHECKING:
    from hivemind_worker.worker_node import WorkerNode

BREAK_OFF_S = 1.0


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `run` with one flag a setting."""
    parser = subparsers.add_parser("run", help="run the worker without a window")
    parser.add_argument("--json", action="store_true", help="problems as JSON")
    add_setting_flags(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run until `finish --quit`, SIGTERM, SIGINT or SIGHUP; exit code 0 after an orderly end."""
    keep_memory_private()
    resolved = resolve(flag_values(args))
    if isinstance(resolved, Problem):
        return fail(resolved, args.json)
    try:
        resolved.places.make()
    except OSError as error:
        problem = Problem(code=FaultCode.NO_PERMISSION, about=f"{error.filename}: {error.strerror}")
        return fail(problem, args.json)
    if _is_root():
        say("Warning: this worker runs as administrator (root). Tasks stay in their sandbox all the same,")
        say("but an ordinary user is the better choice.")
    problem_at_start = asyncio.run(_serve(resolved))
    code = 0 if problem_at_start is None else fail(problem_at_start, args.json)
    _leave_stuck_threads(code)
    return code


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


async def _serve(resolved: Resolved) -> Problem | None:
    asked = asyncio.Event()
    endings = Endings(asked.set)
    endings.listen()  # before the slow imports: from here on every end is orderly

    from hivemind_worker.store.worker_log import WorkerLog
    from hivemind_worker.worker_node import WorkerNode

    worker_log = WorkerLog(resolved.places.logs)
    node = WorkerNode(
        settings=resolved.settings,
        set_by_hand=resolved.sources,
        places=resolved.places,
        worker_log=worker_log,
    )
    nursery = Nursery("run")
    try:
        return await _work(node, nursery.start("start", node.start()), nursery.start("end", asked.wait()))
    finally:
        await node.stop()
        await nursery.close()
        worker_log.close()
        endings.over()


async def _work(
    node: WorkerNode, starting: asyncio.Task[Problem | None], ending: asyncio.Task[bool]
) -> Problem | None:
    """Start and serve until told to end; a start that is still under way then is broken off."""
    await asyncio.wait({starting, ending}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.wait({starting}, timeout=BREAK_OFF_S)
        return None
    problem = starting.result()
    if problem is None and not ending.done():
        ending.add_done_callback(lambda _: node.quit())
        await node.wait_for_quit()
    return problem


def _leave_stuck_threads(code: int) -> None:
    """Go although a thread is caught in a call without end (a name server, a keyring): an ordinary end
    of the interpreter would wait for it."""
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if any(not thread.daemon for thread in others):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
