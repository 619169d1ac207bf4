"""The kept profile and the one before it: 0600 files, replaced whole or not at all.

They are in the form that wg-quick and the other WireGuard programs read, so that an owner who
runs the command by hand uses the same file. What is read back is checked again like any other.
All calls block. Counterpart: `narrowing`, which has decided what is used.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.owned_file import leftovers, read_owned, write_owned
from hivemind_worker.places import own_folder
from hivemind_worker.vpn.narrowing import Membership, usable
from hivemind_worker.vpn.profile import Profile, render


class Shelf:
    """One profile in use, named after its interface as wg-quick wants it, and one to go back to."""

    def __init__(self, folder: Path, interface: str) -> None:
        self._folder = folder
        self.file = folder / f"{interface}.conf"
        self._previous = folder / "previous" / f"{interface}.conf"

    def keep(self, profile: Profile) -> Problem | None:
        """Put a profile in use; the one before it stays for `go_back`. A problem leaves both as they were."""
        try:
            own_folder(self._folder)
            own_folder(self._previous.parent)
            self._clear_leftovers()
            before = read_owned(self.file)
            text = render(profile).encode()
            if before is not None and before != text:
                write_owned(self._previous, before)
            write_owned(self.file, text)
        except OSError as error:
            return Problem(code=FaultCode.NO_PERMISSION, about=f"{self.file}: {error.strerror}")
        return None

    def find(self, member: Membership) -> Profile | Problem | None:
        """The profile in use, None when there is none; a problem when it is open to others or was spoilt."""
        if not self.file.exists() and not self.file.is_symlink():
            return None
        content = read_owned(self.file)
        if content is None:
            return Problem(code=FaultCode.BAD_PROFILE, about=f"{self.file} is not yours alone (mode 0600)")
        return self._read(content, member) or Problem(
            code=FaultCode.BAD_PROFILE, about=f"{self.file} no longer fits the pool at {member.pool}"
        )

    def _read(self, content: bytes, member: Membership) -> Profile | None:
        """As it was kept: narrow, or wide when that was the owner's choice."""
        narrow, review = usable(content, member)
        if narrow is not None and render(narrow).encode() == content:
            return narrow
        wide, _ = usable(content, Membership(pool=member.pool, network=member.network, wide=True))
        if wide is not None and render(wide).encode() == content:
            return wide
        return narrow if review.usable else None

    def previous(self, member: Membership) -> Profile | None:
        """The profile before the one in use."""
        content = read_owned(self._previous)
        return None if content is None else self._read(content, member)

    def go_back(self) -> Problem | None:
        """Put the previous profile in use again; the present one takes its place."""
        before, now = read_owned(self._previous), read_owned(self.file)
        if before is None:
            return Problem(code=FaultCode.NO_PROFILE)
        try:
            write_owned(self.file, before)
            if now is not None:
                write_owned(self._previous, now)
        except OSError as error:
            return Problem(code=FaultCode.NO_PERMISSION, about=f"{self.file}: {error.strerror}")
        return None

    def remove(self) -> None:
        """Forget both, and what a crash in the middle of `keep` may have left."""
        self._clear_leftovers()
        for path in (self.file, self._previous):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    def _clear_leftovers(self) -> None:
        for path in (*leftovers(self.file), *leftovers(self._previous)):
            with contextlib.suppress(OSError):
                path.unlink()
