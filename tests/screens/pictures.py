"""Pictures of the screens for the documentation: `python -m tests.screens.pictures FOLDER`.

Offscreen and from the scenes of the tests, so that they can be made again anywhere.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication

from hivemind_worker.places import resources
from hivemind_worker.presentation.catalogue import use_language
from hivemind_worker.ui.app import make_application
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.main_window import MainWindow
from hivemind_worker.ui.theme import appearance
from tests.fakes.node import FakeNode
from tests.screens.scenes import busy
from tests.screens.stand import AtOnce

WANTED = (
    ("pools", "light", "en"), ("rules", "light", "en"),
    ("history", "light", "en"), ("settings", "light", "zh_TW"), ("doctor", "dark", "en"),
    ("account", "light", "en"), ("network", "light", "en"),
)  # fmt: skip


def picture(key: str, theme: str, language: str, target: Path) -> None:
    """One screen in the whole window."""
    use_language(resources() / "locale", language)
    appearance().choose(theme, 1.0)
    with tempfile.TemporaryDirectory() as folder:
        node = FakeNode(Path(folder))
        busy(node)
        memory = QSettings(f"{folder}/window.ini", QSettings.Format.IniFormat)
        bridge = Bridge(AtOnce("pictures"), memory)
        bridge.attach(node)
        window = MainWindow(memory)
        window.furnish(bridge)
        window.resize(1100, 720)
        window.show()
        window.complete()
        window.open(key)
        for _round in range(8):  # layouts settle by and by
            bridge._tell()
            bridge.query("sample", lambda node: node.sample(), bridge._sampled)
            QApplication.processEvents()
        window.grab().save(str(target / f"{key}-{theme}-{language}.png"))
        bridge.detach()
        window.close()
        window.deleteLater()
        QApplication.processEvents()


def main() -> None:
    """Make them all."""
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    make_application([])
    with tempfile.TemporaryDirectory() as look:
        appearance().start(Path(look), "light", 1.0)
        for key, theme, language in WANTED:
            picture(key, theme, language, target)
            print(f"{key}, {theme}, {language}")


if __name__ == "__main__":
    main()
