"""A bare Debian in a folder: made once, copied for each test, and what is in it listed.

Commands run in namespaces of their own, so no mount and no process outlives them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT, built

BASE = ROOT / "build" / "debootstrap"
NEEDED = ("adduser,fontconfig-config,fonts-dejavu-core,init-system-helpers,libegl1,libgl1,libwayland-client0,"
          "libwayland-cursor0,libwayland-egl1,libx11-data,libxcb1,xkb-data,"
          "dbus,dbus-user-session,libpam-systemd,procps,systemd,systemd-sysv")  # fmt: skip
MOUNTS = (
    'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && mkdir -p "$0/tmp/.X11-unix" && '
    'mount --bind /tmp/.X11-unix "$0/tmp/.X11-unix" && exec chroot "$0" "$@"'
)
# What dpkg and the tools that it calls keep for themselves, and what changes by itself.
OTHERS = ("proc/", "sys/", "dev/", "run/", "tmp/", "var/log/", "var/cache/", "var/lib/dpkg/", "home/",
          "root/", "var/lib/systemd/deb-systemd")  # fmt: skip
BACKUPS = {"etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/subuid-", "etc/subgid-",
           "etc/.pwd.lock", "etc/ld.so.cache"}  # fmt: skip


def base() -> Path:
    """The bare system with what the package depends on; kept in build/ from run to run."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        pytest.skip("a bare Debian needs root and debootstrap")
    made = BASE / "made"
    if not made.exists() or made.read_text() != NEEDED:
        shutil.rmtree(BASE, ignore_errors=True)
        built("debootstrap", "--variant=minbase", f"--include={NEEDED}", "bookworm", str(BASE))
        shutil.rmtree(BASE / "var" / "cache" / "apt")
        made.write_text(NEEDED)
    return BASE


@contextlib.contextmanager
def bare_system(folder: Path) -> Iterator[Path]:
    """A copy of it, taken away at the end."""
    root = folder / "system"
    subprocess.run(["cp", "-a", "--reflink=auto", str(base()), str(root)], check=True)
    try:
        yield root
    finally:
        shutil.rmtree(root)


def inside(root: Path, *words: str, user: str = "root", **environment: str) -> list[str]:
    """The command that runs these words in the system, as this user."""
    home = "/root" if user == "root" else f"/home/{user}"
    values = {"HOME": home, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "USER": user,
              "DEBIAN_FRONTEND": "noninteractive", **environment}  # fmt: skip
    around = [f"{name}={value}" for name, value in values.items()]
    become = () if user == "root" else ("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups")
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", MOUNTS, str(root),
            "env", "-i", f"--chdir={home}", *around, *become, *words]  # fmt: skip


def run(root: Path, *words: str, user: str = "root", limit_s: float = 180.0, **environment: str) -> str:
    """Its output; it must succeed."""
    done = subprocess.run(
        inside(root, *words, user=user, **environment), capture_output=True, text=True, timeout=limit_s,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def listed(root: Path) -> dict[str, tuple[object, ...]]:
    """Every path with its kind, mode, owner and content, but for what dpkg keeps for itself."""
    found: dict[str, tuple[object, ...]] = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder) / name
            place = path.relative_to(root).as_posix()
            if not f"{place}/".startswith(OTHERS) and place not in BACKUPS:
                found[place] = _row(path)
    return found


def _row(path: Path) -> tuple[object, ...]:
    row = path.lstat()
    what: object = ""
    if stat.S_ISREG(row.st_mode):
        what = hashlib.sha256(path.read_bytes()).hexdigest()
    elif stat.S_ISLNK(row.st_mode):
        what = str(path.readlink())
    return stat.filemode(row.st_mode), row.st_uid, row.st_gid, what
