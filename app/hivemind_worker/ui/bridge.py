"""The one object that meets the worker: its pictures come out as signals, wishes go in.

Latest wins: pictures are told at most four times a second, figures once a second and only while
somebody looks. Nothing here decides or words anything. Counterpart: `engine.face`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QSettings, QTimer, Signal

if TYPE_CHECKING:
    from hivemind_worker.engine.face import Command, NodeFace
    from hivemind_worker.model.effects import Reply
    from hivemind_worker.model.machine import Sample
    from hivemind_worker.model.snapshot import Snapshot
    from hivemind_worker.model.task import Problem
    from hivemind_worker.nursery import Nursery

log = logging.getLogger(__name__)

ROWS_MS, METRICS_MS, HIDDEN_MS = 250, 1000, 1000
"""Least distances of two pictures: while the window is seen, of the figures, while it is hidden."""


class Bridge(QObject):
    """Use from the loop's thread only. Before `attach` and after `detach` there is no node."""

    snapshot_changed = Signal(object)
    """A `Snapshot`."""
    sample_changed = Signal(object)
    """A `Sample`."""
    settings_changed = Signal()
    refused = Signal(object)
    """A wish was not granted: the `Problem`."""
    place_wanted = Signal(str)
    """A screen leads to another place of the window."""
    help_wanted = Signal(str)
    """A page of the documentation is to be read, "" for the one about this place."""
    bug = Signal(str)
    """Something unexpected went wrong and is in the log."""

    def __init__(self, nursery: Nursery, memory: QSettings) -> None:
        """`memory` keeps what the window remembers between two starts."""
        super().__init__()
        self.memory = memory
        self.node: NodeFace | None = None
        self.snapshot: Snapshot | None = None
        self.sample: Sample | None = None
        self.nursery = nursery
        self._seen = False
        self._told_s = 0.0
        self._unwatch: Callable[[], None] | None = None
        self._asking: dict[str, Any] = {}
        self._soon = QTimer(self, singleShot=True)
        self._soon.timeout.connect(self._tell)
        self._ticker = QTimer(self, interval=METRICS_MS)
        self._ticker.timeout.connect(self._tick)
        self._settings: object = None

    # --- the node comes and goes --------------------------------------------------------------

    def attach(self, node: NodeFace) -> None:
        """The worker is up: tell its picture, and every one that follows."""
        self.node = node
        self._settings = node.settings
        self._unwatch = node.watch(self._changed)
        self._tell()
        self._tick()

    def detach(self) -> None:
        """The worker is about to end: ask it nothing any more."""
        self._soon.stop()
        self._ticker.stop()
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        for task in self._asking.values():
            task.cancel()
        self._asking.clear()
        self.node = None

    def look(self, seen: bool) -> None:
        """Whether somebody sees the window: hidden, nothing ticks and figures are not asked for."""
        if seen == self._seen:
            return
        self._seen = seen
        if not seen:
            self._ticker.stop()
            return
        self._ticker.start()
        if self.node is not None:
            self._tell()
            self._tick()

    # --- pictures -----------------------------------------------------------------------------

    def _changed(self) -> None:
        if self._soon.isActive():
            return
        least_ms = ROWS_MS if self._seen else HIDDEN_MS
        passed_ms = (time.monotonic() - self._told_s) * 1000
        self._soon.start(max(0, round(least_ms - passed_ms)))

    def _tell(self) -> None:
        if self.node is None:
            return
        self._told_s = time.monotonic()
        self.snapshot = self.node.snapshot()
        if self.node.settings is not self._settings:
            self._settings = self.node.settings
            self.settings_changed.emit()
        self.snapshot_changed.emit(self.snapshot)

    def _tick(self) -> None:
        """Once a second while seen: what counts seconds moves on, and the figures are asked for."""
        if self.node is None or not self._seen:
            return
        if time.monotonic() - self._told_s > METRICS_MS / 1000 - 0.1:
            self._tell()
        self.query("sample", lambda node: node.sample(), self._sampled)

    def _sampled(self, sample: Sample) -> None:
        self.sample = sample
        self.sample_changed.emit(sample)

    # --- wishes and questions -----------------------------------------------------------------

    def ask(self, command: Command, then: Callable[[Reply], None] | None = None) -> None:
        """Have the worker decide on a wish; a refusal is told by `refused`."""

        from hivemind_worker.model.effects import Refused  # noqa: PLC0415 - after the first paint

        def answered(reply: Reply) -> None:
            if isinstance(reply, Refused):
                self.refused.emit(reply.problem)
            if then is not None:
                then(reply)

        if self.node is not None:
            node = self.node
            self.start(f"ask {type(command).__name__}", self._then(lambda: node.ask(command), answered))

    def query(
        self, name: str, question: Callable[[NodeFace], Awaitable[Any]], then: Callable[[Any], None]
    ) -> None:
        """Ask the worker something; of several questions of one name only the last is answered."""
        if self.node is None:
            return
        earlier = self._asking.get(name)
        if earlier is not None and not earlier.done():
            if name == "sample":
                return  # the same answer is on its way
            earlier.cancel()
        node = self.node
        self._asking[name] = self.start(name, self._then(lambda: question(node), then))

    def change_settings(
        self, values: dict[str, object], then: Callable[[tuple[Problem, ...]], None] | None = None
    ) -> None:
        """Keep settings; None takes one out of the file. Without `then` a refusal is told by `refused`."""

        def answered(problems: tuple[Problem, ...]) -> None:
            if problems:
                self.refused.emit(problems[0])

        self.query("settings", lambda node: node.change_settings(values), then or answered)

    def start(self, name: str, work: Any) -> Any:
        """Run a coroutine beside the window; what it did not expect reaches the log and `bug`."""
        task = self.nursery.start(name, self._guarded(name, work))
        task.add_done_callback(lambda _task: work.close())  # where it was cancelled before it began
        return task

    async def _then(self, question: Callable[[], Awaitable[Any]], then: Callable[[Any], None]) -> None:
        then(await question())

    async def _guarded(self, name: str, work: Awaitable[Any]) -> Any:
        try:
            return await work
        except Exception:  # a door: the window lives on
            log.exception("bug in the window: %s", name)
            self.bug.emit(name)
            return None
