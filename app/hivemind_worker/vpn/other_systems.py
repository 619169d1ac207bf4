"""The commands by which WireGuard's own programs on Windows and macOS bring a kept profile up and down.

Pure: they are built here, shown to the owner, and run by the owner. Not run by our tests; what
they are compared with says where it comes from (tests/vpn/recordings).
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


def macos_authorised(file: PurePath, verb: str) -> tuple[str, ...]:
    """As `macos`, behind the system's own question for an administrator's password."""
    quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in macos(file, verb))
    script = quoted.replace("\\", "\\\\").replace('"', '\\"')
    return ("osascript", "-e", f'do shell script "{script}" with administrator privileges')


def as_shown(words: tuple[str, ...]) -> str:
    """A Windows command line."""
    return subprocess.list2cmdline(words)
