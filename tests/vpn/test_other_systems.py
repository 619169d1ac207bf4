"""The commands for Windows and macOS, compared with what the tools' published documentation says.

Not recordings: nobody has run them there for this project. Sources of the expected lines:

* wireguard.exe: the page "Enterprise Usage" of WireGuard for Windows, as of version 0.5.3;
* wg-quick: its manual page wg-quick(8) of wireguard-tools 1.0.20210914, which serves Linux and macOS.
"""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath, PureWindowsPath

import pytest

from hivemind_worker.vpn.other_systems import as_shown, macos, windows
from hivemind_worker.vpn.rights import command_to_run

WINDOWS_FILE = PureWindowsPath(r"C:\Users\Anna O'Neil\HiveMind Worker\vpn\1\hivemind0.conf")
MAC_FILE = PurePosixPath(
    "/Users/anna o'neil/Library/Application Support/HiveMind Worker/vpn/1/hivemind0.conf"
)


def test_windows_installs_a_tunnel_service_by_file_and_removes_it_by_name() -> None:
    assert windows(WINDOWS_FILE, "up")[1:] == ("/installtunnelservice", str(WINDOWS_FILE))
    assert windows(WINDOWS_FILE, "down")[1:] == ("/uninstalltunnelservice", "hivemind0")


def test_a_windows_command_line_keeps_paths_with_blanks_whole() -> None:
    shown = as_shown(windows(WINDOWS_FILE, "up"))
    program = r"C:\Program Files\WireGuard\wireguard.exe"
    assert shown == f'"{program}" /installtunnelservice "{WINDOWS_FILE}"'
    assert command_to_run(WINDOWS_FILE, "up", "win32") == shown


@pytest.mark.parametrize("verb", ["up", "down"])
def test_macos_uses_wg_quick_with_the_file(verb: str) -> None:
    assert macos(MAC_FILE, verb) == ("wg-quick", verb, str(MAC_FILE))


def test_a_shell_reads_the_path_as_one_word() -> None:
    shown = command_to_run(MAC_FILE, "up", "darwin")
    assert shlex.split(shown) == ["sudo", "wg-quick", "up", str(MAC_FILE)]
