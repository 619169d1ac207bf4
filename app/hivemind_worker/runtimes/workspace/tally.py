"""What a result holds so far, against the limits. Pure."""

from __future__ import annotations

from hivemind_worker.runtimes.workspace.limits import MIB, Limits
from hivemind_worker.runtimes.workspace.walk import Finding, Found


class TooMuch(Exception):  # noqa: N818 - an expected way out, turned into a Problem below
    """The whole result is over a limit."""


class Tally:
    """Counts against the limits; counted twice, since a folder can change between two looks."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._found = 0
        self._left_out = 0
        self._bytes = 0

    def count(self, finding: Finding) -> None:
        """Count one more entry.

        Raises:
            TooMuch: the folder has more than an archive may.
        """
        if isinstance(finding, Found):
            self._found += 1
        else:
            self._left_out += 1
        if max(self._found, self._left_out) > self._limits.members:
            raise TooMuch(f"more than {self._limits.members} files")

    def count_bytes(self, size: int) -> None:
        """Count a file's size.

        Raises:
            TooMuch: the files together, or this one alone, are larger than an archive may open to.
        """
        self._bytes += size
        if self._bytes > self._limits.opened_bytes or size > self._limits.member_bytes:
            most = self._limits.opened_bytes / MIB
            raise TooMuch(f"{self._bytes / MIB:.0f} MiB before packing, {most:.0f} MiB at most")
