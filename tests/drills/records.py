"""What a home holds, read from outside: the journal's rows and history, archives, folders."""

from __future__ import annotations

import io
import shutil
import sqlite3
import tempfile
import zipfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from hivemind_worker.model.task import Task, TaskKey
from hivemind_worker.places import Places
from hivemind_worker.store.codec import decode_task


@dataclass
class Records:
    """Rows by key, and the names of the history's lines by key, oldest first."""

    rows: dict[TaskKey, Task] = field(default_factory=dict)
    history: dict[TaskKey, list[str]] = field(default_factory=lambda: defaultdict(list))


def read_journal(places: Places, *, live: bool) -> Records:
    """The journal as it is. That of a dead worker is read from a copy: its write-ahead log must stay."""
    if not places.journal.exists():
        return Records()
    if live:
        return _read(places.journal)
    with tempfile.TemporaryDirectory(prefix="hivemind-journal-") as folder:
        copy = Path(folder) / places.journal.name
        for suffix in ("", "-wal"):
            source = Path(f"{places.journal}{suffix}")
            if source.exists():
                shutil.copyfile(source, f"{copy}{suffix}")
        return _read(copy)


def _read(path: Path) -> Records:
    connection = sqlite3.connect(path, timeout=10, isolation_level=None)
    found = Records()
    try:
        if not connection.execute("SELECT count(*) FROM sqlite_master WHERE name='tasks'").fetchone()[0]:
            return found  # killed before it was made
        connection.execute("BEGIN")
        for (text,) in connection.execute("SELECT row FROM tasks"):
            task = decode_task(text)
            found.rows[task.key] = task
        for key, what in connection.execute("SELECT key, what FROM history ORDER BY number"):
            found.history[TaskKey(key)].append(what)
    finally:
        connection.close()
    return found


def archive_status(content: bytes) -> str:
    """The state that a result archive names.

    Raises:
        zipfile.BadZipFile, KeyError: it is no result archive.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        lines = archive.read("execution_log.txt").decode().splitlines()
    return next(line.removeprefix("Status: ") for line in lines if line.startswith("Status: "))


def archive_text(content: bytes, name: str) -> str:
    """A member of a result archive as text; empty when it is not there."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(name).decode("utf-8", "replace") if name in archive.namelist() else ""
