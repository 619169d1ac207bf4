"""`gui`: the desktop app. Without a verb this runs where there is a display."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from hivemind_worker.commands import first_picture
from hivemind_worker.commands.printing import fail
from hivemind_worker.commands.resolve import Resolved, add_setting_flags, flag_values, resolve
from hivemind_worker.machine.privacy import keep_memory_private
from hivemind_worker.machine.single_instance import SingleInstance
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem

if TYPE_CHECKING:
    from hivemind_worker.engine.face import NodeFace
    from hivemind_worker.machine.endings import Endings
    from hivemind_worker.store.worker_log import WorkerLog
    from hivemind_worker.ui.app import Opening
    from hivemind_worker.worker_node import WorkerNode


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `gui` with one flag a setting."""
    parser = subparsers.add_parser("gui", help="open the desktop app")
    parser.add_argument("--hidden", action="store_true", help="begin in the tray, where there is one")
    parser.add_argument("--json", action="store_true", help="problems as JSON")
    add_setting_flags(parser)
    parser.set_defaults(func=gui)


def gui(args: argparse.Namespace) -> int:
    """Run until quit; a second start raises the first one's window and ends with 0."""
    if not first_picture.has_display():
        about = "There is no display to open a window on. Use: hivemind-worker run"
        return fail(Problem(code=FaultCode.BAD_USAGE, about=about), args.json)
    keep_memory_private()
    early = first_picture.taken()
    resolved = resolve(flag_values(args))
    if isinstance(resolved, Problem):
        return fail(resolved, args.json)
    instance = early.instance if early is not None else SingleInstance(resolved.places.lock_file)
    try:
        resolved.places.make()
        taken = instance.take()
    except OSError as error:
        about = f"{error.filename}: {error.strerror}"
        return fail(Problem(code=FaultCode.NO_PERMISSION, about=about), args.json)
    if taken is not None:
        return _raise_first(resolved, taken, args.json)
    worker = Worker(resolved, instance)
    code = _open(worker, early.opening if early is not None else None, hidden=args.hidden)
    if worker.again:
        _start_anew()
    _leave(code)
    return code


def _start_anew() -> None:
    """The same command once more, as a process of its own: this one's files may be gone."""
    import subprocess

    from hivemind_worker.nursery.children import own_program

    program = own_program("gui")
    # Frozen, it would otherwise take the folder of the version that ends for its own.
    around = {**os.environ, **dict(program.env), "PYINSTALLER_RESET_ENVIRONMENT": "1"}
    subprocess.Popen(
        [*program.argv, *(word for word in sys.argv[2:] if word != "--hidden")],
        env=around,
        start_new_session=True,
    )


def _raise_first(resolved: Resolved, taken: Problem, json: bool) -> int:
    """The window that is there comes to the front; a worker without one is named."""
    from hivemind_worker.ui.first_instance import ask_to_show

    return 0 if ask_to_show(resolved.places.state) else fail(taken, json)


def _open(worker: Worker, opening: Opening | None, *, hidden: bool) -> int:
    from hivemind_worker.ui.app import run

    return run(worker, opening=opening, hidden=hidden)


def _leave(code: int) -> None:
    """Go although a thread is caught in a call without end, or Qt has been ended under us."""
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if code or any(not thread.daemon for thread in others):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class Worker:
    """Fits `ui.app.Host`: has the worker made in this process, its slow imports in a thread."""

    def __init__(self, resolved: Resolved, instance: SingleInstance) -> None:
        self.settings, self.state = resolved.settings, resolved.places.state
        self._resolved, self._instance = resolved, instance
        self.again = False
        self._endings: Endings | None = None
        self._log: WorkerLog | None = None
        self._node: WorkerNode | None = None

    def listen(self, ask: Callable[[], None]) -> None:
        from hivemind_worker.machine.endings import Endings

        self._endings = Endings(ask)
        self._endings.listen()

    async def start(self) -> NodeFace | Problem:
        from hivemind_worker.nursery import NamedThread

        importing = NamedThread("imports")
        await importing.call(import_module, "hivemind_worker.worker_node")
        importing.close(wait=False)
        from hivemind_worker.pool.polling import keep
        from hivemind_worker.store.worker_log import WorkerLog
        from hivemind_worker.worker_node import WorkerNode

        keep()
        self._log = WorkerLog(self._resolved.places.logs)
        self._node = WorkerNode(
            settings=self._resolved.settings,
            set_by_hand=self._resolved.sources,
            places=self._resolved.places,
            worker_log=self._log,
            instance=self._instance,
        )
        problem = await self._node.start()
        gc.freeze()  # what is there now stays: looking through it for garbage held the window up for 70 ms
        return problem or self._node

    async def ended(self) -> None:
        if self._node is not None:
            await self._node.wait_for_quit()

    async def stop(self) -> None:
        if self._node is not None:
            await self._node.stop()
        self._instance.give_up()

    def over(self, *, again: bool) -> None:
        self.again = again
        if self._log is not None:
            self._log.close()
        if self._endings is not None:
            self._endings.over()
