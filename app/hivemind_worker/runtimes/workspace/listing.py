"""The list of what was left out of a result: in the archive, and for the worker's own log."""

from __future__ import annotations

from hivemind_worker.runtimes.workspace.draft import Draft
from hivemind_worker.runtimes.workspace.names import fold
from hivemind_worker.runtimes.workspace.refusals import shown

LEFT_OUT_NAME = "left_out.txt"
LISTED = 1000  # lines at most


class Listing:
    """One line a thing; bounded, since a task can make things to leave out by the thousand."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._more = 0

    def add(self, untrusted_path: str, why: str) -> None:
        """Enter one thing."""
        if len(self._lines) < LISTED:
            self._lines.append(f"{_printable(untrusted_path)}: {why}")
        else:
            self._more += 1

    def lines(self) -> tuple[str, ...]:
        """All lines, the last one telling how many more there are."""
        more = (f"and {self._more} more",) if self._more else ()
        return (*self._lines, *more)

    def write(self, draft: Draft) -> None:
        """Add the list to the archive when there is anything on it."""
        if self._lines:
            text = "Not in this archive:\n" + "".join(f"- {line}\n" for line in self.lines())
            draft.add_bytes(_free_name(draft), text.encode())


def _free_name(draft: Draft) -> str:
    taken = {fold(name) for name in draft.names()} | {fold(name.partition("/")[0]) for name in draft.names()}
    stem, dot, suffix = LEFT_OUT_NAME.partition(".")
    names = (
        f"{stem}{number}{dot}{suffix}"
        for number in ("", *(f"_{count}" for count in range(2, len(taken) + 3)))
    )
    return next(name for name in names if name not in taken)


def _printable(untrusted_path: str) -> str:
    return (
        untrusted_path if untrusted_path.isascii() and untrusted_path.isprintable() else shown(untrusted_path)
    )
