"""A log on the screen: followed as it grows, searched, held still. Never more than a few lines a moment.

A task may print faster than anybody reads: the newest lines are shown and how many passed by is said;
the file has them all. Reading is done in a thread.
"""

from __future__ import annotations

import asyncio
import codecs
import os
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QTextCharFormat, QTextCursor, QTextDocument
from PySide6.QtWidgets import QPlainTextEdit, QTextEdit

from hivemind_worker.nursery import NamedThread
from hivemind_worker.presentation.catalogue import _, translate_many
from hivemind_worker.presentation.plain_text import shown_log
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.theme import appearance, theme

KEPT_LINES, LINES_AT_ONCE, LINES_A_TURN, LINE_CHARS = 5000, 120, 20, 2000
PIECE_BYTES, TAIL_BYTES = 256 << 10, 128 << 10
LOOK_MS, HITS_SHOWN = 250, 500


class LogView(QPlainTextEdit):
    """Read-only text of at most 5,000 lines. While it follows, the newest line is in view."""

    hits_changed = Signal()
    held_changed = Signal(bool)
    held = Signal()
    """It has stopped following, as somebody looks at an earlier place."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setProperty("kind", "log")
        self.setAccessibleName(name)
        self.setReadOnly(True)
        self.setUndoRedoEnabled(False)
        self.setMaximumBlockCount(KEPT_LINES)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.setTabChangesFocus(True)
        self._follow, self._wanted, self._at = True, "", 0
        self._hits: list[QTextCursor] = []
        self.verticalScrollBar().actionTriggered.connect(self._scrolled)
        self._restyle()
        appearance().changed.connect(self._restyle)

    def _restyle(self) -> None:
        self.setFont(theme().font("mono"))
        self._show_hits()

    # --- lines --------------------------------------------------------------------------------

    def add(self, text: str) -> None:
        """Append lines, already fit to be shown."""
        if not text:
            return
        bar = self.verticalScrollBar()
        at = bar.value()
        self.appendPlainText(text)
        if self._wanted:
            self._find_in(max(0, self.blockCount() - text.count("\n") - 1))
        bar.setValue(bar.maximum() if self._follow else at)

    def start_anew(self) -> None:
        """Another log."""
        self.clear()
        self._hits.clear()
        self._at = 0
        self._show_hits()

    def set_follow(self, follow: bool) -> None:
        """Whether the newest line stays in view."""
        self._follow = follow
        if follow:
            self.verticalScrollBar().setValue(self.verticalScrollBar().maximum())

    def _hold(self) -> None:
        """Somebody reads: lines that come must not take the place from under the eye."""
        if self._follow:
            self._follow = False
            self.held.emit()

    def _scrolled(self, _action: int) -> None:
        bar = self.verticalScrollBar()
        if bar.sliderPosition() < bar.maximum():
            self._hold()

    def set_wrap(self, wrap: bool) -> None:
        """Long lines broken, or with a scroll bar."""
        mode = QPlainTextEdit.LineWrapMode
        self.setLineWrapMode(mode.WidgetWidth if wrap else mode.NoWrap)

    # --- looking for something ----------------------------------------------------------------

    def look_for(self, text: str) -> None:
        """Mark every place with this text, and go to the last one."""
        self._wanted = text
        self._hits.clear()
        self._find_in(0)
        self._at = max(0, len(self._hits) - 1)
        self._show_hits()
        self._go()

    def step(self, by: int) -> None:
        """Go to the next hit, or the one before."""
        if self._hits:
            self._hold()
            self._at = (self._at + by) % len(self._hits)
            self._show_hits()
            self._go()

    def hits(self) -> tuple[int, int]:
        """The number of the current hit, from 1, and how many there are."""
        self._hits = [hit for hit in self._hits if hit.hasSelection()]  # of lines that have gone
        self._at = min(self._at, max(0, len(self._hits) - 1))
        return (self._at + 1 if self._hits else 0), len(self._hits)

    def _find_in(self, block: int) -> None:
        if not self._wanted:
            self._show_hits()
            return
        document = self.document()
        cursor = QTextCursor(document.findBlockByNumber(block))
        while len(self._hits) < HITS_SHOWN:
            cursor = document.find(self._wanted, cursor, QTextDocument.FindFlag(0))
            if cursor.isNull():
                break
            self._hits.append(QTextCursor(cursor))
        self._show_hits()

    def _show_hits(self) -> None:
        marks = []
        for number, hit in enumerate(self._hits):
            if not hit.hasSelection():
                continue
            mark = QTextEdit.ExtraSelection()
            made = QTextCharFormat()
            current = number == self._at
            made.setBackground(theme().colour("accent" if current else "accent-soft"))
            made.setForeground(theme().colour("on-accent" if current else "text"))
            mark.format, mark.cursor = made, hit
            marks.append(mark)
        self.setExtraSelections(marks)
        self.hits_changed.emit()

    def _go(self) -> None:
        if self._hits:
            cursor = QTextCursor(self._hits[self._at])
            cursor.clearSelection()
            self.setTextCursor(cursor)
            self.centerCursor()


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    offset: int
    passed: int
    kept: bool


def _read(path: Path, offset: int) -> _Piece:
    """What came since `offset`; where that is a lot, its end alone, and how many bytes passed by."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            passed = 0
            if size < offset:
                offset = 0
            if size - offset > PIECE_BYTES:
                passed = size - TAIL_BYTES - offset
                offset = size - TAIL_BYTES
            file.seek(offset)
            content = file.read(PIECE_BYTES)
    except OSError:
        return _Piece("", offset, 0, kept=False)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(content)
    return _Piece(text, offset + len(content) - len(decoder.getstate()[0]), passed, kept=True)


def shown_lines(text: str, most: int) -> tuple[list[str], int]:
    """The last lines, fit to be shown, and how many before them are left out."""
    lines = shown_log(text).split("\n")
    left_out = max(0, len(lines) - most)
    kept = lines[left_out:]
    return [line if len(line) <= LINE_CHARS else f"{line[:LINE_CHARS]}…" for line in kept], left_out


class Follower:
    """Keeps a view filled with a file that may grow, or may not be there yet."""

    def __init__(self, bridge: Bridge, view: LogView, thread: NamedThread) -> None:
        self._bridge, self._view, self._thread = bridge, view, thread
        self._path: Path | None = None
        self._offset, self._rest, self._reading = 0, "", False
        self._begun = False
        self._timer = QTimer(view, interval=LOOK_MS)
        self._timer.timeout.connect(self.look)

    def follow(self, path: Path | None, *, grows: bool) -> None:
        """Show this file from now on; None shows none."""
        if path != self._path:
            self._path, self._offset, self._rest, self._begun = path, 0, "", False
            self._view.start_anew()
        if path is None or not grows:
            self._timer.stop()
        else:
            self._timer.start()
        self.look()

    def stop(self) -> None:
        """Nobody looks: read no more."""
        self._timer.stop()

    def look(self) -> None:
        """Read what is new, unless that is being done."""
        if self._path is None or self._reading or self._bridge.node is None:
            return
        self._reading = True
        self._bridge.start("log", self._look(self._path))

    async def _look(self, path: Path) -> None:
        try:
            piece, lines, left_out = await self._thread.call(self._prepare, path, self._offset, self._rest)
            if path == self._path:
                self._offset = piece.offset
                self._rest = lines.pop() if lines else self._rest
                await self._show(path, piece, lines, left_out)
        finally:
            self._reading = False
        if path != self._path:
            self.look()

    def _prepare(self, path: Path, offset: int, rest: str) -> tuple[_Piece, list[str], int]:
        """In the thread: read, clean and cut. The last of the lines is not ended yet."""
        piece = _read(path, offset)
        if not piece.text:
            return piece, [], 0
        most = KEPT_LINES // 4 if not self._begun else LINES_AT_ONCE
        lines, left_out = shown_lines(rest + piece.text if not piece.passed else piece.text, most)
        return piece, lines, left_out

    async def _show(self, path: Path, piece: _Piece, lines: list[str], left_out: int) -> None:
        """A few lines at a time, so that everything else on the loop gets its turn in between."""
        self._begun = True
        if piece.passed:
            note = _("… {size} passed by; the file has it all …", size=_kib(piece.passed))
            self._view.add(note)
        elif left_out:
            self._view.add(translate_many(
                "… {count} line passed by; the file has it …",
                "… {count} lines passed by; the file has them …", left_out,
            ))  # fmt: skip
        self._view.setUpdatesEnabled(len(lines) <= LINES_AT_ONCE)  # a long beginning is drawn once
        try:
            for first in range(0, len(lines), LINES_A_TURN):
                if path != self._path:
                    return
                self._view.add("\n".join(lines[first : first + LINES_A_TURN]))
                await asyncio.sleep(0)
        finally:
            self._view.setUpdatesEnabled(True)
        if self._rest and not self._timer.isActive():  # nothing will end this line any more
            self._view.add(self._rest)
            self._rest = ""


def _kib(count: int) -> str:
    return f"{count / 1024:.0f} KiB"
