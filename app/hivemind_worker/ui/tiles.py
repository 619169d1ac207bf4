"""The three tiles of Home: how many tasks run, what came in, how far trust has come."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.model.task import TaskState
from hivemind_worker.presentation.catalogue import _, translate_many
from hivemind_worker.presentation.health import unended
from hivemind_worker.presentation.ledger import Day, earned
from hivemind_worker.presentation.page_words import HIGH_FROM, MEDIUM_FROM, trust
from hivemind_worker.presentation.window_words import stop_loss
from hivemind_worker.ui.icons import pixmap
from hivemind_worker.ui.parts.panels import INSIDE, column, row
from hivemind_worker.ui.parts.text import Figure, Label, Sentence
from hivemind_worker.ui.theme import theme

MOST_SHAPES = 8


class Tile(QWidget):
    """A name with a note at its right, a figure with a drawing at its right, and a line below."""

    def __init__(self, title: str, picture: QWidget) -> None:
        super().__init__()
        self.title, self.note = Label(title, "section"), Figure("", "small")
        self.figure, self.unit = Label("", "figure"), Label("", "second")
        self.below = Sentence("", "caption")
        self.picture = picture
        head, middle = row(8), row(6)
        head.addWidget(self.title)
        head.addStretch(1)
        head.addWidget(self.note)
        middle.addWidget(self.figure, 0, Qt.AlignmentFlag.AlignBottom)
        middle.addWidget(self.unit, 0, Qt.AlignmentFlag.AlignBottom)
        middle.addStretch(1)
        middle.addWidget(picture, 0, Qt.AlignmentFlag.AlignVCenter)
        whole = column(2, margins=(INSIDE, 8, INSIDE, 8))
        whole.addLayout(head)
        whole.addLayout(middle)
        whole.addWidget(self.below)
        whole.addStretch(1)
        self.setLayout(whole)

    def say(self, figure: str, unit: str, note: str, below: str) -> None:
        """Show these; what it says is also its name for those who listen."""
        for label, text in ((self.figure, figure), (self.unit, unit), (self.note, note), (self.below, below)):
            label.setText(text)
        self.setAccessibleName(f"{self.title.text()}: {figure} {unit}. {note}. {below}")


class Slots(QWidget):
    """A shape for each place of a task: taken, held, free."""

    def __init__(self) -> None:
        super().__init__()
        self._shapes: tuple[tuple[str, str], ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_places(self, snapshot: Snapshot) -> None:
        """Take the tasks of the picture."""
        shapes = [
            ("tray-paused", "state-paused-ink") if task.state is TaskState.PAUSED
            else ("tray-working", "state-working-ink")
            for task in unended(snapshot)
        ]  # fmt: skip
        shapes += [("tray-waiting", "state-waiting-ink")] * (snapshot.max_tasks - len(shapes))
        made = tuple(shapes[:MOST_SHAPES])
        if made != self._shapes:
            self._shapes = made
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:
        px = theme().icon_px()
        return QSize(max(1, len(self._shapes)) * (px + 5), px + 2)

    def paintEvent(self, _event: QPaintEvent) -> None:
        px, painter = theme().icon_px(), QPainter(self)
        for number, (name, colour) in enumerate(self._shapes):
            painter.drawPixmap(number * (px + 5), 1, pixmap(name, colour, px, self.devicePixelRatioF()))
        painter.end()


class DayColumns(QWidget):
    """The last days as columns, today's in honey."""

    def __init__(self) -> None:
        super().__init__()
        self._values: tuple[float | None, ...] = ()
        self.setAccessibleName(_("Earned in the last 14 days"))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_days(self, values: tuple[float | None, ...]) -> None:
        """Oldest first; None where nothing is known."""
        if values != self._values:
            self._values = values
            self.update()

    def sizeHint(self) -> QSize:
        scale = theme().scale
        return QSize(round(126 * scale), round(26 * scale))

    def paintEvent(self, _event: QPaintEvent) -> None:
        top = max((value or 0 for value in self._values), default=0)
        if not top:
            return
        look, painter = theme(), QPainter(self)
        wide = self.width() / len(self._values)
        for number, value in enumerate(self._values):
            ours = number == len(self._values) - 1
            painter.setPen(QPen(look.colour("chart-ours-line" if ours else "chart-others-line"), 1))
            painter.setBrush(look.colour("chart-ours-fill" if ours else "chart-others-fill"))
            height = (self.height() - 2) * (value or 0) / top
            if value:
                painter.drawRect(
                    QRectF(round(number * wide), round(self.height() - 1 - height), round(wide - 2), height)
                )
        painter.end()


class TrustBar(QWidget):
    """Low, medium and high, and where the score stands."""

    def __init__(self) -> None:
        super().__init__()
        self._score, self._mark = 0, 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_score(self, score: int, mark: int, words: str) -> None:
        """0 to 100, with the owner's mark; `words` says the same."""
        self.setAccessibleName(words)
        self.setToolTip(words)
        if (score, mark) != (self._score, self._mark):
            self._score, self._mark = score, mark
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(160, 13 + round(16 * theme().scale))

    def paintEvent(self, _event: QPaintEvent) -> None:
        look, painter = theme(), QPainter(self)
        painter.setFont(look.font("caption"))
        width = self.width() - 1
        for begin, end, name in (
            (0, MEDIUM_FROM, _("Low")), (MEDIUM_FROM, HIGH_FROM, _("Medium")), (HIGH_FROM, 100, _("High")),
        ):  # fmt: skip
            inside = begin <= self._score < end or (end == 100 and self._score == end)
            painter.setPen(QPen(look.colour("accent-edge" if inside else "line-strong"), 1))
            painter.setBrush(look.colour("accent" if inside else "sunken"))
            left = width * begin / 100
            painter.drawRect(QRectF(round(left), 4, round(width * (end - begin) / 100), 6))
            painter.setPen(look.colour("text-2"))
            box = QRectF(left, 14, width * (end - begin) / 100, self.height() - 14)
            painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop, name)
        painter.setPen(QPen(look.colour("text-2"), 1, Qt.PenStyle.DotLine))
        mark = round(width * self._mark / 100)
        painter.drawLine(mark, 0, mark, 13)
        at = round(width * self._score / 100)
        painter.fillRect(QRectF(max(0, at - 1), 0, 3, 14), look.colour("text"))
        painter.end()


class RunningTile(Tile):
    def __init__(self) -> None:
        self.slots = Slots()
        super().__init__(_("Running"), self.slots)

    def show_picture(self, snapshot: Snapshot) -> None:
        """How many of how many, and what stopping would lose."""
        tasks = unended(snapshot)
        running = sum(task.state is TaskState.RUNNING for task in tasks)
        held = sum(task.state is TaskState.PAUSED for task in tasks)
        waiting = len(tasks) - running - held
        free = snapshot.max_tasks - len(tasks)
        if held:
            note = translate_many("{count} frozen", "{count} frozen", held)
        elif waiting:
            note = translate_many(
                "{count} more accepted, starting", "{count} more accepted, starting", waiting
            )
        else:
            note = translate_many("room for {count}", "room for {count}", free) if free > 0 else ""
        self.slots.show_places(snapshot)
        self.say(str(running), _("of {count}", count=snapshot.max_tasks), note, stop_loss(snapshot))


class EarnedTile(Tile):
    def __init__(self) -> None:
        self.columns = DayColumns()
        super().__init__(_("Earned today"), self.columns)

    def show_days(self, snapshot: Snapshot, days: Sequence[Day]) -> None:
        """What came in today and in the days before, as far as it is known."""
        shown = earned(snapshot, days)
        self.columns.show_days(tuple(day.earned for day in reversed(days)))
        self.say(shown.today, "CPT", shown.note, shown.below)


class TrustTile(Tile):
    def __init__(self) -> None:
        self.bar = TrustBar()
        super().__init__(_("Trust"), QWidget())
        layout = self.layout()
        assert layout is not None
        layout.replaceWidget(self.below, self.bar)
        self.below.hide()

    def show_picture(self, snapshot: Snapshot) -> None:
        """The score, its group, and how far the next one is."""
        shown = trust(snapshot)
        words = _("{score} of 100, {group}", score=shown.score, group=shown.group)
        self.bar.show_score(shown.score, shown.mark, f"{words}, {shown.against_mark}")
        self.say(str(shown.score), _("of {count}", count=100), shown.next_step, shown.group)
