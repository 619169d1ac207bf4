"""Window, tray, dialogs and keys as one: who shows up when, what closing means, what is said on bad days."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QSettings, QUrl
from PySide6.QtGui import QDesktopServices, QShortcut
from PySide6.QtWidgets import QSystemTrayIcon

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.catalogue import _, language_in_use
from hivemind_worker.presentation.faults import words
from hivemind_worker.presentation.look import Look
from hivemind_worker.presentation.opening_words import PROGRAM
from hivemind_worker.ui import wishes
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.main_window import MainWindow
from hivemind_worker.ui.notice_strip import NoticeBoard
from hivemind_worker.ui.parts.buttons import Button
from hivemind_worker.ui.parts.panels import Callout

if TYPE_CHECKING:
    from hivemind_worker.model.snapshot import Snapshot
    from hivemind_worker.ui.dialogs import Question
    from hivemind_worker.ui.setup.window import SetupWindow
    from hivemind_worker.ui.tray import Tray

TROUBLE, ERROR, NOTE = ("warning", "warning"), ("error", "cross"), ("waiting", "info")
REPLACED = "replaced"
TRAY_TOLD, SET_UP = "window/tray_told", "setup/done"
SNOOZE_S = 3600.0


class Shell(QObject):
    """`quit` asks the application to end in order. `window` may be on the screen already."""

    def __init__(
        self, bridge: Bridge, memory: QSettings, *, quit: Callable[[], None],
        window: MainWindow | None = None,
        tray_available: Callable[[], bool] = QSystemTrayIcon.isSystemTrayAvailable,
    ) -> None:  # fmt: skip
        super().__init__()
        self._tray_available = tray_available
        self.bridge, self.memory, self.quit = bridge, memory, quit
        self.again = False  # whether the program is started anew when it has ended
        self.quiet_until_s = 0.0
        self._ending = False
        self._banners: dict[str, Callout] = {}
        self.notices = NoticeBoard(lambda: self.window, self._show_place, time.time)
        self._question: Question | None = None
        self.setup: SetupWindow | None = None
        self._keys: list[QShortcut] = []
        self._language = language_in_use()
        self.window = self._furnished(window or MainWindow(memory))
        self._tray: Tray | None = None
        bridge.refused.connect(self._refused)
        bridge.bug.connect(self._bug)
        bridge.help_wanted.connect(self.show_help)

    def _furnished(self, window: MainWindow) -> MainWindow:
        window.furnish(self.bridge, on_close=self._close_asked)
        for number, key in enumerate(list(window.places)[:9], start=1):
            shortcut = QShortcut(f"Ctrl+{number}", window)
            shortcut.activated.connect(lambda key=key: window.open(key))
            self._keys.append(shortcut)
        return window

    @property
    def tray(self) -> Tray:
        """The tray's icon, made when it is first needed."""
        if self._tray is None:
            self._tray = self._made_tray()
        return self._tray

    def _made_tray(self) -> Tray:
        from hivemind_worker.ui.tray import Tray  # noqa: PLC0415 - after the first paint

        return Tray(
            self.bridge, toggle=self.toggle, show=self.raise_window,
            dashboard=self.open_dashboard, snooze_notices=self.snooze_notices, quit=self.ask_to_quit,
            available=self._tray_available,
        )  # fmt: skip

    def _acts(self, window: MainWindow) -> dict[str, Callable[[], object]]:
        def current(act: str) -> None:
            screen = window.current()
            if screen is not None:
                getattr(screen, act)()

        return {
            "toggle": lambda: wishes.toggle(self.bridge),
            "pause_menu": window.strip.pause.showMenu,
            "find": lambda: current("look_for"),
            "refresh": lambda: current("refresh"),
            "logs": lambda: window.open("logs"),
            "settings": lambda: window.open("settings"),
            "close": window.close,
            "quit": self.ask_to_quit,
            "help": self.show_help,
            "keys": lambda: self._show_keys(window),
        }

    def _show_keys(self, window: MainWindow) -> None:
        from hivemind_worker.ui.shortcuts import show_keys  # noqa: PLC0415

        show_keys(window, len(window.places))

    def show_help(self, page: str = "") -> None:
        """Open the documentation at a page, e.g. "rules.md#presets"; at the one about this place without."""
        from hivemind_worker.presentation.help_pages import INDEX, OF_PLACES  # noqa: PLC0415
        from hivemind_worker.ui.screens.help import Help  # noqa: PLC0415

        place = self.window.place()
        screen = self.window.open("help")
        assert isinstance(screen, Help)
        if page or place != "help":
            screen.show_page(page or OF_PLACES.get(place, INDEX))

    # --- life ---------------------------------------------------------------------------------

    def start(self, *, hidden: bool) -> bool:
        """Show the window, or the tray's icon alone where that is wanted and can be; whether it is shown."""
        if hidden and self.tray.look_for_tray():
            return False
        self.window.show()
        return True

    def complete(self) -> None:
        """Make what comes after the frame: the tray's icon, the place where the reader was, the keys."""
        self.tray.look_for_tray()
        self.window.complete()
        from hivemind_worker.ui import shortcuts  # noqa: PLC0415

        self._keys += shortcuts.listen(self.window, self._acts(self.window))

    def started(self) -> None:
        """The worker is up: from here on notices are told, and the very first time it is set up."""
        from hivemind_worker.ui.notifier import Notifier  # noqa: PLC0415 - after the first paint

        self.notifier = Notifier(self.bridge, self.notify)
        self.bridge.snapshot_changed.connect(self._look_at_program)
        self.bridge.snapshot_changed.connect(lambda _snapshot: self.notices.look())
        if not self.memory.value(SET_UP, False, type=bool) and self.window.is_seen():
            self.set_up()

    def _look_at_program(self, snapshot: Snapshot) -> None:
        """The files of another version lie where this one's were: offer to start that."""
        blocker = snapshot.blocker
        if blocker is None or blocker.code is not FaultCode.PROGRAM_REPLACED or REPLACED in self._banners:
            return
        sentence, next_step = words(blocker)
        restart = Button(_("Finish tasks, then restart"), "refresh", pressed=self.restart)
        self._say(REPLACED, sentence, next_step, NOTE, restart)

    def restart(self) -> None:
        """Take no new task, end after the last one, and start anew."""
        self.again = True
        wishes.finish(self.bridge, quit_after=True)

    def set_up(self) -> None:
        """Lead through the first run, from where it was left."""
        from hivemind_worker.ui.setup.window import show_setup  # noqa: PLC0415 - once in a life

        self.setup = show_setup(self.bridge, self.window, self._set_up)

    def _set_up(self) -> None:
        self.setup = None

    def cannot_start(self, problem: Problem) -> None:
        """The worker did not start: say why, and leave quitting."""
        self._say(
            "start", *words(problem), ERROR, Button(_("Quit"), pressed=self.quit), stays=True,
            details=self._details(problem),
        )  # fmt: skip

    def stopping(self) -> None:
        """The worker is being stopped: its window says so, and takes no more wishes."""
        self._ending = True
        self.window.remember()
        self.window.setEnabled(False)

    def close(self) -> None:
        """The very last: let go of all widgets."""
        self._ending = True
        self.tray.close()
        self.window.close()
        self.window.deleteLater()

    def use_language(self) -> None:
        """Where the language has changed, everything that has words is made anew."""
        if language_in_use() == self._language:
            return
        self._language = language_in_use()
        old_window, old_tray, seen = self.window, self.tray, self.window.isVisible()
        setting_up = self.setup is not None
        old_window.remember()
        self._banners.clear()
        self._keys.clear()
        self.window, self._tray = self._furnished(MainWindow(self.memory)), None
        self.complete()
        self.notices.move()
        if seen:
            self.window.show()
        old_tray.close()
        old_tray.deleteLater()
        old_window.retire()
        if setting_up:
            self.set_up()

    # --- coming and going ---------------------------------------------------------------------

    def raise_window(self) -> None:
        """To the front, from wherever it is."""
        self.window.raise_window()

    def toggle(self) -> None:
        """A click on the tray's icon: away when it is in front, else to the front."""
        if self.window.is_seen() and self.window.isActiveWindow():
            self.window.remember()
            self.window.hide()
        else:
            self.window.raise_window()

    def _close_asked(self) -> bool:
        """Closing puts the window away; only quitting ends the program."""
        if self._ending:
            return True
        if self.tray.is_there:
            self.window.hide()
            self._tell_of_tray()
        else:
            self.window.showMinimized()
            self._say(
                "no tray", _("This desktop shows no tray icons"),
                _("Closing keeps the window in the task bar, and work goes on. Ctrl+Q quits."), NOTE,
            )  # fmt: skip
        return False

    def _tell_of_tray(self) -> None:
        if not self.memory.value(TRAY_TOLD, False, type=bool):
            self.memory.setValue(TRAY_TOLD, True)
            self.notify(PROGRAM, _("Work goes on. The icon in the tray says by its shape what happens."))

    def ask_to_quit(self) -> None:
        """Quit with a choice; nothing is asked twice at once."""
        if self._question is not None or self._ending:
            return
        from hivemind_worker.ui.quitting import ask_to_quit  # noqa: PLC0415

        parent = self.window if self.window.is_seen() else None
        self._question = ask_to_quit(parent, self.bridge, quit_now=self.quit, stay=self.window.close)
        self._question.destroyed.connect(self._asked)

    def _asked(self) -> None:
        self._question = None

    def open_dashboard(self) -> None:
        """The pages in the browser, signed in."""
        link = self.bridge.node.dashboard_link() if self.bridge.node is not None else ""
        if link and not QDesktopServices.openUrl(QUrl(link)):
            text = _("Open this link within a minute; it is good once:") + f" {link}"
            self._say("browser", _("No browser could be opened"), text, TROUBLE)

    # --- telling ------------------------------------------------------------------------------

    def snooze_notices(self) -> None:
        """No notices for an hour."""
        self.quiet_until_s = time.time() + SNOOZE_S

    def notify(self, title: str, text: str, place: str = "home") -> None:
        """A notice by the tray's icon, in the window where there is none, unless the owner wants none now; it
        leads to the place."""
        if time.time() < self.quiet_until_s:
            return
        if self.tray.is_there:
            self.tray.say(title, text, lambda: self._show_place(place))
        else:
            self.notices.tell(title, text, place)

    def _show_place(self, place: str) -> None:
        self.raise_window()
        self.window.open(place)

    def _refused(self, problem: Problem) -> None:
        self._tell("refused", problem)

    def _bug(self, about: str) -> None:
        self._tell("bug", Problem(code=FaultCode.BUG, about=about))

    def _tell(self, key: str, problem: Problem) -> None:
        """A fault: what happened, what to do about it, and a button to where that is done."""
        from hivemind_worker.presentation.window_words import remedy  # noqa: PLC0415 - after the first paint

        sentence, next_step = words(problem)
        self._unsay(key)  # the button of an earlier one leads elsewhere
        place, word = remedy(problem.code)
        learn = lambda: self.show_help(f"troubleshooting.md#{problem.code.value}")  # noqa: E731
        self._say(
            key,
            sentence,
            next_step,
            TROUBLE,
            Button(word, kind="small", pressed=lambda: self._go(key, place)),
            Button(_("Learn more"), kind="link", pressed=learn),
            details=self._details(problem),
        )

    def _details(self, problem: Problem) -> Callable[[], object]:
        """What opens all that is known of a fault that has come now."""
        at_s = time.time()

        def show() -> None:
            from hivemind_worker.presentation.fault_details import problem_told  # noqa: PLC0415
            from hivemind_worker.ui.fault_details import show_details  # noqa: PLC0415 - after the first paint

            show_details(self.window, self.bridge, problem_told(problem, at_s))

        return show

    def _go(self, key: str, place: str) -> None:
        self._unsay(key)
        self.window.open(place)

    def _say(
        self, key: str, title: str, text: str, kind: tuple[str, str], *buttons: Button, stays: bool = False,
        details: Callable[[], object] | None = None,
    ) -> None:  # fmt: skip
        """A callout above the screen; a later one of the same key takes its place. `stays`: has no Close."""
        look = Look(tone=kind[0], icon=kind[1], word="")
        if key in self._banners:
            self._banners[key].say(look, title, text, details)
            return
        close = Button(_("Close"), kind="small", pressed=lambda: self._unsay(key))
        banner = self._banners[key] = Callout(*buttons, *(() if stays else (close,)))
        banner.say(look, title, text, details)
        self.window.add_banner(banner)

    def _unsay(self, key: str) -> None:
        if key in self._banners:
            self.window.remove_banner(self._banners.pop(key))
