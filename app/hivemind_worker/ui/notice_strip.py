"""Notices where no tray shows them: the latest in a strip of the window, those before it behind it.

What is worth a notice is decided by `presentation.notices`; counterpart: `shell`, which knows of the tray.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtGui import QAccessible, QAccessibleEvent

from hivemind_worker.presentation.catalogue import _, translate_many
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.moments import moment_words
from hivemind_worker.ui.main_window import MainWindow
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.panels import Callout
from hivemind_worker.ui.parts.text import Figure

KEPT = 20
"""Older ones go: the screens say what still holds."""
LOOK = Look(tone="waiting", icon="info", word="")


@dataclass(frozen=True, slots=True)
class Told:
    """One notice as it was told."""

    title: str
    text: str
    place: str
    at_s: float


class NoticeStrip(Callout):
    """One notice with its time, the place that it leads to, and how many wait behind it."""

    def __init__(self, *, led: Callable[[], object], closed: Callable[[], object]) -> None:
        earlier, when = Figure(), Figure()
        lead = Button("", kind="small", pressed=led)
        dismiss = Button(_("Close"), kind="small", pressed=closed)
        super().__init__(earlier, when, lead, dismiss)
        self.earlier, self.when, self.lead, self.dismiss = earlier, when, lead, dismiss

    def show_notice(self, told: Told, place: str, earlier: int, now_s: float) -> None:
        """Show this one; a screen reader says it."""
        self.say(LOOK, told.title, told.text)
        self.lead.set_text(_("Open {place}", place=place))
        self.when.setText(moment_words(told.at_s, now_s))
        self.earlier.setText(translate_many("{count} earlier", "{count} earlier", earlier))
        self.earlier.setVisible(earlier > 0)
        QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.Alert))


class NoticeBoard:
    """All that was told and not put away yet, the latest first in the window that is there now.

    What the window's status strip says at the moment is not said again below it: it comes when that goes.
    """

    def __init__(
        self, window: Callable[[], MainWindow], open_place: Callable[[str], object],
        clock: Callable[[], float],
    ) -> None:  # fmt: skip
        self._window, self._open_place, self._clock = window, open_place, clock
        self._told: deque[Told] = deque(maxlen=KEPT)
        self._shown: Told | None = None
        self._earlier = 0
        self.strip: NoticeStrip | None = None

    def tell(self, title: str, text: str, place: str) -> None:
        """Show a notice until somebody puts it away."""
        self._told.append(Told(title, text, place, self._clock()))
        self.look()

    def move(self) -> None:
        """Another window has taken the place of the one before: show there what is left."""
        self.strip = self._shown = None
        self.look()

    def look(self) -> None:
        """Show what is to be shown now; the status strip may say something else than before."""
        if not self._told:
            return
        said = self._window().strip.reason.whole()
        unsaid = [told for told in self._told if told.title != said]
        if not unsaid:
            self._clear()
        elif (unsaid[-1], len(unsaid) - 1) != (self._shown, self._earlier):
            self._show(unsaid[-1], len(unsaid) - 1)

    def _show(self, told: Told, earlier: int) -> None:
        window = self._window()
        if self.strip is None:
            self.strip = NoticeStrip(led=self._lead, closed=self._put_away)
            window.add_banner(self.strip)
        self._shown, self._earlier = told, earlier
        self.strip.show_notice(told, _(window.places[told.place].title), earlier, self._clock())

    def _clear(self) -> None:
        if self.strip is not None:
            self._window().remove_banner(self.strip)
        self.strip = self._shown = None

    def _lead(self) -> None:
        place = self._shown.place if self._shown is not None else ""
        self._put_away()
        self._open_place(place)

    def _put_away(self) -> None:
        if self._shown is not None:
            self._told.remove(self._shown)
        if self._told:
            self.look()
        else:
            self._clear()
