"""The keys, in one table: what each does, for the window and for the list that "?" shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QGridLayout, QWidget

from hivemind_worker.presentation.catalogue import _, mark
from hivemind_worker.ui.dialogs import Dialog
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.text import Label


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A combination of keys, the name of what it does, and its words. `own`: a screen listens itself."""

    keys: str
    action: str
    words: str
    own: bool = False


KEYS = (
    Key(keys="Ctrl+P", action="toggle", words=mark("Pause or resume")),
    Key(keys="Ctrl+Shift+P", action="pause_menu", words=mark("Choose how long to pause")),
    Key(keys="Ctrl+F", action="find", words=mark("Look for something on this screen")),
    Key(keys="F5", action="refresh", words=mark("Look at everything anew")),
    Key(keys="Ctrl+L", action="logs", words=mark("Logs")),
    Key(keys="Ctrl+,", action="settings", words=mark("Settings")),
    Key(keys="Ctrl+W", action="close", words=mark("Close the window")),
    Key(keys="Ctrl+Q", action="quit", words=mark("Quit")),
    Key(keys="F1", action="help", words=mark("Read about this place")),
    Key(keys="?", action="keys", words=mark("Show these keys")),
    Key(keys="Space", action="", words=mark("Pause or resume the selected task"), own=True),
    Key(keys="Del", action="", words=mark("Stop the selected tasks"), own=True),
    Key(keys="Return", action="", words=mark("Open the details of a task"), own=True),
    Key(keys="Ctrl+C", action="", words=mark("Copy the selected rows"), own=True),
    Key(keys="Esc", action="", words=mark("Close the details"), own=True),
)


def listen(window: QWidget, acts: Mapping[str, Callable[[], object]]) -> list[QShortcut]:
    """Have the window act on the keys of the table whose action is among `acts`."""
    made = []
    for key in KEYS:
        if key.own or key.action not in acts:
            continue
        shortcut = QShortcut(QKeySequence(key.keys), window)
        shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
        shortcut.activated.connect(acts[key.action])
        made.append(shortcut)
    return made


def show_keys(parent: QWidget, places: int) -> Dialog:
    """The list of all keys."""
    dialog = Dialog(parent, _("Keys"))
    grid = QGridLayout()
    grid.setHorizontalSpacing(24)
    rows = [(f"Ctrl+1 … {min(places, 9)}", _("Go to a place of the rail"))]
    seen: dict[str, list[str]] = {}
    for key in KEYS:
        native = QKeySequence(key.keys).toString(QKeySequence.SequenceFormat.NativeText)
        seen.setdefault(_(key.words), []).append(native)
    rows += [(" · ".join(keys), words) for words, keys in seen.items()]
    for number, (keys, words) in enumerate(rows):
        grid.addWidget(Label(keys, "mono"), number, 0)
        grid.addWidget(Label(words), number, 1)
    dialog.content.addLayout(grid)
    close = Button(_("Close"), kind="primary", pressed=dialog.accept)
    close.setDefault(True)
    dialog.foot.addWidget(close)
    dialog.open()
    return dialog
