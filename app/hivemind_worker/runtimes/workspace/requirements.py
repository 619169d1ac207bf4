"""The lines of a requirements.txt, as the file has them; whether they can be met, the runtime says."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable

NAME = "requirements.txt"
COMMENT = re.compile(r"(^|\s+)#.*$")
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def places(entry: str) -> tuple[str, ...]:
    """Where the file may lie, in the order of search: at the top, then beside the entry script."""
    folder, slash, _ = entry.rpartition("/")
    return (NAME, folder + slash + NAME) if slash else (NAME,)


def find(files: Iterable[str], entry: str) -> str | None:
    """The path of the requirements.txt that counts; None without one."""
    there = set(files)
    return next((place for place in places(entry) if place in there), None)


def lines_of(untrusted: bytes) -> tuple[str, ...]:
    """The lines without comments and blank ones; options and addresses are kept as they are."""
    joined = re.sub(r"\\\r?\n", " ", _decoded(untrusted))
    bare = (COMMENT.sub("", line).strip() for line in joined.splitlines())
    return tuple(line for line in bare if line)


def _decoded(untrusted: bytes) -> str:
    # `pip freeze > requirements.txt` writes UTF-16 in an older PowerShell.
    encoding = "utf-16" if untrusted.startswith(UTF16_MARKS) else "utf-8-sig"
    return untrusted.decode(encoding, "replace")
