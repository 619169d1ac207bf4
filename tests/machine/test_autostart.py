"""Starting with the session: off until asked for, in each system's own way, one user's alone."""

from __future__ import annotations

import configparser
import plistlib
import shlex
import subprocess
from pathlib import Path

import pytest

from hivemind_worker.machine import autostart
from hivemind_worker.machine.autostart import DesktopFile, Entry, LaunchAgent, system_entry, windows_words
from hivemind_worker.model.checkup import Autostart

COMMAND = ("/opt/Hive Mind/hivemind-worker", "gui", "--hidden")
AWKWARD = ('/opt/50% "off"/a $b `c`\\d', "gui")


@pytest.fixture(params=["linux", "darwin"])
def entry(request: pytest.FixtureRequest, tmp_path: Path) -> Entry:
    return system_entry({"HOME": str(tmp_path)}, str(request.param))


def test_it_is_off_until_asked_for_and_off_again_without_a_trace(entry: Entry, tmp_path: Path) -> None:
    assert autostart.state(entry, COMMAND) is Autostart.OFF
    entry.remove()
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
    entry.write(COMMAND)
    assert autostart.state(entry, COMMAND) is Autostart.ON
    entry.write(COMMAND)
    entry.remove()
    assert autostart.state(entry, COMMAND) is Autostart.OFF
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("command", [COMMAND, AWKWARD])
def test_the_command_is_read_back_as_it_was_written(entry: Entry, command: tuple[str, ...]) -> None:
    entry.write(command)
    assert entry.read() == command


def test_an_entry_of_a_program_that_was_moved_is_stale(entry: Entry) -> None:
    entry.write(("/old/place/hivemind-worker", "gui", "--hidden"))
    assert autostart.state(entry, COMMAND) is Autostart.STALE


def test_the_desktop_file_is_one_that_a_desktop_reads(tmp_path: Path) -> None:
    entry = system_entry({"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "cfg")}, "linux")
    assert isinstance(entry, DesktopFile)
    assert entry.file == tmp_path / "cfg/autostart/hivemind-worker.desktop"
    entry.write(COMMAND)
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.read(entry.file)
    section = parsed["Desktop Entry"]
    assert (section["Type"], section["Terminal"]) == ("Application", "false")
    assert tuple(shlex.split(section["Exec"])) == COMMAND


def test_switching_it_off_in_the_desktops_own_settings_counts(tmp_path: Path) -> None:
    entry = DesktopFile(tmp_path / "x.desktop")
    entry.write(COMMAND)
    for line in ("Hidden=true", "X-GNOME-Autostart-enabled=false"):
        entry.write(COMMAND)
        entry.file.write_text(entry.file.read_text().replace("X-GNOME-Autostart-enabled=true", line))
        assert autostart.state(entry, COMMAND) is Autostart.OFF


def test_the_launch_agent_is_a_property_list_for_launchd(tmp_path: Path) -> None:
    entry = system_entry({"HOME": str(tmp_path)}, "darwin")
    assert isinstance(entry, LaunchAgent)
    entry.write(COMMAND)
    values = plistlib.loads((tmp_path / "Library/LaunchAgents/io.hivemind.worker.plist").read_bytes())
    assert (values["ProgramArguments"], values["RunAtLoad"]) == (list(COMMAND), True)


@pytest.mark.parametrize("content", [b"", b"\x00\xff", b"Exec='unclosed\n", b"<plist>"])
def test_a_damaged_entry_is_stale_and_not_a_crash(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "entry"
    file.write_bytes(content.replace(b"\xff", b""))
    for entry in (DesktopFile(file), LaunchAgent(file)):
        assert autostart.state(entry, COMMAND) is Autostart.STALE


@pytest.mark.parametrize(
    "command", [COMMAND, (r"C:\Program Files\HiveMind\hivemind-worker.exe", "gui", "--hidden")]
)
def test_a_windows_command_line_is_read_as_it_is_written(command: tuple[str, ...]) -> None:
    assert windows_words(subprocess.list2cmdline(command)) == command


def test_what_is_entered_starts_this_program() -> None:
    assert autostart.command_here()[-2:] == ("gui", "--hidden")
    assert Path(autostart.command_here()[0]).exists()
