"""The look in force: colours, sizes and type from tokens.json, for widgets, style sheet and painters.

The only file of the window that knows where a colour comes from. Counterpart: resources/ui/window.qss,
which names tokens and holds no value of its own.

PySide makes a class when its name is first asked for, and the namespace `Qt` takes longer than the whole
first picture: what that can do without is asked of `QtCore` and `QtGui` where it is used.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from PySide6 import QtCore, QtGui
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontMetrics
from PySide6.QtWidgets import QApplication

from hivemind_worker.places import resources
from hivemind_worker.presentation.tokens import Tokens, read_tokens

log = logging.getLogger(__name__)

SYSTEM, LIGHT, DARK = "system", "light", "dark"
GENERIC = frozenset({"", "sans", "sans serif", "sans-serif"})
FALLBACKS = ("Inter", "Noto Sans", "Cantarell", "DejaVu Sans")
"""Where no desktop names its own font."""
MARKS = {
    "check": "surface",
    "chevron-down": "text-2",
    "chevron-right": "text-2",
    "chevron-up": "text-2",
}
"""Pictures that the style sheet draws, which takes files and knows no colour of the text."""
ROLES = {
    "window": "Window",
    "text": "WindowText",
    "surface": "Base",
    "sunken": "AlternateBase",
    "select": "Highlight",
    "on-select": "HighlightedText",
    "link": "Link",
    "text-3": "PlaceholderText",
    "rail": "Button",
}


@dataclass(frozen=True, slots=True)
class Theme:
    """One look: a theme's colours at a text scale. Lengths are logical pixels."""

    name: str
    scale: float
    colours: dict[str, str]
    type_px: dict[str, int]
    weights: dict[str, int]
    sizes: dict[str, int]
    family: str
    _made: dict[str, QColor] = field(default_factory=dict)
    _fonts: dict[str, QFont] = field(default_factory=dict)

    def colour(self, name: str) -> QColor:
        """A colour by its token, e.g. "state-paused-ink"."""
        found = self._made.get(name)
        if found is None:
            found = self._made[name] = QColor(self.colours[name])
        return found

    def px(self, name: str) -> int:
        """The size of a kind of type: body, small, title, …"""
        return round(self.type_px[name] * self.scale)

    def size(self, name: str) -> int:
        """A length of the layout, which does not grow with the text: gutter, gap, strip, …"""
        return self.sizes[name]

    def icon_px(self, name: str = "icon") -> int:
        """An icon grows with the text beside it."""
        return round(self.sizes[name] * self.scale)

    def row(self, name: str = "table_row") -> int:
        """The height of a row: the token, or what its text needs."""
        return max(self.sizes[name], QFontMetrics(self.font("body")).height() + 10)

    def font(self, kind: str) -> QFont:
        """The font of a kind of type, with tabular figures; made once, and not to be changed."""
        found = self._fonts.get(kind)
        if found is None:
            found = self._fonts[kind] = self._made_font(kind)
        return found

    def _made_font(self, kind: str) -> QFont:
        font = QFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont) if kind == "mono" else "")
        if kind != "mono":
            font.setFamily(self.family)
        font.setPixelSize(self.px(kind))
        font.setWeight(QFont.Weight(self.weights[kind]))
        font.setFeature(QFont.Tag("tnum"), 1)
        return font


class Appearance(QObject):
    """The theme in force and its changes. `changed` comes after every widget has been restyled."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        text = (resources() / "tokens.json").read_text("utf-8")
        self._raw: dict[str, Any] = json.loads(text)
        self._tokens: Tokens = read_tokens(text)
        self._wish, self._scale = SYSTEM, 1.0
        self._family = ""
        self._theme: Theme | None = None
        self._folder = Path()

    @property
    def theme(self) -> Theme:
        """The look in force."""
        if self._theme is None:
            self._theme = self._made(_system_is_dark())
        return self._theme

    def begin(self, folder: Path, wish: str = SYSTEM, scale: float = 1.0) -> None:
        """Have a look to paint by, before any widget is dressed in it: `dress` follows.

        `folder` keeps the few pictures that the style sheet takes as files; it is made when it is missing.
        """
        self._folder = folder
        self._family = _family()
        self._wish, self._scale = wish, scale
        self._theme = self._made(_palette_is_dark())

    def start(self, folder: Path, wish: str = SYSTEM, scale: float = 1.0) -> None:
        """`begin` and `dress` at once."""
        self.begin(folder, wish, scale)
        self.dress()

    def dress(self) -> None:
        """Dress the application, and follow the system from here on."""
        QApplication.setStyle("Fusion")
        QApplication.styleHints().colorSchemeChanged.connect(self.apply)
        self.apply()

    def choose(self, wish: str, scale: float) -> None:
        """Take the owner's choice: system, light or dark, and the text's size (1.0 to 2.0)."""
        if (wish, scale) != (self._wish, self._scale):
            self._wish, self._scale = wish, scale
            self.apply()

    def apply(self, *_scheme: object) -> None:
        """Dress all widgets in what holds now; nothing happens when that is on already."""
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        made = self._made(_system_is_dark())
        worn = f"{made.name} {made.scale}"
        if app.property("worn") == worn:
            return
        self._theme = made
        app.setProperty("worn", worn)
        app.setPalette(_palette(made))
        app.setFont(made.font("body"))
        sheet = Template((resources() / "ui" / "window.qss").read_text("utf-8"))
        app.setStyleSheet(sheet.substitute(_sheet_values(made) | self._mark_files(made)))
        self.changed.emit()

    def _mark_files(self, made: Theme) -> dict[str, str]:
        """The marks in the theme's colours, as files: `mark_check` and so on."""
        files = {}
        for name, colour in MARKS.items():
            text = (resources() / "icons" / f"{name}.svg").read_text("utf-8")
            path = self._folder / f"{made.name}-{name}.svg"
            _keep(path, text.replace("currentColor", made.colours[colour]))
            files[f"mark_{name.replace('-', '_')}"] = path.as_posix()
        return files

    def _made(self, dark: bool) -> Theme:
        kinds = {name: row for name, row in self._raw["type"].items() if isinstance(row, dict)}
        name = self._wish
        if name == SYSTEM:
            name = DARK if dark else LIGHT
        return Theme(
            name=name,
            scale=self._scale,
            colours=dict(self._tokens.colours[name]),
            type_px={kind: row["px"] for kind, row in kinds.items()},
            weights={kind: row["weight"] for kind, row in kinds.items()},
            sizes={key: value for key, value in self._raw["size"].items() if isinstance(value, int)}
            | {f"radius_{key}": value for key, value in self._raw["radius"].items()},
            family=self._family,
        )

    @property
    def smallest(self) -> tuple[int, int]:
        """The smallest window."""
        width, height = self._raw["size"]["window_min"]
        return int(width), int(height)


_appearance: list[Appearance] = []


def appearance() -> Appearance:
    """The one appearance of the application."""
    if not _appearance:
        _appearance.append(Appearance())
    return _appearance[0]


def theme() -> Theme:
    """The look in force."""
    return appearance().theme


def _keep(path: Path, text: str) -> None:
    """Have this in the file; a folder that cannot be written costs the marks, not the window."""
    try:
        if not path.exists() or path.read_text("utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    except OSError as error:
        log.warning("a mark of the window is not kept: %s", error)


def _family() -> str:
    family = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont).family()
    if family.lower() not in GENERIC:
        return family
    installed = set(QFontDatabase.families())
    return next((name for name in FALLBACKS if name in installed), family)


def _system_is_dark() -> bool:
    return QApplication.styleHints().colorScheme() is QtCore.Qt.ColorScheme.Dark


def _palette_is_dark() -> bool:
    """What the system's own colours say: nearly always the same, and known without the namespace `Qt`."""
    colours = QApplication.palette()
    return colours.window().color().lightness() < colours.windowText().color().lightness()


def _palette(made: Theme) -> QtGui.QPalette:
    palette, role, disabled = QtGui.QPalette(), QtGui.QPalette.ColorRole, QtGui.QPalette.ColorGroup.Disabled
    for name, of in ROLES.items():
        palette.setColor(role[of], made.colour(name))
    for text in (role.Text, role.ButtonText):
        palette.setColor(text, made.colour("text"))
    palette.setColor(role.ToolTipBase, made.colour("surface"))
    palette.setColor(role.ToolTipText, made.colour("text"))
    for text in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(disabled, text, made.colour("disabled"))
    return palette


def _sheet_values(made: Theme) -> dict[str, str]:
    """What the style sheet may name: colours as they are, px_body, h_control, radius_panel, …"""
    values = {name: str(size) for name, size in made.sizes.items() if name.startswith("radius_")}
    values |= {name.replace("-", "_"): colour for name, colour in made.colours.items()}
    values |= {f"px_{kind}": str(made.px(kind)) for kind in made.type_px}
    values |= {f"w_{kind}": str(weight) for kind, weight in made.weights.items()}
    body = QFontMetrics(made.font("body")).height()
    small = QFontMetrics(made.font("small")).height()
    # Heights of the content inside a border of one pixel each.
    values |= {
        "h_control": str(max(made.sizes["control"], body + 8) - 2),
        "h_small": str(max(made.sizes["control_small"], small + 6) - 2),
        "h_head": str(max(made.sizes["table_head"], small + 8)),
        "mono": made.font("mono").family(),
    }
    return values
