"""Looks at the worker's pictures for what is worth a notice, also while the window is hidden.

What is said, and when it is not, is decided by `presentation.notices`.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject

from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.model.task import Task
from hivemind_worker.presentation.notices import Notices
from hivemind_worker.ui.bridge import Bridge

EVERY_S = 5.0
LOOKED_BACK = 20


class Notifier(QObject):
    """`say` shows a title and a text by the tray's icon; a click on it opens the place."""

    def __init__(self, bridge: Bridge, say: Callable[[str, str, str], object]) -> None:
        super().__init__()
        self._bridge, self._say = bridge, say
        self._notices = Notices()
        self._looked_s = 0.0
        bridge.snapshot_changed.connect(self._changed)

    def _changed(self, snapshot: Snapshot) -> None:
        if snapshot.at_s - self._looked_s >= EVERY_S:
            self._looked_s = snapshot.at_s
            self._bridge.query("notices", lambda node: node.ended_tasks(LOOKED_BACK), self._look)

    def _look(self, ended: tuple[Task, ...]) -> None:
        node, snapshot = self._bridge.node, self._bridge.snapshot
        if node is None or snapshot is None:
            return
        for notice in self._notices.look(snapshot, ended, node.sending.all(), node.settings):
            self._say(notice.title, notice.body, notice.place)
