"""The window in a process of its own: 3 tasks, 50,000 lines a second, somebody who types. Prints JSON.

The lines come from another process, as a task's do; the loop's lateness is that of a 5 ms ticker.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import qasync
from PySide6.QtCore import QSettings
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from hivemind_worker.nursery import Nursery
from hivemind_worker.ui.app import make_application
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.screens.tasks import Tasks
from hivemind_worker.ui.shell import Shell
from hivemind_worker.ui.theme import appearance
from tests.fakes.node import FakeNode, make_task

WRITER = """
import sys, time
files = [open(name, "ab", buffering=0) for name in sys.argv[2:]]
line, number, begun, end = b"x" * 40, 0, time.monotonic(), time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    for file in files:
        file.write(b"".join(b"line %08d %s\\n" % (number + n, line) for n in range(167)))
    number += 167 * len(files)
    time.sleep(max(0.0, begun + number / 50000 - time.monotonic()))
print(number / (time.monotonic() - begun))
"""
TICK_S = 0.005


class Watch:
    """How late a ticker is, and how long until what was typed is on the screen."""

    def __init__(self) -> None:
        self.late_ms: list[float] = []

    async def tick(self) -> None:
        due_s = time.perf_counter()
        while True:
            due_s = max(due_s + TICK_S, time.perf_counter())
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            self.late_ms.append(max(0.0, (time.perf_counter() - due_s) * 1000))


async def until_painted(widget: QWidget) -> None:
    """Until everything that is waiting to be painted has been."""
    widget.repaint()
    await asyncio.sleep(0)


async def type_and_choose(screen: Tasks, seconds: float) -> tuple[list[float], list[float]]:
    typed, rows = [], []
    end_s, number = time.perf_counter() + seconds, 0
    while time.perf_counter() < end_s:
        begun_s = time.perf_counter()
        QTest.keyClicks(screen.filter, "l" if number % 2 == 0 else "\b")
        await until_painted(screen.filter)
        typed.append((time.perf_counter() - begun_s) * 1000)
        if number % 2:
            screen.filter.clear()
        begun_s = time.perf_counter()
        screen.table().selectRow(number % 3)
        await until_painted(screen.table().viewport())
        rows.append((time.perf_counter() - begun_s) * 1000)
        number += 1
        await asyncio.sleep(0.2)
    return typed, rows


async def change(node: FakeNode) -> None:
    """Rows change four times a second, as with a busy engine."""
    while True:
        await asyncio.sleep(0.25)
        node.picture = replace(node.picture, at_s=node.picture.at_s + 0.25)


async def main(folder: Path, seconds: float) -> None:
    appearance().start(folder / "look", "light", 1.0)
    nursery = Nursery("window")
    memory = QSettings(str(folder / "window.ini"), QSettings.Format.IniFormat)
    memory.setValue("setup/done", True)
    bridge, node, watch = Bridge(nursery, memory), FakeNode(folder, time.time), Watch()
    shell = Shell(bridge, memory, quit=lambda: None)
    tasks = [make_task(f"line {number}", started_at_s=time.time()) for number in range(3)]
    node.picture = replace(node.picture, tasks=tuple(tasks))
    for task in tasks:
        node.write_log(task, b"begin\n")
    shell.start(hidden=False)
    shell.complete()
    bridge.attach(node)
    screen = shell.window.open("tasks")
    assert isinstance(screen, Tasks)
    await asyncio.sleep(1)
    screen.table().selectRow(0)
    screen.open_pane()
    screen.filter.setFocus()
    names = [str(node.output_log(task.key)) for task in tasks]
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(seconds + 2), *names], stdout=subprocess.PIPE, text=True
    )
    await asyncio.sleep(1)
    nursery.start("tick", watch.tick())
    nursery.start("change", change(node))
    typed, rows = await type_and_choose(screen, seconds)
    late = sorted(watch.late_ms)
    out, _ = writer.communicate()
    print(json.dumps({
        "late_p999_ms": late[int(len(late) * 0.999)], "late_worst_ms": late[-1],
        "typed_p95_ms": sorted(typed)[int(len(typed) * 0.95)],
        "row_p95_ms": sorted(rows)[int(len(rows) * 0.95)],
        "lines_s": float(out), "shown": screen.pane.log.view.blockCount(),
    }))  # fmt: skip
    shell.stopping()
    bridge.detach()
    await nursery.close()
    shell.close()


if __name__ == "__main__":
    app: QApplication = make_application([])
    loop = qasync.QEventLoop(app)
    asyncio.Runner(loop_factory=lambda: loop).run(main(Path(sys.argv[1]), float(sys.argv[2])))
