"""The package's services under a real systemd: off until asked for, closed in, working, upgraded, gone."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packaging.booted import System, booted
from tests.packaging.chroot import bare_system, run
from tests.packaging.conftest import NEXT

pytestmark = pytest.mark.release

UNIT = "hivemind-worker.service"
HOME = "/var/lib/hivemind-worker"
POOL = "127.0.0.1:50051"
MOST_EXPOSED = "25"  # tenths, as systemd-analyze counts: 10.0 is a service without any fence
QUICK = "[Service]\nRestartSec=1\n"
PROGRAM = "open('out.txt', 'w').write('x')\n"


def test_both_services_work_are_closed_in_and_follow_the_package(package: Path, tmp_path: Path) -> None:
    with bare_system(tmp_path) as root:
        run(root, "useradd", "--create-home", "ann")
        _install_bare(root, package)
        later = root / "var/tmp" / package.name.replace("0.1.0", NEXT)
        shutil.copyfile(package.with_name(later.name), later)
        with booted(root) as system:
            _off_until_asked_for(system)
            pool = _pool(system)
            try:
                _works_and_is_closed_in(system)
                _is_started_again_when_it_dies(system)
                _is_upgraded_while_it_runs(system, later)
            finally:
                system.run("sh", "-c", "kill $(pgrep -u ann -x hivemind-worker)")
                pool.wait()
            _works_for_one_person(system)
            _leaves_nothing(system)


def _install_bare(root: Path, package: Path) -> None:
    shutil.copyfile(package, root / "tmp" / package.name)
    run(root, "dpkg", "--install", f"/tmp/{package.name}")
    (root / "tmp" / package.name).unlink()


def _shown(system: System, name: str, *which: str) -> str:
    return system.run("systemctl", *which, "show", UNIT, "--value", "-p", name).strip()


def _off_until_asked_for(system: System) -> None:
    assert system.ask("systemctl", "is-enabled", UNIT).stdout.strip() == "disabled"
    assert _shown(system, "ActiveState") == "inactive"
    system.run("systemd-analyze", "verify", "--man=no", UNIT)
    system.run("systemd-analyze", "security", "--no-pager", f"--threshold={MOST_EXPOSED}", UNIT)


def _pool(system: System) -> subprocess.Popen[bytes]:
    """A pool of ann's with an account for the service, which keeps its login before its first start."""
    for home, user in (("home/ann", "ann"), (HOME[1:], "hivemind-worker")):
        (system.root / home / "password").write_text("a long enough password")
        system.run("chown", f"{user}:", f"/{home}/password")
    for name in ("ann", "wes"):
        system.run("hivemind-worker", "pool", "user", "add", name, "--password-file", "password", user="ann")
    words = system.words("hivemind-worker", "pool", "--listen", POOL, user="ann")
    pool = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    login = ("login", "--pool", POOL, "--user", "wes", "--password-file", "password")
    system.until(lambda: _as_service(system, *login).returncode == 0)
    assert _as_service(system, "config", "set", "master_address", POOL).returncode == 0
    return pool


def _as_service(system: System, *words: str) -> subprocess.CompletedProcess[str]:
    return system.ask("hivemind-worker", *words, user="hivemind-worker", HIVEMIND_HOME=f"{HOME}/")


def _is_idle(system: System) -> bool:
    answer = _as_service(system, "status", "--json")
    return answer.returncode == 0 and json.loads(answer.stdout)["status"] == "idle"


def _works_and_is_closed_in(system: System) -> None:
    system.run("systemctl", "enable", "--now", UNIT)
    system.until(lambda: _is_idle(system))
    (system.root / "home/ann/task").mkdir()
    (system.root / "home/ann/task/main.py").write_text(PROGRAM)
    words = (
        "submit",
        "task",
        "--pool",
        POOL,
        "--user",
        "ann",
        "--password-file",
        "password",
        "--out",
        "results",
    )
    system.run("hivemind-worker", *words, user="ann")
    assert list((system.root / "home/ann/results").rglob("out.txt"))
    facts = system.run("cat", f"/proc/{_shown(system, 'MainPID')}/status")
    rows = dict(line.split(":\t", 1) for line in facts.splitlines() if ":\t" in line)
    owner = (system.root / HOME[1:]).stat()
    assert rows["Uid"].split() == [str(owner.st_uid)] * 4 and owner.st_uid != 0
    assert (rows["NoNewPrivs"], rows["Seccomp"], int(rows["CapBnd"], 16)) == ("1", "2", 0)
    assert owner.st_mode & 0o077 == 0


def _is_started_again_when_it_dies(system: System) -> None:
    drop_in = f"/run/systemd/system/{UNIT}.d"
    system.run(
        "sh",
        "-c",
        f"mkdir -p {drop_in} && printf '{QUICK}' > {drop_in}/quick.conf && systemctl daemon-reload",
    )
    system.run("systemctl", "kill", "--signal=KILL", UNIT)
    system.until(lambda: _shown(system, "NRestarts") == "1")
    system.until(lambda: _is_idle(system))


def _is_upgraded_while_it_runs(system: System, later: Path) -> None:
    before = _shown(system, "MainPID")
    system.run("dpkg", "--install", f"/var/tmp/{later.name}")
    assert NEXT in system.run("dpkg-query", "-W", "hivemind-worker")
    system.until(lambda: _shown(system, "ActiveState") == "active")
    assert _shown(system, "MainPID") not in (before, "0")
    system.until(lambda: _is_idle(system))
    system.run("systemctl", "stop", UNIT)
    assert (_shown(system, "Result"), _shown(system, "ActiveState")) == ("success", "inactive")


def _works_for_one_person(system: System) -> None:
    """The other unit, for one's own account: it runs without anybody signed in, by lingering."""
    number = system.run("id", "-u", "ann").strip()
    system.run("loginctl", "enable-linger", "ann")
    system.until((system.root / "var/lib/systemd/linger/ann").exists)
    around = {"XDG_RUNTIME_DIR": f"/run/user/{number}"}
    own = ("systemctl", "--user")
    system.until(lambda: system.ask(*own, "enable", "--now", UNIT, user="ann", **around).returncode == 0)
    system.until(lambda: system.ask("hivemind-worker", "status", user="ann", **around).returncode == 0)
    system.run(*own, "disable", "--now", UNIT, user="ann", **around)
    assert system.ask("hivemind-worker", "status", user="ann", **around).returncode == 3
    system.run("loginctl", "disable-linger", "ann")


def _leaves_nothing(system: System) -> None:
    system.run("systemctl", "start", UNIT)
    system.run("dpkg", "--purge", "hivemind-worker")
    assert system.ask("systemctl", "cat", UNIT).returncode != 0
    assert not (system.root / HOME[1:]).exists()
    assert system.ask("getent", "passwd", "hivemind-worker").returncode != 0
    assert not system.ask("pgrep", "-x", "hivemind-worker").stdout
    left = system.run("sh", "-c", "find /etc/systemd /lib/systemd -name '*hivemind*'")
    assert not left
