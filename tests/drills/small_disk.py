"""A filesystem of 200 MiB that fills up: ext4 on a loop device, or a tmpfs, where this user may mount one."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE_MIB = 200
RESERVE_BYTES = 4096


class SmallDisk:
    """A mounted folder. `fill` leaves nothing, `free` gives back what `fill` took."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self.kind = kind
        self._ballast = folder / "ballast"

    def fill(self, leave_bytes: int = 0) -> None:
        """Take all the space but so much."""
        with self._ballast.open("ab", buffering=0) as file:
            for piece in (1 << 20, 64 << 10, RESERVE_BYTES, 512):
                with contextlib.suppress(OSError):
                    while self._free() > leave_bytes or not leave_bytes:
                        file.write(bytes(min(piece, max(self._free() - leave_bytes, 512))))

    def _free(self) -> int:
        return shutil.disk_usage(self.folder).free

    def free(self) -> None:
        """There is space again."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk() -> Iterator[SmallDisk | str]:
    """The disk, or in a few words why there is none."""
    why_not = _why_not()
    if why_not:
        yield why_not
        return
    with tempfile.TemporaryDirectory(prefix="hivemind-disk-") as name:
        image, folder = Path(name) / "image", Path(name) / "mounted"
        folder.mkdir()
        kind = _mount(image, folder)
        try:
            yield SmallDisk(folder, kind) if kind else "nothing can be mounted here"
        finally:
            if kind:
                # Also takes away the loop device; a process that still looks at it must not keep it.
                subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _why_not() -> str:
    if not sys.platform.startswith("linux"):
        return "needs Linux"
    if os.geteuid() != 0:
        return "needs root to mount a small disk"
    return "" if shutil.which("mount") else "there is no mount command"


def _mount(image: Path, folder: Path) -> str:
    with image.open("wb") as file:
        file.truncate(SIZE_MIB << 20)
    commands = {
        "ext4": [
            ["mkfs.ext4", "-q", "-m", "0", str(image)],
            ["mount", "-o", "loop", str(image), str(folder)],
        ],
        "tmpfs": [["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", str(folder)]],
    }
    for kind, steps in commands.items():
        if all(_works(step) for step in steps):
            return kind
    return ""


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0
    except FileNotFoundError:
        return False
