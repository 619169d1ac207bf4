"""Panels, callouts, rows of facts: the frames that text stands in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLayout, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.look import Look
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.flow import WANTS, flowing
from hivemind_worker.ui.parts.text import Figure, Label, Sentence, Shape, set_kind
from hivemind_worker.ui.theme import theme

INSIDE = 16
LINES = 3
"""A sentence that would take more lines has what stands at its right below it."""
BESIDE_BADGE = 14
"""Between a badge and its headline."""


def column(spacing: int = 0, *, margins: tuple[int, int, int, int] = (0, 0, 0, 0)) -> QVBoxLayout:
    """A column without margins of its own."""
    layout = QVBoxLayout()
    layout.setContentsMargins(*margins)
    layout.setSpacing(spacing)
    return layout


def row(spacing: int = 0, *, margins: tuple[int, int, int, int] = (0, 0, 0, 0)) -> QHBoxLayout:
    """A row without margins of its own."""
    layout = QHBoxLayout()
    layout.setContentsMargins(*margins)
    layout.setSpacing(spacing)
    return layout


def box(kind: str, layout: QLayout) -> QFrame:
    """A frame of a kind of the style sheet around a layout."""
    frame = QFrame()
    frame.setProperty("kind", kind)
    frame.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
    frame.setLayout(layout)
    return frame


def line(*, upright: bool = False) -> QFrame:
    """A hairline."""
    frame = QFrame()
    frame.setProperty("kind", "vline" if upright else "line")
    if upright:
        frame.setFixedWidth(1)
    else:
        frame.setFixedHeight(1)
    return frame


def scrolled(content: QWidget) -> QScrollArea:
    """A page that scrolls where the window is too small for it."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setWidget(content)
    return area


def fill_page(screen: QWidget, inside: QVBoxLayout) -> None:
    """Make `inside` the screen's one scrolling page, its parts at the top."""
    inside.addStretch(1)
    page, whole = QWidget(), column()
    page.setLayout(inside)
    whole.addWidget(scrolled(page))
    screen.setLayout(whole)


class Panel(QFrame):
    """A bordered frame; `head` is its first line, with something at the right of it."""

    def __init__(self, title: str = "", *right: QWidget, note: str = "") -> None:
        super().__init__()
        self.setProperty("kind", "panel")
        self.body = column()
        self.body.setContentsMargins(0, 0, 0, 0)
        outer = column()
        outer.setContentsMargins(1, 1, 1, 1)
        if title:
            self.title = Label(title, "section")
            self.note = Label(note, "small")
            edges = (INSIDE, 6, INSIDE, 6)
            outer.addLayout(flowing(self.title, self.note, None, *right, spacing=8, margins=edges))
            outer.addWidget(line())
        outer.addLayout(self.body)
        self.setLayout(outer)


@dataclass(frozen=True, slots=True, kw_only=True)
class FactLine:
    """One row: its shape, a sentence (with its number where they are counted), a link with what it does,
    a second one for more about it, a time or figure at the right, and how long it took (None: no such
    column)."""

    look: Look
    text: str
    number: str = ""
    right: str = ""
    link: str = ""
    pressed: Callable[[], object] | None = None
    more: str = ""
    opened: Callable[[], object] | None = None
    took: str | None = None


class FactRow(QWidget):
    """Shows one `FactLine`; updated in place."""

    def __init__(self, left: int, least_px: int = 27) -> None:
        super().__init__()
        self._least_px = least_px
        self._shown: FactLine | None = None
        self.shape, self.number, self.text, self.right = Shape(), Figure(), Sentence(), Figure()
        self.took = Figure()
        self.took.hide()
        self.number.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.link = Button("", kind="link", pressed=self._press)
        self.more = Button("", kind="link", pressed=self._open)
        self.link.hide()
        self.more.hide()
        edge = INSIDE if left > 24 else 0
        inner = row(12, margins=(edge, 3, edge, 3))
        inner.addSpacing(self._before(left))
        inner.addWidget(self.shape, 0, Qt.AlignmentFlag.AlignCenter)
        inner.addSpacing(max(0, left - 12 - theme().icon_px("icon_small")) - self._before(left))
        inner.addWidget(self.number)
        inner.addLayout(flowing(self.text, None, self.link, self.more, self.right, spacing=12), 1)
        inner.addWidget(self.took)
        self.setLayout(inner)

    @staticmethod
    def _before(left: int) -> int:
        """Under a headline the shapes stand in the middle below its badge."""
        return (left - BESIDE_BADGE - theme().icon_px("icon_small")) // 2 if left > BESIDE_BADGE + 32 else 0

    def show_line(self, shown: FactLine) -> None:
        """Take the values of a line."""
        text_px = self.text.fontMetrics().height() + 6
        self.setMinimumHeight(max(self._least_px, text_px))
        ink = "text-2" if shown.look.tone == "offline" else f"state-{shown.look.tone}-ink"
        self.shape.show_icon(shown.look.icon, ink, shown.look.word)
        self.number.setText(shown.number)
        self.number.setMinimumWidth(self.number.fontMetrics().horizontalAdvance("00"))
        self.number.setVisible(bool(shown.number))
        self.text.setText(shown.text)
        self.text.setProperty(WANTS, self.text.sizeHint().width() // LINES + 60)
        self.right.setText(shown.right)
        self.link.set_text(shown.link)
        self.link.setVisible(bool(shown.link))
        self.more.set_text(shown.more)
        self.more.setVisible(bool(shown.more))
        self.took.setText(shown.took or "")
        self.took.setMinimumWidth(self.took.fontMetrics().horizontalAdvance("000 ms"))
        self.took.setVisible(shown.took is not None)
        self._shown = shown
        told = (shown.look.word, shown.number, shown.text, shown.right, shown.took)
        self.setAccessibleName(" ".join(part for part in told if part))

    def _press(self) -> None:
        if self._shown is not None and self._shown.pressed is not None:
            self._shown.pressed()

    def _open(self) -> None:
        if self._shown is not None and self._shown.opened is not None:
            self._shown.opened()


class FactRows(QWidget):
    """Rows of facts below one another, parted by hairlines; widgets are kept and filled anew."""

    def __init__(self, *, left: int = 58, lines: bool = True, top: bool = True) -> None:
        """`lines`: hairlines between them; `top`: one above the first as well."""
        super().__init__()
        self._left, self._lines, self._top = left, lines, top
        self._rows: list[tuple[QFrame, FactRow]] = []
        self._column = column()
        self.setLayout(self._column)

    def show_lines(self, shown: Sequence[FactLine]) -> None:
        """Show exactly these."""
        while len(self._rows) < len(shown):
            self._add()
        for number, (hair, fact) in enumerate(self._rows):
            there = number < len(shown)
            hair.setVisible(there and self._lines and (self._top or number > 0))
            fact.setVisible(there)
            if there:
                fact.show_line(shown[number])

    def rows(self) -> list[FactRow]:
        """The rows that are shown."""
        return [fact for _hair, fact in self._rows if not fact.isHidden()]

    def _add(self) -> None:
        hair, fact = line(), FactRow(self._left, 27 if self._lines else 24)
        self._column.addWidget(hair)
        self._column.addWidget(fact)
        self._rows.append((hair, fact))


class Callout(QFrame):
    """A thing that needs the reader: shape, what it is, what it means, and what to press."""

    def __init__(self, *right: QWidget) -> None:
        super().__init__()
        self.setProperty("kind", "callout")
        self.shape = Shape(px="icon")
        self.title, self.text = Label("", "strong", wrap=True), Label("", "second", wrap=True)
        self._shows_details: Callable[[], object] | None = None
        self.details = Button(_("Details"), kind="link", pressed=self._show_details)
        self.details.hide()
        words = column(1)
        words.addWidget(self.title)
        words.addWidget(self.text)
        inner = row(12, margins=(INSIDE, 10, INSIDE, 10))
        inner.addWidget(self.shape, 0, Qt.AlignmentFlag.AlignVCenter)
        inner.addLayout(words, 1)
        inner.addWidget(self.details, 0, Qt.AlignmentFlag.AlignVCenter)
        for widget in right:
            inner.addWidget(widget, 0, Qt.AlignmentFlag.AlignVCenter)
        self.setLayout(inner)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def say(
        self, look: Look, title: str, text: str = "", details: Callable[[], object] | None = None
    ) -> None:
        """Show this; `details` opens all that is known of it."""
        self._shows_details = details
        self.details.setVisible(details is not None)
        set_kind(self, "callout", tone=look.tone)
        self.shape.show_icon(look.icon, f"state-{look.tone}-ink", look.word)
        self.title.setText(title)
        self.text.setText(text)
        self.text.setVisible(bool(text))
        self.setAccessibleName(" ".join(part for part in (look.word, title, text) if part))

    def _show_details(self) -> None:
        if self._shows_details is not None:
            self._shows_details()
