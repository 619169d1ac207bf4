"""Whether this program may change the network here, and by which program; else what its owner may run.

Only a file that nobody but root can change is ever started with elevated rights: a helper in a
virtual environment, an AppImage or a home folder could have been exchanged by anybody.
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import sys
from dataclasses import dataclass
from pathlib import Path, PurePath

from hivemind_worker.nursery.children import own_program

HELPER = Path("/usr/lib/hivemind-worker/vpn-helper")
"""Where the package puts `helper`, with a polkit policy of the same name."""
HELPER_WORD = "--vpn-helper"


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """How the helper is started; `argv` is empty where it may not be."""

    kind: str  # root, helper, none
    argv: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()

    @property
    def given(self) -> bool:
        return bool(self.argv)


def find_right(helper: Path = HELPER) -> Right:
    """The right of this process: root's own, the installed helper's through polkit, or none."""
    if sys.platform != "linux":
        return Right(kind="none")
    if os.geteuid() == 0:
        program = own_program(HELPER_WORD)
        return Right(kind="root", argv=program.argv, env=program.env)
    pkexec = shutil.which("pkexec", path="/usr/bin:/bin")
    if pkexec and only_root_can_change(helper):
        return Right(kind="helper", argv=(pkexec, str(helper)))
    return Right(kind="none")


def only_root_can_change(path: Path) -> bool:
    """Whether the file and every folder above it are root's and closed to writing by others; no links."""
    try:
        rows = [each.lstat() for each in (path, *path.parents)]
    except OSError:
        return False
    kinds = [stat.S_ISREG(rows[0].st_mode), *(stat.S_ISDIR(row.st_mode) for row in rows[1:])]
    return all(kinds) and all(row.st_uid == 0 and not row.st_mode & 0o022 for row in rows)


def command_to_run(file: PurePath, verb: str = "up", system: str = sys.platform) -> str:
    """What the owner may run by hand to bring the kept profile up or down."""
    from hivemind_worker.vpn import other_systems  # noqa: PLC0415 - not needed where the right is given

    if system == "win32":
        return other_systems.as_shown(other_systems.windows(file, verb))
    words = other_systems.macos(file, verb) if system == "darwin" else ("wg-quick", verb, str(file))
    return shlex.join(("sudo", *words))
