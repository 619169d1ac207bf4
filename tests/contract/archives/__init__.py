"""The corpus of task archives: built by code, each with the verdict that it must get."""

from tests.contract.archives import bombs, broken, good, kinds, names
from tests.contract.archives.case import Case

CASES: tuple[Case, ...] = (*names.CASES, *kinds.CASES, *bombs.CASES, *broken.CASES, *good.CASES)

__all__ = ["CASES", "Case"]
