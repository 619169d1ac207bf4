"""`run`: the worker without a window, until it is told to end."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from collections.abc import Callable

from hivemind_worker.commands.printing import fail, say
from hivemind_worker.commands.resolve import Resolved, add_setting_flags, flag_values, resolve
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `run` with one flag a setting."""
    parser = subparsers.add_parser("run", help="run the worker without a window")
    parser.add_argument("--json", action="store_true", help="problems as JSON")
    add_setting_flags(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run until `finish --quit`, SIGTERM, SIGINT or SIGHUP; exit code 0 after an orderly end."""
    os.umask(0o077)
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
    return 0 if problem_at_start is None else fail(problem_at_start, args.json)


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


async def _serve(resolved: Resolved) -> Problem | None:
    from hivemind_worker.store.worker_log import WorkerLog
    from hivemind_worker.worker_node import WorkerNode

    worker_log = WorkerLog(resolved.places.logs)
    node = WorkerNode(
        settings=resolved.settings,
        set_by_hand=resolved.sources,
        places=resolved.places,
        worker_log=worker_log,
    )
    _listen_for_signals(node.quit)
    try:
        problem = await node.start()
        if problem is None:
            await node.wait_for_quit()
        return problem
    finally:
        await node.stop()
        worker_log.close()


def _listen_for_signals(quit_orderly: Callable[[], None]) -> None:
    """The first signal ends the worker in order, the second at once: the next start recovers."""
    loop = asyncio.get_running_loop()
    asked = False

    def ask() -> None:
        nonlocal asked
        if asked:
            os._exit(130)
        asked = True
        quit_orderly()

    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is None:
            continue
        try:
            loop.add_signal_handler(number, ask)
        except NotImplementedError:  # Windows has no handlers on its loop
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(ask))
