"""Starting with the session: one entry of this user, in the way of each system. Off until asked for.

Windows: the Run key. macOS: a LaunchAgent. Elsewhere: XDG autostart. No administrator is needed.
All calls block for a moment.
"""

from __future__ import annotations

import os
import plistlib
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from xml.parsers.expat import ExpatError

from hivemind_worker.model.checkup import Autostart

NAME = "HiveMind Worker"
LABEL = "io.hivemind.worker"
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"]+')
_ESCAPED = re.compile(r"\\(.)")
RUN_KEY = r"Software\Microsoft\Windows\CurrentVersion\Run"


class Entry(Protocol):
    """One system's way."""

    def read(self) -> tuple[str, ...] | None:
        """The command that is entered; None without an entry.

        Raises:
            OSError: it cannot be read.
        """
        ...

    def write(self, command: Sequence[str]) -> None:
        """Enter this command.

        Raises:
            OSError: it cannot be entered.
        """
        ...

    def remove(self) -> None:
        """Take the entry out; none is fine.

        Raises:
            OSError: it cannot be taken out.
        """
        ...


@dataclass(frozen=True, slots=True)
class DesktopFile:
    """XDG autostart: a .desktop file, as in the Desktop Entry Specification."""

    file: Path

    def read(self) -> tuple[str, ...] | None:
        try:
            lines = self.file.read_text("utf-8").splitlines()
        except FileNotFoundError:
            return None
        found = dict(line.split("=", 1) for line in lines if "=" in line)
        if found.get("Hidden") == "true" or found.get("X-GNOME-Autostart-enabled") == "false":
            return None  # switched off in the desktop's own settings
        return tuple(_unquoted(word) for word in _WORD.findall(found.get("Exec", "")))

    def write(self, command: Sequence[str]) -> None:
        words = " ".join(_quoted(word) for word in command)
        text = (
            f"[Desktop Entry]\nType=Application\nName={NAME}\nExec={words}\nTerminal=false\n"
            "X-GNOME-Autostart-enabled=true\n"
        )
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(text, "utf-8")

    def remove(self) -> None:
        self.file.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class LaunchAgent:
    """macOS: a property list that launchd reads at log-in."""

    file: Path

    def read(self) -> tuple[str, ...] | None:
        try:
            values = plistlib.loads(self.file.read_bytes())
        except FileNotFoundError:
            return None
        except (plistlib.InvalidFileException, ValueError, ExpatError):
            return ()
        words = values.get("ProgramArguments", ()) if isinstance(values, dict) else ()
        return tuple(str(word) for word in words)

    def write(self, command: Sequence[str]) -> None:
        values = {
            "Label": LABEL, "ProgramArguments": list(command), "RunAtLoad": True,
            "ProcessType": "Interactive",
        }  # fmt: skip
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_bytes(plistlib.dumps(values))

    def remove(self) -> None:
        self.file.unlink(missing_ok=True)


class RunKey:
    """Windows: a value of the user's Run key."""

    def read(self) -> tuple[str, ...] | None:  # pragma: no cover - not run by the tests of other systems
        import winreg  # noqa: PLC0415

        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, RUN_KEY) as key:  # type: ignore[attr-defined,unused-ignore]
            try:
                value, _kind = winreg.QueryValueEx(key, NAME)  # type: ignore[attr-defined,unused-ignore]
            except FileNotFoundError:
                return None
        return windows_words(str(value))

    def write(self, command: Sequence[str]) -> None:  # pragma: no cover
        import subprocess  # noqa: PLC0415
        import winreg  # noqa: PLC0415

        line = subprocess.list2cmdline(command)
        with winreg.CreateKey(winreg.HKEY_CURRENT_USER, RUN_KEY) as key:  # type: ignore[attr-defined,unused-ignore]
            winreg.SetValueEx(key, NAME, 0, winreg.REG_SZ, line)  # type: ignore[attr-defined,unused-ignore]

    def remove(self) -> None:  # pragma: no cover
        import contextlib  # noqa: PLC0415
        import winreg  # noqa: PLC0415

        access = winreg.KEY_SET_VALUE  # type: ignore[attr-defined,unused-ignore]
        key = winreg.OpenKey(winreg.HKEY_CURRENT_USER, RUN_KEY, 0, access)  # type: ignore[attr-defined,unused-ignore]
        with key, contextlib.suppress(FileNotFoundError):
            winreg.DeleteValue(key, NAME)  # type: ignore[attr-defined,unused-ignore]


def windows_words(line: str) -> tuple[str, ...]:
    """The words of a Windows command line as list2cmdline writes it: quotes around words with spaces."""
    words, word, quoted, begun = list[str](), "", False, False
    for letter in line:
        if letter == '"':
            quoted, begun = not quoted, True
        elif letter in " \t" and not quoted:
            if begun:
                words.append(word)
            word, begun = "", False
        else:
            word, begun = word + letter, True
    return tuple([*words, word] if begun else words)


def _unquoted(word: str) -> str:
    bare = _ESCAPED.sub(r"\1", word[1:-1]) if word.startswith('"') else word
    return bare.replace("%%", "%")


def _quoted(word: str) -> str:
    """A word of Exec: in double quotes, with what is special inside them escaped; % stands for fields."""
    escaped = "".join(f"\\{letter}" if letter in '"`$\\' else letter for letter in word)
    return f'"{escaped}"'.replace("%", "%%")


def system_entry(environment: Mapping[str, str] | None = None, platform: str = sys.platform) -> Entry:
    """The way of this system."""
    around = os.environ if environment is None else environment
    home = Path(around.get("HOME") or Path.home())
    if platform == "win32":
        return RunKey()
    if platform == "darwin":
        return LaunchAgent(home / "Library" / "LaunchAgents" / f"{LABEL}.plist")
    config = Path(around.get("XDG_CONFIG_HOME") or home / ".config")
    return DesktopFile(config / "autostart" / "hivemind-worker.desktop")


def command_here() -> tuple[str, ...]:
    """What starts this program's window, hidden in the tray where there is one."""
    if getattr(sys, "frozen", False):
        return (sys.executable, "gui", "--hidden")
    return (sys.executable, "-m", "hivemind_worker", "gui", "--hidden")


def state(entry: Entry, command: Sequence[str]) -> Autostart:
    """Whether the entry is there and starts this program.

    Raises:
        OSError: it cannot be read.
    """
    found = entry.read()
    if found is None:
        return Autostart.OFF
    return Autostart.ON if found == tuple(command) else Autostart.STALE
