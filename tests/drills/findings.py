"""What the drills found: invariants looked at and broken, by drill, and the table of it all."""

from __future__ import annotations

from dataclasses import dataclass, field

INVARIANTS = {
    "I1": "every finished result is at the pool or owed in the outbox",
    "I2": "at most one accepted result a task, exactly one end",
    "I3": "no sandbox child without an open task",
    "I4": "no workspace, archive or spool file that no row owns",
    "I5": "the resource books add up",
    "I6": "status and story tell what happened",
}


@dataclass
class Sheet:
    """One drill: tries, how often each invariant was looked at and held, what was found."""

    drill: str
    tries: int = 0
    looked: dict[str, int] = field(default_factory=lambda: dict.fromkeys(INVARIANTS, 0))
    held: dict[str, int] = field(default_factory=lambda: dict.fromkeys(INVARIANTS, 0))
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    not_run: str = ""

    def look(self, invariant: str, broken: list[str], where: str) -> None:
        """Count one look at an invariant."""
        self.looked[invariant] += 1
        self.held[invariant] += not broken
        self.findings += [f"{self.drill} {where}: {invariant}: {text}" for text in broken]

    def expect(self, invariant: str, holds: bool, text: str, where: str = "") -> None:
        """A particular of this drill, counted with an invariant; `text` says what is wrong."""
        self.look(invariant, [] if holds else [text], where)

    def row(self) -> list[str]:
        """Its line of the table."""
        if self.not_run:
            return [self.drill, "-", *["-"] * len(INVARIANTS), f"not run: {self.not_run}"]
        marks = [f"{self.held[name]}/{self.looked[name]}" for name in INVARIANTS]
        return [self.drill, str(self.tries), *marks, f"{self.seconds:.0f} s"]


def table(sheets: list[Sheet]) -> list[str]:
    """The table as lines of text."""
    rows = [["drill", "tries", *INVARIANTS, "took"], *(sheet.row() for sheet in sheets)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
