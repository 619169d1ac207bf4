"""The kept profile and the one before it: 0600 files, replaced whole or not at all.

They are in the form that wg-quick and the other WireGuard programs read, so that an owner who
runs the command by hand uses the same file. What is read back is checked again like any other.
All calls block. Counterpart: `narrowing`, which has decided what is used.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.owned_file import leftovers, read_owned, write_owned
from hivemind_worker.places import own_folder
from hivemind_worker.vpn.keys import new_pair
from hivemind_worker.vpn.narrowing import Membership, usable
from hivemind_worker.vpn.profile import Profile, render

NUMBERS = ("1", "2", "3")
FIRST = NUMBERS[0]


class Shelf:
    """One profile in use, named after its interface as wg-quick wants it, and one to go back to.

    Each lies in a numbered folder; one small file says which is which, so that a change is one write.
    """

    def __init__(self, folder: Path, interface: str) -> None:
        self._folder, self._name = folder, f"{interface}.conf"
        self._order = folder / "order"
        self._key = folder / "new-key"

    @property
    def file(self) -> Path:
        """The profile in use; there may be none."""
        return self._place(self._numbers()[0] or FIRST)

    def _place(self, number: str) -> Path:
        return self._folder / number / self._name

    def _numbers(self) -> tuple[str, str]:
        """The folder in use and the one before it, "" for none."""
        listed = (read_owned(self._order) or b"").decode("ascii", "replace").split()
        now, before = (*(each for each in listed if each in NUMBERS), "", "")[:2]
        return now, before

    def keep(self, profile: Profile) -> Problem | None:
        """Put a profile in use; the one before it stays for `go_back`. A problem leaves both as they were."""
        try:
            own_folder(self._folder)
            self._clear_leftovers()
            text = render(profile).encode()
            if read_owned(self.file) != text:
                self._put(text)
            self._key.unlink(missing_ok=True)  # it is in the profile now, or was not needed
        except OSError as error:
            return self._refused(error)
        return None

    def _put(self, text: bytes) -> None:
        now, before = self._numbers()
        new = next(each for each in NUMBERS if each not in (now, before))
        own_folder(self._folder / new)
        write_owned(self._place(new), text)
        write_owned(self._order, f"{new} {now}".encode())  # from here on it is in use
        if before:
            self._place(before).unlink(missing_ok=True)

    def _refused(self, error: OSError) -> Problem:
        return Problem(
            code=FaultCode.NO_PERMISSION, about=f"{error.filename or self._folder}: {error.strerror}"
        )

    def new_key(self) -> str | Problem:
        """Make a key pair for a network whose owner enrols by hand; its public half, to be sent there."""
        pair = new_pair()
        try:
            own_folder(self._folder)
            write_owned(self._key, pair.private.encode())
        except OSError as error:
            return self._refused(error)
        return pair.public

    def completed(self, untrusted: bytes) -> bytes:
        """A profile that came without a private key, with the one made for it by `new_key`."""
        key = read_owned(self._key)
        if key is None or b"privatekey" in untrusted.lower():
            return untrusted
        return re.sub(
            rb"(?im)^[ \t]*\[interface\][ \t]*\r?$", b"[Interface]\nPrivateKey = " + key, untrusted, count=1
        )

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
        before = self._numbers()[1]
        content = read_owned(self._place(before)) if before else None
        return None if content is None else self._read(content, member)

    def go_back(self) -> Problem | None:
        """Put the previous profile in use again; the present one takes its place."""
        now, before = self._numbers()
        if not before or read_owned(self._place(before)) is None:
            return Problem(code=FaultCode.NO_PROFILE)
        try:
            write_owned(self._order, f"{before} {now}".encode())
        except OSError as error:
            return self._refused(error)
        return None

    def remove(self) -> None:
        """Forget both, and what a crash in the middle of `keep` may have left."""
        self._clear_leftovers()
        for path in (self._order, *map(self._place, NUMBERS), self._key):
            path.unlink(missing_ok=True)

    def _clear_leftovers(self) -> None:
        for path in (self._order, *map(self._place, NUMBERS), self._key):
            for left in leftovers(path):
                with contextlib.suppress(OSError):
                    left.unlink()
