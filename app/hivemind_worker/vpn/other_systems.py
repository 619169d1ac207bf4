"""The commands by which WireGuard's own programs on Windows and macOS bring a kept profile up and down.

Pure: they are built here, shown to the owner, and run by the owner. Never run by our tests, which
compare them with the command lines of the tools' published documentation (tests/vpn/test_other_systems):
nobody of this project has run them on these systems yet.
"""

from __future__ import annotations

import subprocess
from pathlib import PurePath

WIREGUARD_EXE = r"C:\Program Files\WireGuard\wireguard.exe"


def windows(file: PurePath, verb: str) -> tuple[str, ...]:
    """A tunnel service named after the file; needs an administrator's prompt."""
    if verb == "up":
        return (WIREGUARD_EXE, "/installtunnelservice", str(file))
    return (WIREGUARD_EXE, "/uninstalltunnelservice", file.stem)


def macos(file: PurePath, verb: str) -> tuple[str, ...]:
    """wg-quick of wireguard-tools, with wireguard-go; the App Store's app imports the file by hand."""
    return ("wg-quick", verb, str(file))


def as_shown(words: tuple[str, ...]) -> str:
    """A Windows command line."""
    return subprocess.list2cmdline(words)
