"""The last hour on Home: processor, memory and, where there is one, GPU; ours against everything else."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from hivemind_worker.model.metrics import Point
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.graphs import Graph, graph, headline, sliced
from hivemind_worker.presentation.ranges import RANGES
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.graphs import GraphView
from hivemind_worker.ui.parts.flow import WANTS, Columns, flowing
from hivemind_worker.ui.parts.panels import INSIDE, Panel, column
from hivemind_worker.ui.parts.text import Figure, Label, Sentence
from hivemind_worker.ui.screens.resources import Legend, limit_of
from hivemind_worker.ui.theme import theme

KINDS, HEIGHT, EVERY_S, MOST = ("cpu", "memory", "gpu"), 76, 10.0, 3600


class SmallGraph(QWidget):
    """A name, its parts, the whole, and the picture below."""

    def __init__(self) -> None:
        super().__init__()
        self.name, self.parts, self.whole = Label("", "strong"), Sentence("", "caption"), Figure("", "strong")
        self.view = GraphView()
        self.view.setFixedHeight(round(HEIGHT * theme().scale))
        head = flowing(self.name, self.parts, self.whole, spacing=8)
        whole = column(4, margins=(INSIDE, 8, INSIDE, 8))
        whole.addLayout(head)
        whole.addWidget(self.view)
        self.setLayout(whole)

    def show_graph(self, shown: Graph) -> None:
        """Draw another picture."""
        parts, whole = headline(shown)
        self.name.setText(shown.title)
        self.parts.setText(parts)
        self.parts.setProperty(WANTS, self.parts.sizeHint().width() // 2 + 20)
        self.whole.setText(whole)
        self.view.set_graph(shown)


class LastHour(Panel):
    """Three graphs side by side; asked for anew every ten seconds while it is seen."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(_("Last hour"), Legend())
        self.bridge = bridge
        self.graphs = {kind: SmallGraph() for kind in KINDS}
        self.columns = Columns(*self.graphs.values(), framed=False)
        self.body.addWidget(self.columns)
        self._asked_s = 0.0

    def show_picture(self, snapshot: Snapshot, *, anew: bool = False) -> None:
        """Ask for the figures of the last hour, when those that are shown are old."""
        if self.bridge.sample is None:  # it tells how much memory there is; it comes within a second
            return
        if not anew and snapshot.at_s - self._asked_s < EVERY_S:
            return
        self._asked_s = snapshot.at_s
        span = RANGES["1h"]
        self.bridge.query(
            "last hour", lambda node: node.history(span.step, snapshot.at_s - span.length_s, MOST), self._got
        )

    def _got(self, points: tuple[Point, ...]) -> None:
        snapshot, sample = self.bridge.snapshot, self.bridge.sample
        if snapshot is None:
            return
        cut = sliced(points, RANGES["1h"], self._asked_s)
        scale = sample.memory_total_gb if sample is not None and sample.memory_total_gb else 1.0
        for kind, made in self.graphs.items():
            shown = graph(cut, kind, scale=scale, limit=limit_of(kind, snapshot))
            there = kind != "gpu" or not shown.is_empty
            self.columns.show_part(made, there)
            if there:
                made.show_graph(shown)
