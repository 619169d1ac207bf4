"""The Debian package in a bare Debian: installed, started, worked with, upgraded, purged; nothing stays."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.chroot import bare_system, inside, listed, run
from tests.packaging.conftest import NEXT
from tests.ui.screen import xvfb

pytestmark = pytest.mark.release

START_LIMIT_S, SETUP_LIMIT_S, STOP_LIMIT_S = 60.0, 240.0, 30.0
STATE = Path("home/vera/.local/state/HiveMind Worker")
PLAIN = "uses-no-compression-for-control-tarball,uses-no-compression-for-data-tarball"  # packed for speed


def test_lintian_finds_no_error(package: Path, tmp_path: Path) -> None:
    if shutil.which("lintian") is None:
        pytest.skip("this system has no lintian")
    done = subprocess.run(
        ["lintian", "--allow-root", "--fail-on", "error", "--suppress-tags", PLAIN, package],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},  # it leaves files there
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("desktop-file-validate", "applications/hivemind-worker.desktop"),
        ("appstreamcli", "validate", "--no-net", "metainfo/io.hivemind.worker.metainfo.xml"),
        ("man", "--warnings", "-E", "UTF-8", "-Tutf8", "-Z", "-l", "man/man1/hivemind-worker.1.gz"),
    ],
    ids=lambda words: words[0],
)
def test_what_menus_stores_and_man_read_is_valid(
    package: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    if shutil.which(words[0]) is None:
        pytest.skip(f"this system has no {words[0]}")
    unpack = 'dpkg-deb --fsys-tarfile "$0" | tar -x ./usr/share'
    subprocess.run(["sh", "-ec", unpack, package], cwd=tmp_path, check=True)
    done = subprocess.run(words, cwd=tmp_path / "usr/share", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


def test_a_volunteer_installs_sets_up_works_upgrades_and_leaves_nothing(
    package: Path, tmp_path: Path
) -> None:
    with bare_system(tmp_path) as root, xvfb() as (display, _process):
        run(root, "useradd", "--create-home", "vera")
        before = listed(root)
        _install(root, package)
        assert "selftest" in run(root, "hivemind-worker", "--help", user="vera")
        _helper_is_roots(root)
        with _window(root, display) as log:
            _first_run(root, display, log)
            rows = _tasks(root)
            assert [row["status"] for row in rows] == ["COMPLETED"], rows
            kept = {path.name for path in (root / "home/vera").rglob("receipts/*.json")}
            _install(root, package.with_name(package.name.replace("0.1.0", NEXT)))
            _until(lambda: "program_replaced" in _verdicts(root), START_LIMIT_S, log)
        assert NEXT in run(root, "dpkg-query", "-W", "hivemind-worker")
        assert kept and kept <= {path.name for path in (root / "home/vera").rglob("receipts/*.json")}
        run(root, "su", "hivemind-worker", "-s", "/bin/sh", "-c", "hivemind-worker version")
        run(root, "dpkg", "--remove", "hivemind-worker")
        assert not (root / "usr/lib/hivemind-worker").exists()
        run(root, "dpkg", "--purge", "hivemind-worker")
        after = listed(root)
        assert {place: row for place, row in after.items() if before.get(place) != row} == {}
        assert before.keys() - after.keys() == set()


def _install(root: Path, package: Path) -> None:
    target = root / "tmp" / package.name
    shutil.copyfile(package, target)
    run(root, "dpkg", "--install", f"/tmp/{package.name}")
    target.unlink()


def _helper_is_roots(root: Path) -> None:
    """Only root can change what polkit starts with elevated rights, nor a folder above it; it answers."""
    helper = root / "usr/lib/hivemind-worker/vpn-helper"
    files = [helper, *helper.parent.rglob("*"), root / "usr", root / "usr/lib", helper.parent]
    rows = [path.lstat() for path in files if not path.is_symlink()]
    assert all(row.st_uid == 0 and not row.st_mode & 0o022 for row in rows)
    words = ["sh", "-c", 'echo \'{"verb": "up"}\' | /usr/lib/hivemind-worker/vpn-helper']
    assert json.loads(run(root, *words))["ok"] is False
    policy = (root / "usr/share/polkit-1/actions/io.hivemind.worker.vpn.policy").read_text()
    assert "/usr/lib/hivemind-worker/vpn-helper" in policy


@contextlib.contextmanager
def _window(root: Path, display: str) -> Iterator[Path]:
    """The app as vera starts it from her menu, ended in order."""
    log = root / "tmp" / "window.log"
    words = inside(root, "hivemind-worker", "gui", user="vera", DISPLAY=display, DOCKER_ENABLED="false",
                   NODE_PORT="0", FLASK_PORT="0", HIVEMIND_LANGUAGE="en")  # fmt: skip
    with log.open("wb") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        _until((root / STATE / "endpoint.json").exists, START_LIMIT_S, log)
        yield log
        run(root, "hivemind-worker", "finish", "--quit", user="vera")
        assert process.wait(STOP_LIMIT_S) == 0, log.read_text()
    finally:
        process.kill()
        process.wait(STOP_LIMIT_S)


def _first_run(root: Path, display: str, log: Path) -> None:
    """Through all steps by the Enter key alone: the default of each is what a hurried person takes."""
    environment = {"DISPLAY": display, "PATH": "/usr/bin:/bin"}

    def press() -> bool:
        words = ["xdotool", "search", "--name", "Setting up", "windowfocus", "key", "Return"]
        subprocess.run(words, env=environment, check=False, capture_output=True)
        time.sleep(0.5)  # a person's pace: each step wants to be seen
        return "done=true" in (root / STATE / "window.ini").read_text() if _remembers(root) else False

    _until(press, SETUP_LIMIT_S, log)


def _verdicts(root: Path) -> list[str]:
    status = json.loads(run(root, "hivemind-worker", "status", "--json", user="vera"))
    return [verdict["code"] for verdict in status["verdicts"]]


def _remembers(root: Path) -> bool:
    return (root / STATE / "window.ini").exists()


def _tasks(root: Path) -> list[dict[str, object]]:
    out = run(root, "hivemind-worker", "tasks", "--json", user="vera")
    return [row for line in out.splitlines() for row in json.loads(line).get("tasks", [])]


def _until(holds, limit_s: float, log: Path) -> None:  # type: ignore[no-untyped-def]
    ends_at = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < ends_at, log.read_text()[-4000:]
        time.sleep(0.1)
