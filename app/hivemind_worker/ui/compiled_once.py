"""PySide's own Python parts, compiled once.

They lie as sources inside its library and are compiled at every start, which takes a sixth of the time to the
first picture. While PySide is imported, what comes of that is kept beside this package's compiled modules, by
the hash of each source, and is trusted as much as those are. Where nothing can be kept, all is as it was.
"""

from __future__ import annotations

import builtins
import importlib.util
import marshal
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType
from typing import Any

PARTS = ("shibokensupport/", "signature_bootstrap.py")
Key = tuple[str, bytes]
KEPT = Path(importlib.util.cache_from_source(__file__)).with_suffix(".pyside")


@contextmanager
def compiled_once(file: Path = KEPT) -> Iterator[None]:
    """While this lasts, the parts are compiled only where `file` does not hold them yet."""
    parts, plain = _Parts(file), builtins.compile
    builtins.compile = parts
    try:
        yield
    finally:
        builtins.compile = plain
    parts.keep()


class _Parts:
    """Stands for `compile`."""

    def __init__(self, file: Path) -> None:
        self._file, self._plain = file, builtins.compile
        self._kept, self._used = _read(file), dict[Key, CodeType]()

    def __call__(self, source: Any, filename: Any, mode: str, *more: Any, **named: Any) -> Any:
        ours = isinstance(source, bytes) and isinstance(filename, str) and filename.startswith(PARTS)
        if not ours or more or named:
            return self._plain(source, filename, mode, *more, **named)
        key = (filename, importlib.util.source_hash(source))
        found = self._kept.get(key)
        self._used[key] = found or self._plain(source, filename, mode)
        return self._used[key]

    def keep(self) -> None:
        """Write what was used, unless it is there already or nothing compiled is to be written."""
        if sys.dont_write_bytecode or self._used.keys() <= self._kept.keys():
            return
        part = self._file.with_suffix(f".{os.getpid()}")
        with suppress(OSError):  # installed by somebody else
            part.parent.mkdir(exist_ok=True)
            part.write_bytes(marshal.dumps((importlib.util.MAGIC_NUMBER, self._used)))
            part.replace(self._file)


def _read(file: Path) -> dict[Key, CodeType]:
    try:
        magic, kept = marshal.loads(file.read_bytes())  # noqa: S302 - as compiled modules are, from their folder
    except (OSError, ValueError, EOFError, TypeError):
        return {}
    fits = magic == importlib.util.MAGIC_NUMBER and isinstance(kept, dict)
    return kept if fits else {}
