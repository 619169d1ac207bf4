"""The first page of a journal holds nothing but its layout, which this program knows: it can be replaced.

So a bit that flips in it costs nothing, where SQLite would see another table, or none. Only copies
are mended. Layout of the page: sqlite.org/fileformat2.html.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from functools import cache
from pathlib import Path

from hivemind_worker.store.journal import MIGRATIONS, SCHEMA_VERSION

PAGE_BYTES = 4096
FORMATS = slice(18, 20)
WRITE_AHEAD = b"\x02\x02"
PAGE_COUNT = slice(28, 32)

Layout = frozenset[tuple[object, ...]]


def layout(connection: sqlite3.Connection) -> Layout:
    """Every table and index: what it is called and how it was made.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    try:
        return frozenset(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))
    except UnicodeDecodeError as error:  # SQLite's own words quote the damaged layout
        raise sqlite3.DatabaseError("its layout is damaged") from error


@cache
def layout_of(version: int) -> Layout:
    """The layout that a sound journal of this version has, 0 for a new file."""
    with contextlib.closing(made(version)) as connection:
        return layout(connection)


def mend(copy: Path) -> None:
    """Give the journal at `copy` a first page as it should be; nobody has it open.

    Raises:
        OSError: it cannot be written.
    """
    with contextlib.closing(made(SCHEMA_VERSION)) as connection:
        page = bytearray(connection.serialize()[:PAGE_BYTES])
    page[FORMATS] = WRITE_AHEAD  # or its log would not be looked at
    page[PAGE_COUNT] = (copy.stat().st_size // PAGE_BYTES).to_bytes(4, "big")
    with copy.open("r+b") as file:
        file.write(page)


def mended_copy(path: Path, copy: Path) -> None:
    """A copy of the journal at `path`, with its log, and with a first page as it should be."""
    shutil.copyfile(path, copy)
    log = Path(f"{path}-wal")
    if log.exists():
        shutil.copyfile(log, f"{copy}-wal")
    mend(copy)


def made(version: int) -> sqlite3.Connection:
    """A new journal of this version, in memory."""
    connection = sqlite3.connect(":memory:")
    connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
    connection.executescript("".join(MIGRATIONS[:version]) + f"PRAGMA user_version={version};")
    return connection
