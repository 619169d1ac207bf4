"""A person at the window, with a keyboard alone: `python -m tests.vpn.set_up_by_keys PROFILE FOLDER`.

A real worker and the real set-up on the display of the environment. Pastes the profile, goes through the five
steps, saves a picture of each in FOLDER, prints when the pool is reached, and stays until it is ended.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import qasync
from PySide6.QtCore import QSettings
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from hivemind_worker.commands.resolve import resolve
from hivemind_worker.model.snapshot import LinkState
from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import Nursery
from hivemind_worker.store.worker_log import WorkerLog
from hivemind_worker.ui.app import make_application
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.theme import appearance
from hivemind_worker.ui.vpn_setup.window import VpnSetup
from hivemind_worker.worker_node import WorkerNode

LIMIT_S = 60.0


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not holds():
            await asyncio.sleep(0.01)


def press(key: str) -> None:
    target = QApplication.focusWidget()
    assert target is not None, "nothing has the focus"
    QTest.keySequence(target, key)


async def go_through(setup: VpnSetup, profile: str, folder: Path) -> None:
    """Paste, Tab to the main button, Enter on each step."""
    await until(lambda: setup.isActiveWindow() and setup.source.paste.hasFocus())
    QGuiApplication.clipboard().setText(profile)  # as copied from the owner's message
    press("Ctrl+V")
    setup.grab().save(str(folder / "step-1.png"))
    for _key in range(12):
        if setup.next.hasFocus():
            break
        press("Tab")
    for number in range(1, 5):
        await until(lambda: setup.next.isEnabled() and setup.next.hasFocus())
        press("Return")
        await until(lambda number=number: setup.number == number)
        await asyncio.sleep(0.1)
        setup.grab().save(str(folder / f"step-{number + 1}.png"))
    await until(setup.next.hasFocus)
    press("Return")


async def main(profile: Path, folder: Path) -> None:
    resolved = resolve({})
    assert not isinstance(resolved, Problem), resolved
    resolved.places.make()
    worker_log = WorkerLog(resolved.places.logs)
    node = WorkerNode(settings=resolved.settings, set_by_hand=resolved.sources, places=resolved.places,
                      worker_log=worker_log)  # fmt: skip
    nursery = Nursery("window")
    bridge = Bridge(nursery, QSettings(str(folder / "window.ini"), QSettings.Format.IniFormat))
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    try:
        problem = await node.start()
        assert problem is None, problem
        bridge.attach(node)
        await until(lambda: node.snapshot().runtime.ready)
        setup = VpnSetup(bridge, None)
        setup.open()
        began_s = time.monotonic()
        await go_through(setup, profile.read_text(), folder)
        await until(lambda: node.snapshot().pool.link is LinkState.REGISTERED)
        print(json.dumps({"joined_s": round(time.monotonic() - began_s, 1)}), flush=True)
        await ended.wait()
    finally:
        bridge.detach()
        await nursery.close()
        await node.stop()
        worker_log.close()


if __name__ == "__main__":
    application = make_application([])
    appearance().start(Path(sys.argv[2]) / "look", "light", 1.0)
    with qasync.QEventLoop(application) as loop:
        loop.run_until_complete(main(Path(sys.argv[1]), Path(sys.argv[2])))
