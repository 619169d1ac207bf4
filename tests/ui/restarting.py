"""The app, whose files are exchanged as soon as it is up, with a reader who presses what it then offers:
`python -m tests.ui.restarting FILE`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from PySide6.QtWidgets import QAbstractButton, QApplication

from hivemind_worker import cli
from hivemind_worker.commands import gui
from hivemind_worker.machine import installation

OFFER = "Finish tasks, then restart"


class Worker(gui.Worker):
    """That of the window; an upgrade comes when it has started."""

    file = Path()

    async def ended(self) -> None:
        await asyncio.sleep(6)  # until its files have been looked at once
        self.file.write_text("the next version")
        while not (found := [each for each in QApplication.allWidgets() if is_offer(each)]):
            await asyncio.sleep(0.1)
        found[0].click()
        await super().ended()


def is_offer(widget: object) -> bool:
    return isinstance(widget, QAbstractButton) and widget.text() == OFFER


if __name__ == "__main__":
    Worker.file = Path(sys.argv.pop())
    Worker.file.write_text("this version")
    gui.Worker = Worker  # type: ignore[misc]
    from hivemind_worker.worker_node import facts

    facts.Installation = lambda: installation.Installation(lambda: Worker.file)  # type: ignore[assignment, misc]
    sys.argv.append("gui")
    sys.exit(cli.main(["gui"]))
