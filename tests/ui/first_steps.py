"""Pictures of the first steps, taken from the running app: `xvfb-run python -m tests.ui.first_steps FOLDER`.

The real window in a home of its own is led through its set-up by its own buttons, the first task included.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import QApplication, QLabel, QWidget

from hivemind_worker.commands.gui import Worker
from hivemind_worker.commands.resolve import resolve
from hivemind_worker.machine.single_instance import SingleInstance
from hivemind_worker.model.task import Problem

AROUND = {"NODE_ID": "larch", "NODE_PORT": "0", "FLASK_PORT": "0", "HIVEMIND_LANGUAGE": "en",
          "HIVEMIND_THEME": "light", "DOCKER_ENABLED": "false"}  # fmt: skip
LIMIT_S, LOOK_S = 120.0, 0.2


class Photographer(Worker):
    """The worker of the window, which leads through the set-up and ends."""

    folder = Path()

    async def ended(self) -> None:
        from hivemind_worker.ui.setup.window import SetupWindow

        await until(lambda: self._shown(SetupWindow) is not None)
        window = self._shown(SetupWindow)
        assert isinstance(window, SetupWindow)
        for number in range(1, 5):
            await until(lambda: window.next.isEnabled() and "Looking" not in words_of(window))
            self._take(window, f"first-{number}")
            window.next.click()
        await until(lambda: window.steps[-1].ready() and "works" in window.trial.title.text())
        self._take(window, "first-5")

    @staticmethod
    def _shown(kind: type[QWidget]) -> QWidget | None:
        return next((each for each in QApplication.topLevelWidgets() if isinstance(each, kind)), None)

    def _take(self, window: QWidget, name: str) -> None:
        window.grab().save(str(self.folder / f"{name}.png"))


def words_of(window: QWidget) -> str:
    """All that is written on the step that is shown."""
    return " ".join(label.text() for label in window.findChildren(QLabel) if label.isVisible())


async def until(holds: Callable[[], object]) -> None:
    """Wait for something to hold, and then a little for its picture."""
    async with asyncio.timeout(LIMIT_S):
        while not holds():
            await asyncio.sleep(LOOK_S)
        await asyncio.sleep(LOOK_S)


def main(folder: Path) -> int:
    """Take them; the exit code of the app."""
    with tempfile.TemporaryDirectory(prefix="hivemind-") as home:
        os.environ.update(AROUND, HIVEMIND_HOME=home)
        resolved = resolve({})
        assert not isinstance(resolved, Problem)
        resolved.places.make()
        instance = SingleInstance(resolved.places.lock_file)
        assert instance.take() is None
        from hivemind_worker.ui.app import run

        host = Photographer(resolved, instance)
        host.folder = folder.absolute()
        return run(host)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    sys.exit(main(target))
