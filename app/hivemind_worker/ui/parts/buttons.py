"""What is pressed: buttons with an icon of the theme, segments, switches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QButtonGroup,
    QCheckBox,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from hivemind_worker.ui.icons import icon, pixmap
from hivemind_worker.ui.theme import theme

GAP = 5

if TYPE_CHECKING:
    _AnyButton = QAbstractButton
else:
    _AnyButton = object  # Qt takes a single base of its own


class _Tinted(_AnyButton):
    """Draws its icon anew when the theme changes."""

    _icon_name = ""
    _icon_colour = "text"

    def set_icon(self, name: str, colour: str = "text") -> None:
        """Show this icon in a colour of the theme."""
        if (name, colour) != (self._icon_name, self._icon_colour):
            self._icon_name, self._icon_colour = name, colour
            self._tint()

    def _tint(self) -> None:
        if self._icon_name:
            px = theme().icon_px("icon_small")
            gap = GAP if self.text() and self.property("kind") != "icon" else 0
            self.setIconSize(QSize(px + gap, px))
            self.setIcon(icon(self._icon_name, self._icon_colour, px, gap=gap))

    def changeEvent(self, event: QEvent) -> None:
        if event.type() is QEvent.Type.StyleChange:
            self._tint()
        super().changeEvent(event)


class Button(_Tinted, QPushButton):
    """A button. Kinds: "" (framed), primary, small, quiet, danger, link."""

    def __init__(
        self, text: str, icon_name: str = "", kind: str = "", pressed: Callable[[], object] | None = None
    ) -> None:
        super().__init__(text)
        self.setProperty("kind", kind)
        self.setAccessibleName(text)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAutoDefault(False)
        if icon_name:
            self.set_icon(icon_name, "on-accent" if kind == "primary" else "text")
        if pressed is not None:
            self.clicked.connect(lambda _checked=False: pressed())

    def set_text(self, text: str) -> None:
        """Show another word."""
        if text != self.text():
            self.setText(text)
            self.setAccessibleName(text)
            self._tint()  # an icon keeps its distance from a word


class ToolButton(_Tinted, QToolButton):
    """A tool button: in a bar with text, or an icon alone with its word as tooltip (kind "icon")."""

    def __init__(
        self, text: str, icon_name: str, kind: str = "quiet", pressed: Callable[[], object] | None = None
    ) -> None:
        super().__init__()
        self.setProperty("kind", kind)
        self.setText(text)
        self.setAccessibleName(text)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.set_icon(icon_name, "text-2" if kind == "icon" else "text")
        if kind == "icon":
            self.setToolTip(text)
            self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
        else:
            self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        if pressed is not None:
            self.clicked.connect(lambda _checked=False: pressed())


class MenuButton(ToolButton):
    """A button that opens a menu at once, with a mark that says so."""

    def __init__(self, text: str, icon_name: str = "", menu: QMenu | None = None, kind: str = "") -> None:
        super().__init__(text, icon_name, kind)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        if menu is not None:
            self.setMenu(menu)


class Segments(QWidget):
    """A few choices in a row, exactly one of them taken."""

    chosen = Signal(str)

    def __init__(self, choices: Sequence[tuple[str, str]], name: str) -> None:
        """`choices`: key and word of each; `name` says what is chosen."""
        super().__init__()
        self.setAccessibleName(name)
        self._group = QButtonGroup(self)
        self._keys = [key for key, _word in choices]
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        for number, (_key, word) in enumerate(choices):
            button = QToolButton()
            button.setText(word)
            button.setCheckable(True)
            button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            button.setProperty("kind", "segment")
            place = "first" if number == 0 else "last" if number == len(choices) - 1 else ""
            button.setProperty("place", place)
            button.setAccessibleName(f"{name}: {word}")
            self._group.addButton(button, number)
            row.addWidget(button)
        self._group.button(0).setChecked(True)
        self._group.idClicked.connect(lambda number: self.chosen.emit(self._keys[number]))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def choose(self, key: str) -> None:
        """Take a choice without telling anybody."""
        self._group.button(self._keys.index(key)).setChecked(True)

    def rename(self, key: str, word: str) -> None:
        """Show another word for a choice."""
        button = self._group.button(self._keys.index(key))
        if button.text() != word:
            button.setText(word)
            button.setAccessibleName(f"{self.accessibleName()}: {word}")

    def choice(self) -> str:
        """The key of what is taken."""
        return self._keys[self._group.checkedId()]


class Switch(QCheckBox):
    """On or off, acting at once. For a screen reader it is a check box, which it is."""

    WIDTH, HEIGHT = 34, 18

    def sizeHint(self) -> QSize:
        scale = theme().scale
        text = self.fontMetrics().horizontalAdvance(self.text()) + 10 if self.text() else 0
        height = max(round(self.HEIGHT * scale), self.fontMetrics().height())
        return QSize(round(self.WIDTH * scale) + text, height + 4)

    def hitButton(self, _position: object) -> bool:
        return True

    def paintEvent(self, _event: QPaintEvent) -> None:
        look, scale = theme(), theme().scale
        width, height = round(self.WIDTH * scale), round(self.HEIGHT * scale)
        top = (self.height() - height) // 2
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        on = self.isChecked()
        edge = look.colour("disabled" if not self.isEnabled() else "accent-edge" if on else "line-strong")
        painter.setPen(edge)
        painter.setBrush(edge if on else look.colour("sunken"))
        painter.drawRoundedRect(0, top, width - 1, height - 1, height / 2, height / 2)
        knob = height - 8
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(look.colour("surface") if on else edge)
        painter.drawEllipse(width - knob - 5 if on else 4, top + 4, knob, knob)
        if on:  # a mark inside: the state is not colour and place alone
            mark = round(10 * scale)
            painter.drawPixmap(5, top + (height - mark) // 2, pixmap("check", "surface", mark))
        if self.text():
            painter.setPen(look.colour("text") if self.isEnabled() else QColor(look.colours["disabled"]))
            box = self.rect().adjusted(width + 10, 0, 0, 0)
            painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, self.text())
        painter.end()
