"""The screens: one module each, listed in `ui.places`.

A screen is a widget that shows a worker's picture: `render` is called while it is seen, at most four
times a second; `opened` and `closed` when it comes and goes. It gets the bridge, and asks that alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hivemind_worker.model.snapshot import Snapshot
    from hivemind_worker.ui.bridge import Bridge


class Screen(QWidget):
    """One place of the window."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.bridge = bridge
        self.setProperty("kind", "page")

    def render_picture(self, snapshot: Snapshot) -> None:
        """Show this picture. Only ever called while the screen is seen."""

    def opened(self) -> None:
        """The screen is seen from now on: begin to ask for what it needs beside pictures."""

    def closed(self) -> None:
        """It is not seen any more: ask for nothing."""

    def refresh(self) -> None:
        """The reader wants everything looked at anew (F5)."""
        self.opened()

    def look_for(self) -> None:
        """The reader wants to look for something (Ctrl+F)."""

    def take_files(self, paths: Sequence[Path]) -> None:
        """These were dropped on the window."""
