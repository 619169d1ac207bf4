"""What a case is: a row of the security document, a builder, a verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Case:
    """An archive and its verdict: a fault code, or "ok" with the files that must be there afterwards.

    `late` when only unpacking can find out (nothing is opened before). `files` maps names to contents;
    None means that the test compares with what the standard library reads.
    """

    row: str
    name: str
    build: Callable[[], bytes]
    verdict: str
    late: bool = False
    files: dict[str, bytes] | None = field(default=None)

    @property
    def id(self) -> str:
        return f"{self.row}-{self.name}"
