"""Whether the program's files are still those that this process was started from: a package may be upgraded,
or removed, while the program runs. Blocks: asked in a thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

Mark = tuple[int, int, int] | None


def own_file() -> Path | None:
    """The file that every installation writes anew; None where the program was not installed."""
    if getattr(sys, "frozen", False):
        return Path(sys.executable)
    try:
        files = metadata.distribution("hivemind-worker").files or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(path.locate())) for path in files if path.name == "METADATA"), None)


class Installation:
    """Remembers how the file was at the first look. Replaced is what two looks in a row find different:
    a package that is just being unpacked is not told of half way.
    """

    def __init__(self, find: Callable[[], Path | None] = own_file) -> None:
        self._find = find
        self._file: Path | None = None
        self._first: Mark = None
        self._last: Mark = None
        self._looked = False

    def is_replaced(self) -> bool:
        """Look again."""
        if not self._looked:
            self._file, self._looked = self._find(), True
            self._first = self._last = self._mark()
        before, self._last = self._last, self._mark()
        return self._first is not None and self._last != self._first and self._last == before

    def _mark(self) -> Mark:
        try:
            found = self._file.stat() if self._file is not None else None
        except OSError:
            return None
        return None if found is None else (found.st_ino, found.st_mtime_ns, found.st_size)
