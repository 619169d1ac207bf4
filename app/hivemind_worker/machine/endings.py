"""How a system tells this program to end: signals, and on Windows the console's close, log-off and shut-down.

The first word of it asks for an orderly end; a second one from a person ends the process at once,
and the next start recovers. Decides nothing about what is to be ended (counterpart: `commands.run`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
SAME_MOMENT_S = 0.2
"""The end of a session is often told twice at once: SIGTERM with SIGHUP, or by a wrapper as well."""
AT_ONCE_CODE = 130
CLOSING = frozenset({2, 5, 6})
"""CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT: the process is gone when the handler returns."""
CONSOLE_LIMIT_S = 10.0


class Endings:
    """Listens from `listen` on until the process ends. `ask` is called once, in the loop's thread."""

    def __init__(
        self, ask: Callable[[], None], *, leave: Callable[[int], object] = os._exit,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._ask = ask
        self._leave = leave
        self._steady = steady
        self._asked_at_s: float | None = None
        self._over = threading.Event()
        self._console: Any = None
        self._taken: list[str] = []

    def listen(self) -> None:
        """Take the signals over; call from the loop's thread."""
        loop = asyncio.get_running_loop()
        for name in SIGNALS:
            number = getattr(signal, name, None)
            if number is None or _is_shut_out(name, number):
                continue
            try:
                loop.add_signal_handler(number, self.told, name)
            except NotImplementedError:  # Windows has no handlers on its loop
                signal.signal(number, lambda *_, name=name: loop.call_soon_threadsafe(self.told, name))
            self._taken.append(name)
        self._listen_to_console(loop)

    def told(self, name: str) -> None:
        """The system or a person has said so; the loop's thread."""
        now_s = self._steady()
        if self._asked_at_s is None:
            self._asked_at_s = now_s
            self._ask()
        elif name != "SIGHUP" and now_s - self._asked_at_s >= SAME_MOMENT_S:
            self._leave(AT_ONCE_CODE)

    def over(self) -> None:
        """Everything has ended in order: nothing that comes now may change how this process ends."""
        loop = asyncio.get_running_loop()
        for name in self._taken:
            number = getattr(signal, name)
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
        self._over.set()

    def on_console(self, event: int, loop: asyncio.AbstractEventLoop) -> bool:
        """What Windows calls, in a thread of its own; it ends the process when this returns."""
        if event not in CLOSING:
            return False
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(self.told, "SIGHUP")
            self._over.wait(CONSOLE_LIMIT_S)
        return True

    def _listen_to_console(self, loop: asyncio.AbstractEventLoop) -> None:
        if sys.platform == "win32":  # pragma: no cover - not run by the tests of other systems
            import ctypes  # noqa: PLC0415 - one system alone needs it

            shape = ctypes.WINFUNCTYPE(ctypes.c_int, ctypes.c_uint)
            self._console = shape(lambda event: int(self.on_console(event, loop)))
            ctypes.windll.kernel32.SetConsoleCtrlHandler(self._console, 1)


def _is_shut_out(name: str, number: int) -> bool:
    """Whether SIGHUP is ignored on purpose (nohup): then the end of the terminal is not ours."""
    return name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN
