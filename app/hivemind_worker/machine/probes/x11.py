"""The X11 session: input as it happens, idle time, and whether a program fills the screen.

One thread of its own waits for the first input of any device after a rest and tells of it at once. Then it
asks for no more events until the computer has rested again: a moving mouse would send a thousand a second.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)
LOOK_S = 1.0
REST_S = 2.0
"""Idle time after which the next input is told of again."""
TRY_AGAIN_S = 30.0


class X11Session:
    """`touched(at_s)` is called in this thread with the steady time of an input. Start once, close once."""

    name = "X11"

    def __init__(self, display_name: str, touched: Callable[[float], None]) -> None:
        self._display_name = display_name
        self._touched = touched
        self._lock = threading.Lock()
        self._last_input_s: float | None = None
        self._full_screen: bool | None = None
        self._armed = False
        self._wake_read, self._wake_write = os.pipe()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="idle-events", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def close(self, limit_s: float = 2.0) -> None:
        """Stop watching."""
        self._ends.set()
        os.write(self._wake_write, b"x")
        if self._thread.ident is not None:
            self._thread.join(limit_s)
        if not self._thread.is_alive():
            os.close(self._wake_read)
            os.close(self._wake_write)

    @property
    def is_listening(self) -> bool:
        """Whether the next input will be told of."""
        return self._armed

    def idle_s(self) -> float | None:
        """Seconds since the last input; None while the server is away."""
        with self._lock:
            return None if self._last_input_s is None else max(0.0, time.monotonic() - self._last_input_s)

    def full_screen(self) -> bool | None:
        """Whether the active window fills the screen; None without a window manager that tells."""
        with self._lock:
            return self._full_screen

    # --- in the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ends.is_set():
            try:
                self._watch()
            except Exception as error:  # the library raises many kinds when a server goes
                log.debug("X11: %r", error)
            with self._lock:
                self._last_input_s = self._full_screen = None
            self._ends.wait(TRY_AGAIN_S)

    def _watch(self) -> None:
        from Xlib import display  # noqa: PLC0415 - Linux alone

        connection = display.Display(self._display_name)
        try:
            screen = _Screen(connection)
            self._armed = False
            while not self._ends.is_set():
                self._look(screen)
                if self._input_comes(connection, screen):
                    self._was_touched(screen)
        finally:
            with contextlib.suppress(Exception):
                connection.close()

    def _input_comes(self, connection: Any, screen: _Screen) -> bool:
        """Whether there is an input now or within `LOOK_S`; answers to a look bring events along, unseen."""
        if screen.input_came():
            return True
        ready, _, _ = select.select([connection.fileno(), self._wake_read], [], [], LOOK_S)
        return connection.fileno() in ready and screen.input_came()

    def _look(self, screen: _Screen) -> None:
        idle_s = screen.idle_s()
        with self._lock:
            self._last_input_s = time.monotonic() - idle_s
            self._full_screen = screen.full_screen()
        if not self._armed and idle_s >= REST_S:
            screen.listen(True)
            self._armed = True
            if screen.idle_s() < REST_S:  # it came before the server listened
                self._was_touched(screen)

    def _was_touched(self, screen: _Screen) -> None:
        now_s = time.monotonic()
        with self._lock:
            self._last_input_s = now_s
        if self._armed:
            self._armed = False
            screen.listen(False)
            self._touched(now_s)


class _Screen:
    """What is asked of the server."""

    def __init__(self, connection: Any) -> None:
        from Xlib.ext import xinput  # noqa: PLC0415

        self._connection = connection
        self._root = connection.screen().root
        self._xinput = xinput
        connection.xinput_query_version()
        self._active = connection.intern_atom("_NET_ACTIVE_WINDOW")
        self._state = connection.intern_atom("_NET_WM_STATE")
        self._full = connection.intern_atom("_NET_WM_STATE_FULLSCREEN")

    def idle_s(self) -> float:
        return float(self._root.screensaver_query_info().idle) / 1000

    def listen(self, wanted: bool) -> None:
        events = self._xinput
        mask = events.RawMotionMask | events.RawKeyPressMask | events.RawButtonPressMask if wanted else 0
        self._root.xinput_select_events([(events.AllMasterDevices, mask)])
        self._connection.sync()

    def input_came(self) -> bool:
        """Whether an input was among what has come; takes all of it."""
        came = False
        while self._connection.pending_events():
            event = self._connection.next_event()
            came = came or getattr(event, "evtype", None) in (
                self._xinput.RawMotion, self._xinput.RawKeyPress, self._xinput.RawButtonPress,
            )  # fmt: skip
        return came

    def full_screen(self) -> bool | None:
        from Xlib import X, Xatom, error  # noqa: PLC0415

        active = self._root.get_full_property(self._active, Xatom.WINDOW)
        if active is None:
            return None
        if not len(active.value) or active.value[0] in (X.NONE, self._root.id):
            return False
        window = self._connection.create_resource_object("window", active.value[0])
        try:
            state = window.get_full_property(self._state, Xatom.ATOM)
        except error.XError:  # it was closed meanwhile
            return False
        return state is not None and self._full in state.value
