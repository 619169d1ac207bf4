"""Saving: asks where to, never blocks the loop while it asks."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QWidget

from hivemind_worker.presentation.catalogue import _


def save_copy(parent: QWidget, path: Path, name: str) -> None:
    """Ask where to, and copy the file there."""
    _ask(parent, name, lambda chosen: shutil.copyfile(path, chosen))


def save_text(parent: QWidget, text: str, name: str) -> None:
    """Ask where to, and write the text there."""
    _ask(parent, name, lambda chosen: Path(chosen).write_text(text, "utf-8"))


def _ask(parent: QWidget, name: str, save: Callable[[str], object]) -> None:
    dialog = QFileDialog(parent, _("Save a copy"), name)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.selectFile(name)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.fileSelected.connect(save)
    dialog.open()
