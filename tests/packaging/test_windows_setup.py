"""The set-up for Windows under Wine, around a stand-in for the program: what it writes, asks for, takes away.

The program itself does not run here: that is for the Windows runner, around the real thing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT, built

pytestmark = pytest.mark.release

STUB = "amd64-unicode"
LIMIT_S = 120.0
HERE = "drive_c/users/{user}/AppData/Local/Programs/HiveMind Worker"
ALL = "drive_c/Program Files/HiveMind Worker"
UNINSTALL = r"Software\Microsoft\Windows\CurrentVersion\Uninstall\HiveMind Worker"
RUN = r"Software\Microsoft\Windows\CurrentVersion\Run"


@dataclass(frozen=True, kw_only=True)
class Computer:
    """A new Windows of Wine's, with set-ups of two versions and the stage of the stand-in."""

    prefix: Path
    setups: Path

    @property
    def scene(self) -> Path:
        return self.prefix / "drive_c" / "scene"

    @property
    def mine(self) -> Path:
        return self.prefix / HERE.format(user=os.environ.get("USER", "root"))

    @property
    def data(self) -> Path:
        return self.mine.parents[1] / "HiveMind Worker"

    def wine(self, *words: str, wanted: int | None = 0) -> str:
        """Run to the end; the exit code must be the wanted one."""
        done = subprocess.run(
            ["wine", *words], env=around(self.prefix), capture_output=True, text=True, timeout=LIMIT_S,
            check=False, cwd=self.prefix, errors="replace",
        )  # fmt: skip
        assert wanted is None or done.returncode == wanted, (words, done.returncode, done.stderr)
        return done.stdout

    def install(self, version: str, *flags: str, wanted: int = 0) -> None:
        self.wine(str(self.setups / f"setup-{version}.exe"), "/S", *flags, wanted=wanted)

    def uninstall(self, folder: Path, *flags: str, wanted: int = 0) -> None:
        """Its uninstaller copies itself away and returns 0 at once; `_?=` keeps it here, where no space
        is in the place. It is waited for in either case: it holds on to the output."""
        place = f"Z:{folder}".replace("/", "\\")
        self.wine(str(folder / "uninstall.exe"), "/S", *flags, f"_?={place}", wanted=wanted)

    def registry(self, root: str, key: str, value: str) -> str:
        out = self.wine("reg", "query", f"{root}\\{key}", "/v", value, "/reg:64", wanted=None)
        return next((line.split("REG_")[1] for line in out.splitlines() if "REG_" in line), "")

    def calls(self) -> list[str]:
        log = self.scene / "calls.log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    def first_call(self, wanted: str) -> str:
        """The next call that has this in it: what asks for more rights is not waited for by the set-up."""
        end = time.monotonic() + LIMIT_S
        while not (found := [line for line in self.calls() if wanted in line]):
            assert time.monotonic() < end, f"no call with {wanted}"
            time.sleep(0.05)
        return found[0]


def around(prefix: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(prefix.parent), "WINEPREFIX": str(prefix),
            "TMPDIR": str(prefix.parent), "XDG_RUNTIME_DIR": str(prefix.parent),
            "WINEDEBUG": "-all", "WINEARCH": "win64", "LC_ALL": "C.UTF-8",
            "WINEDLLOVERRIDES": "mscoree,mshtml,winemenubuilder.exe=",
            "USER": os.environ.get("USER", "root")}  # fmt: skip


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Computer]:
    if shutil.which("makensis") is None or shutil.which("wine") is None:
        pytest.skip("this system has no makensis or no wine")
    folder = tmp_path_factory.mktemp("windows")
    made = Computer(prefix=folder / "prefix", setups=folder)
    subprocess.run(["wine", "wineboot", "--init"], env=around(made.prefix), timeout=LIMIT_S, check=True,
                   capture_output=True)  # fmt: skip
    made.scene.mkdir()
    for version, files in (("0.1.0", ("old.txt", "same.txt")), ("0.2.0", ("same.txt", "數據.txt"))):
        _make_setup(folder, version, files)
    yield made
    subprocess.run(["wineserver", "-k", "-w"], env=around(made.prefix), timeout=LIMIT_S, check=False)
    shutil.rmtree(folder)


def _make_setup(folder: Path, version: str, files: tuple[str, ...]) -> None:
    frozen = folder / f"frozen-{version}"
    (frozen / "_internal" / "deep" / "er").mkdir(parents=True)
    (frozen / "licences").mkdir()
    for name in files:
        (frozen / "_internal" / "deep" / "er" / name).write_text(version)
    (frozen / "licences" / "INDEX.txt").write_text(version)
    (frozen / "LICENSE").write_text("Apache-2.0")
    for name in ("hivemind-worker", "HiveMind Worker"):
        _make_stand_in(f"{name} {version}", frozen / f"{name}.exe")
    icon = folder / "app.ico"
    if not icon.exists():
        icon.write_bytes(b"\0\0\1\0\1\0\1\1\0\0\1\0\x20\0\x30\0\0\0\x16\0\0\0" + _one_pixel())
    built("env", f"STUB={STUB}", "COMPRESSION=zlib", f"ICON={icon}", "installer/windows/setup.sh",
          str(frozen), version, str(folder / f"setup-{version}.exe"))  # fmt: skip


def _make_stand_in(name: str, place: Path) -> None:
    place.unlink(missing_ok=True)
    built("makensis", "-V1", "-NOCD", f"-DSTUB={STUB}", f"-DWHO={name}", "-DSCENE=C:\\scene",
          f"-DOUT={place}", "installer/windows/stand_in.nsi")  # fmt: skip


def _one_pixel() -> bytes:
    return (40).to_bytes(4, "little") + b"\1\0\0\0\2\0\0\0\1\0\x20\0" + bytes(24) + b"\0\0\xff\xff" + bytes(4)


def _tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def _is_payload(computer: Computer, folder: Path, version: str) -> None:
    found = _tree(folder)
    assert found.pop("uninstall.exe")
    assert found == _tree(computer.setups / f"frozen-{version}")


@pytest.fixture
def computer(windows: Computer) -> Iterator[Computer]:
    """However a test ends, no worker runs after it: the next set-up would wait for that."""
    yield windows
    for name in ("up", "busy"):
        (windows.scene / name).unlink(missing_ok=True)


def test_it_is_for_one_person_and_asks_for_nothing(computer: Computer) -> None:
    computer.install("0.1.0")
    _is_payload(computer, computer.mine, "0.1.0")
    assert computer.registry("HKCU", UNINSTALL, "DisplayVersion").endswith("0.1.0")
    assert not computer.registry("HKCU", RUN, "HiveMind Worker"), "it starts by itself only when asked to"
    assert list(computer.prefix.rglob("HiveMind Worker.lnk"))


def test_an_upgrade_lets_running_tasks_end_and_goes_on_after_it(computer: Computer) -> None:
    computer.install("0.1.0")
    (computer.scene / "up").touch()
    (computer.mine / "mine.txt").write_text("mine")
    computer.calls()
    computer.install("0.2.0", "/Autostart")
    calls = computer.calls()
    assert calls[:2] == ["hivemind-worker 0.1.0: status --json", "hivemind-worker 0.1.0: finish --quit"]
    assert calls[-1] == "HiveMind Worker 0.2.0: gui --hidden"
    assert (computer.mine / "mine.txt").read_text() == "mine", "other files in the folder are left alone"
    (computer.mine / "mine.txt").unlink()
    _is_payload(computer, computer.mine, "0.2.0")
    assert computer.registry("HKCU", RUN, "HiveMind Worker").endswith('HiveMind Worker.exe" gui --hidden')


def test_tasks_that_do_not_end_leave_the_old_version_as_it_is(computer: Computer) -> None:
    computer.install("0.1.0")
    for name in ("up", "busy"):
        (computer.scene / name).touch()
    computer.calls()
    computer.install("0.2.0", "/Wait=1", wanted=4)
    assert computer.calls()[-1] == "hivemind-worker 0.1.0: resume"
    _is_payload(computer, computer.mine, "0.1.0")


def test_a_version_that_cannot_be_written_leaves_the_old_one_as_it_is(computer: Computer) -> None:
    computer.install("0.1.0")
    shutil.rmtree(computer.mine / "licences")
    (computer.mine / "licences").write_text("in the way of a folder")
    computer.install("0.2.0", wanted=2)
    found, old = _tree(computer.mine), _tree(computer.setups / "frozen-0.1.0")
    assert {name: found.get(name) for name in old if not name.startswith("licences")} == {
        name: content for name, content in old.items() if not name.startswith("licences")
    }
    (computer.mine / "licences").unlink()


def test_for_everybody_it_lies_where_programs_do(computer: Computer) -> None:
    computer.install("0.2.0", "/AllUsers")
    _is_payload(computer, computer.prefix / ALL, "0.2.0")
    assert computer.registry("HKLM", UNINSTALL, "DisplayVersion").endswith("0.2.0")
    computer.uninstall(computer.prefix / ALL)
    assert set(_tree(computer.prefix / ALL)) <= {"uninstall.exe"}
    assert not computer.registry("HKLM", UNINSTALL, "DisplayVersion")


def test_the_uninstaller_leaves_a_persons_data_unless_told_otherwise(computer: Computer) -> None:
    computer.install("0.2.0", "/Autostart")
    computer.data.mkdir(exist_ok=True)
    (computer.data / "settings.toml").write_text("")
    computer.uninstall(computer.mine)
    assert set(_tree(computer.mine)) <= {"uninstall.exe"}
    assert not computer.registry("HKCU", RUN, "HiveMind Worker")
    assert not computer.registry("HKCU", UNINSTALL, "DisplayVersion")
    assert not list(computer.prefix.rglob("HiveMind Worker.lnk"))
    assert (computer.data / "settings.toml").exists()
    computer.install("0.2.0")
    computer.uninstall(computer.mine, "/DeleteData")
    assert not computer.data.exists()


def test_tasks_that_do_not_end_keep_the_program_from_being_taken_away(computer: Computer) -> None:
    place = computer.prefix / "drive_c" / "apart"
    computer.install("0.2.0", "/D=C:\\apart")
    for name in ("up", "busy"):
        (computer.scene / name).touch()
    computer.calls()
    computer.uninstall(place, "/Wait=1", wanted=4)
    assert computer.calls()[-1] == "hivemind-worker 0.2.0: resume", "it takes tasks again"
    _is_payload(computer, place, "0.2.0")
    (computer.scene / "busy").unlink()
    computer.uninstall(place)
    assert set(_tree(place)) <= {"uninstall.exe"}


def test_the_firewall_lets_in_what_comes_through_the_vpn_when_asked_and_by_the_systems_own_program(
    computer: Computer,
) -> None:
    """One that lies beside the set-up, as a download would, must not get an administrator's rights."""
    system = computer.prefix / "drive_c/windows/system32/WindowsPowerShell/v1.0/powershell.exe"
    _make_stand_in("system", system)
    planted = [folder / "powershell.exe" for folder in (computer.setups, computer.prefix)]
    for place in planted:
        _make_stand_in("planted", place)
    computer.calls()
    for flags, folder, programs in (
        ((), computer.mine, "C:\\users"),
        (("/AllUsers",), computer.prefix / ALL, "C:\\Prog"),
    ):
        computer.install("0.2.0", *flags)
        assert not [call for call in computer.calls() if "Firewall" in call], "only when asked"
        computer.install("0.2.0", *flags, "/Firewall")
        call = computer.first_call("New-NetFirewallRule")
        rules = [part for part in call.split(";") if "New-NetFirewallRule" in part]
        assert call.startswith("system: ") and len(rules) == 2
        assert all("-Direction Inbound" in rule and "-InterfaceAlias 'hivemind0'" in rule for rule in rules)
        assert all(f"-Program '{programs}" in rule for rule in rules)
        computer.uninstall(folder)
        call = computer.first_call("NetFirewallRule")
        assert call.startswith("system: ")
        assert "Remove-NetFirewallRule -DisplayName 'HiveMind Worker (VPN)'" in call
    for place in planted:
        place.unlink()


def test_a_folder_of_ones_own_choice_keeps_what_else_is_in_it(computer: Computer) -> None:
    place = computer.prefix / "drive_c" / "programs"
    place.mkdir()
    (place / "mine.txt").write_text("mine")
    computer.install("0.1.0", "/D=C:\\programs")
    computer.install("0.2.0")
    assert (place / "_internal/deep/er/same.txt").read_text() == "0.2.0", "an upgrade finds it"
    computer.uninstall(place)
    assert set(_tree(place)) <= {"mine.txt", "uninstall.exe"}


def test_the_file_says_which_version_it_is_and_never_asks_for_more_rights(computer: Computer) -> None:
    content = (computer.setups / "setup-0.2.0.exe").read_bytes()
    assert "0.2.0".encode("utf-16-le") in content
    assert b'level="asInvoker"' in content
    manifest = (ROOT / "installer" / "windows" / "app.manifest").read_text()
    assert 'level="asInvoker"' in manifest and "PerMonitorV2" in manifest


def test_a_set_up_around_the_real_frozen_folder_holds_every_file_of_it(frozen: Path, tmp_path: Path) -> None:
    """Listed and unpacked here, checked, then deleted: these files are for Linux, not for Windows."""
    if shutil.which("makensis") is None or shutil.which("7z") is None:
        pytest.skip("this system has no makensis or no 7z")
    setup, unpacked = tmp_path / "setup.exe", tmp_path / "unpacked"
    for name in ("hivemind-worker.exe", "HiveMind Worker.exe"):
        assert not (frozen / name).exists()
    icon = ROOT / "build" / "icons" / "app.ico"
    built(
        "env",
        "COMPRESSION=none",
        f"ICON={icon}",
        "installer/windows/setup.sh",
        str(frozen),
        "0.1.0",
        str(setup),
    )
    subprocess.run(["7z", "x", "-bso0", "-bsp0", f"-o{unpacked}", setup], check=True, timeout=LIMIT_S)
    found = _digests(unpacked)
    own = {name for name in found if name.startswith("$PLUGINSDIR") or name == "uninstall.exe"}
    assert {name: digest for name, digest in found.items() if name not in own} == _digests(frozen)


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*") if path.is_file()
    }  # fmt: skip
