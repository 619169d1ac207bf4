"""Folders and archives dropped anywhere on the window: they are sent from Pools, as when dropped there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QEvent, QMimeData, QObject
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QWidget


def local_files(data: QMimeData) -> tuple[Path, ...]:
    """What of it lies on this computer."""
    return tuple(Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile())


class Dropping(QObject):
    """Takes what is dropped on `window` where no part of it wants it."""

    def __init__(self, window: QWidget, dropped: Callable[[tuple[Path, ...]], object]) -> None:
        super().__init__(window)
        self._dropped = dropped
        window.setAcceptDrops(True)
        window.installEventFilter(self)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QDragEnterEvent):
            if local_files(event.mimeData()):
                event.acceptProposedAction()
            return True
        if isinstance(event, QDropEvent) and event.type() is QEvent.Type.Drop:
            self._dropped(local_files(event.mimeData()))
            event.acceptProposedAction()
            return True
        return False
