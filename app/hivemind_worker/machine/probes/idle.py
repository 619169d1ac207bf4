"""For how long nobody has touched the computer: the first source that can tell, and its name.

Windows and macOS have one each. Linux: X11 where the session is its own, then what desktops on
Wayland offer, then logind.
"""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hivemind_worker.machine.probes.bus import Bus

MS_A_SECOND = 1000
NS_A_SECOND = 1_000_000_000
LOOK_AGAIN_S = 60.0
"""A better source than the one in use is looked for this often."""


class IdleSource(Protocol):
    """One way to tell. `name` is shown to the owner."""

    @property
    def name(self) -> str: ...

    def idle_s(self) -> float | None:
        """Seconds since the last input, None when it cannot tell."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A source that is a name and a question."""

    name: str
    ask: Callable[[], float | None]

    def idle_s(self) -> float | None:
        """The answer, if it is one."""
        found = self.ask()
        return found if found is not None and math.isfinite(found) and found >= 0 else None


class FirstThatTells:
    """The first source of a list that gives an answer; the others rest meanwhile."""

    def __init__(self, sources: Sequence[IdleSource], steady: Callable[[], float] = time.monotonic) -> None:
        self._sources = sources
        self._steady = steady
        self._present: IdleSource | None = None
        self._search_from_s = 0.0

    def look(self) -> tuple[float | None, str]:
        """Seconds since the last input with the name of the source; (None, "") when nobody can tell."""
        if self._present is not None and self._steady() < self._search_from_s:
            found = self._present.idle_s()
            if found is not None:
                return found, self._present.name
        for source in self._sources:
            if (found := source.idle_s()) is not None:
                self._present, self._search_from_s = source, self._steady() + LOOK_AGAIN_S
                return found, source.name
        self._present = None
        return None, ""


# --- D-Bus ---------------------------------------------------------------------------------------


def mutter(session: Bus) -> Asked:
    """GNOME's own watch, which also sees what XWayland does not."""

    def ask() -> float | None:
        where = ("org.gnome.Mutter.IdleMonitor", "/org/gnome/Mutter/IdleMonitor/Core")
        found = session.call(*where, "org.gnome.Mutter.IdleMonitor", "GetIdletime")
        return None if found is None else found / MS_A_SECOND

    return Asked("Mutter", ask)


def screen_saver(session: Bus) -> Asked:
    """KDE and others. GNOME has the name but not the answer."""

    def ask() -> float | None:
        where = ("org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver")
        found = session.call(*where, "org.freedesktop.ScreenSaver", "GetSessionIdleTime")
        return None if found is None else found / MS_A_SECOND

    return Asked("ScreenSaver", ask)


def logind(system: Bus, clock: Callable[[], float] = time.time) -> Asked:
    """Whether every session of the computer is idle, and since when; some minutes late by its nature."""

    def ask() -> float | None:
        where = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
        idle = system.get(*where, "IdleHint")
        if idle is None:
            return None
        since_us = system.get(*where, "IdleSinceHint")
        return max(0.0, clock() - float(since_us) / 1_000_000) if idle and since_us else 0.0

    return Asked("logind", ask)


# --- Windows and macOS ---------------------------------------------------------------------------


def windows(user32: Any = None, kernel32: Any = None) -> Asked:
    """GetLastInputInfo against the tick counter, which wraps every 49.7 days."""

    def ask() -> float | None:
        import ctypes  # noqa: PLC0415

        class LastInput(ctypes.Structure):
            _fields_ = [("cbSize", ctypes.c_uint), ("dwTime", ctypes.c_uint)]

        libraries: Any = getattr(ctypes, "windll", None)
        user, kernel = user32 or libraries.user32, kernel32 or libraries.kernel32
        last = LastInput(cbSize=ctypes.sizeof(LastInput))
        if not user.GetLastInputInfo(ctypes.byref(last)):
            return None
        ago_ms = (int(kernel.GetTickCount()) - int(last.dwTime)) & 0xFFFFFFFF
        return ago_ms / MS_A_SECOND

    return Asked("Windows", ask)


def _ioreg() -> str:
    command = ["/usr/sbin/ioreg", "-c", "IOHIDSystem", "-d", "4", "-k", "HIDIdleTime"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=2).stdout


def macos(read: Callable[[], str] = _ioreg) -> Asked:
    """The registry's HIDIdleTime, in nanoseconds."""

    def ask() -> float | None:
        try:
            lines = read().splitlines()
        except (OSError, subprocess.SubprocessError):
            return None
        for line in lines:
            name, _, value = line.partition("=")
            if '"HIDIdleTime"' in name and value.strip().isdigit():
                return int(value) / NS_A_SECOND
        return None

    return Asked("macOS", ask)


def own_x_session(environment: Mapping[str, str]) -> bool:
    """Whether X11 sees all input: under Wayland it sees that of its own windows alone."""
    is_wayland = bool(environment.get("WAYLAND_DISPLAY")) or environment.get("XDG_SESSION_TYPE") == "wayland"
    return bool(environment.get("DISPLAY")) and not is_wayland


def usual_sources(
    session: Bus, system: Bus, x11: IdleSource | None, platform: str = sys.platform
) -> Sequence[IdleSource]:
    """The sources of this platform, the best first."""
    if platform == "win32":
        return [windows()]
    if platform == "darwin":
        return [macos()]
    return [*([x11] if x11 is not None else []), mutter(session), screen_saver(session), logind(system)]
