"""A bare Debian with systemd as its first process, in namespaces and control groups of its own.

It sees no process, network or control group but its own; when its first process is killed, all are gone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

GROUPS = Path("/sys/fs/cgroup")
LIMIT_S = 120.0
START = """
root=$0
mount --make-rprivate / && mount --bind "$root" "$root"
mount -t proc proc "$root/proc" && mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/run" && mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
  touch "$root/dev/$device" && mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm" "$root/dev/pts" "$root/run/old" && mount -t tmpfs tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx" && ln -s /proc/self/fd "$root/dev/fd"
ip link set lo up && hostname larch
cd "$root" && pivot_root . run/old && umount -l /run/old
exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
  /lib/systemd/systemd systemd.unit=multi-user.target
"""
APART = (
    'start=$0; root=$1; shift; for group; do echo $$ > "$group/cgroup.procs"; done; exec unshare --pid '
    '--fork --kill-child --mount --uts --ipc --net --cgroup sh -ec "$start" "$root"'
)


class System:
    """The running system."""

    def __init__(self, root: Path, first: int) -> None:
        self.root = root
        self._enter = ("nsenter", "-t", str(first), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w")

    def words(self, *words: str, user: str = "root", **environment: str) -> list[str]:
        """The command that runs these words in it, as this user."""
        home = {"root": "/root", "hivemind-worker": "/var/lib/hivemind-worker"}.get(user, f"/home/{user}")
        values = {"HOME": home, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
                  "DEBIAN_FRONTEND": "noninteractive", **environment}  # fmt: skip
        around = [f"{name}={value}" for name, value in values.items()]
        return [*self._enter, "runuser", "-u", user, "--", "env", "-i", "-C", home, *around, *words]

    def ask(self, *words: str, user: str = "root", **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end, whatever that is."""
        return subprocess.run(
            self.words(*words, user=user, **environment), capture_output=True, text=True, timeout=LIMIT_S,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def run(self, *words: str, user: str = "root", **environment: str) -> str:
        """Its output; it must succeed."""
        done = self.ask(*words, user=user, **environment)
        assert done.returncode == 0, (
            f"{words}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
        return done.stdout

    def until(self, holds: Callable[[], object]) -> None:
        """Wait until it does."""
        end = time.monotonic() + LIMIT_S
        while not holds():
            assert time.monotonic() < end, self.run("journalctl", "--no-pager", "-n", "60")
            time.sleep(0.2)


@contextlib.contextmanager
def booted(root: Path) -> Iterator[System]:
    """Start it; at the end it is killed, and its control groups are taken away."""
    name = f"hivemind-test-{os.getpid()}"
    groups = [path for path in (GROUPS, *GROUPS.iterdir()) if (path / "cgroup.procs").exists()]
    mine = [path / name for path in groups if path.is_dir() and not path.is_symlink()]
    try:
        for group in mine:
            _make(group)
    except OSError as error:
        _clear(mine)
        pytest.skip(f"this machine lets no test make control groups: {error}")
    process = subprocess.Popen(
        ["sh", "-ec", APART, START, str(root), *map(str, mine)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        system = System(root, _child_of(process))
        system.until(
            lambda: system.ask("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")
        )
        yield system
    finally:
        process.kill()
        process.wait(LIMIT_S)
        _clear(mine)


def _make(group: Path) -> None:
    group.mkdir()
    for file in ("cpuset.cpus", "cpuset.mems"):  # version 1: a group without them takes no process
        if (group / file).exists():
            (group / file).write_text((group.parent / file).read_text())


def _child_of(process: subprocess.Popen[bytes]) -> int:
    """The first process of the new system, as it is numbered here."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    end = time.monotonic() + LIMIT_S
    while process.poll() is None and time.monotonic() < end:
        found = children.read_text().split()
        if found and Path(f"/proc/{found[0]}/comm").read_text().strip() == "systemd":
            return int(found[0])
        time.sleep(0.05)
    raise AssertionError(f"systemd did not start: {process.returncode}")


def _clear(groups: list[Path]) -> None:
    """Take them away; a group goes when its last process has."""
    end = time.monotonic() + LIMIT_S
    for group in groups:
        while group.exists() and time.monotonic() < end:
            for folder, _folders, _files in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
            time.sleep(0.05 if group.exists() else 0)


def can_boot() -> bool:
    """Whether this machine has what it takes."""
    return os.geteuid() == 0 and all(shutil.which(word) for word in ("unshare", "nsenter", "debootstrap"))
