"""A version that is newer than the one that runs, as a signed list of the project names it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Newer:
    """`page` tells about it, and is where it can be had."""

    version: str
    page: str
