"""Room for images: which this worker fetched, when each was used, and removing the oldest. Blocking."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hivemind_worker.owned_file import write_owned
from hivemind_worker.runtimes.docker.image_facts import inspect

if TYPE_CHECKING:
    from docker import APIClient

NOTE_EVERY_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """One image that this worker has fetched."""

    name: str
    used_at_s: float


class ImageBook:
    """Which images this worker fetched. When its file is unreadable, none of them is removed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._rows = _read(file)

    @property
    def rows(self) -> dict[str, Fetched]:
        """By the image's id."""
        with self._lock:
            return dict(self._rows)

    def fetched(self, digest: str, name: str, at_s: float) -> None:
        """A fetch of ours has brought it."""
        self._put({digest: Fetched(name=name, used_at_s=at_s)})

    def used(self, digest: str, at_s: float) -> None:
        """It counts as used last; noted every ten minutes at most."""
        row = self._rows.get(digest)
        if row is not None and at_s - row.used_at_s > NOTE_EVERY_S:
            self._put({digest: replace(row, used_at_s=at_s)})

    def forget(self, digest: str) -> None:
        """It is gone."""
        with self._lock:
            self._rows.pop(digest, None)
            self._write()

    def _put(self, rows: dict[str, Fetched]) -> None:
        with self._lock:
            self._rows.update(rows)
            self._write()

    def _write(self) -> None:
        text = json.dumps({digest: asdict(row) for digest, row in self._rows.items()})
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_owned(self._file, text.encode())
        except OSError:
            return


def _read(file: Path) -> dict[str, Fetched]:
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        return {
            str(digest): Fetched(name=str(row["name"]), used_at_s=float(row["used_at_s"]))
            for digest, row in rows.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def clean(
    api: APIClient, book: ImageBook, quota_bytes: int, in_use: Collection[str], kept_name: str
) -> tuple[str, ...]:
    """Remove fetched images, unused for longest first, until the rest fits; returns the names of what went.

    Raises:
        docker.errors.DockerException: the engine.
    """
    current = inspect(api, kept_name)
    spared = {*in_use, *([str(current["Id"])] if current else [])}
    sizes: dict[str, int] = {}
    for digest in book.rows:
        image = inspect(api, digest)
        if image is None:
            book.forget(digest)
        else:
            sizes[digest] = int(image.get("Size") or 0)
    gone = []
    rows = book.rows
    for digest in sorted(sizes, key=lambda digest: rows[digest].used_at_s):
        if sum(sizes.values()) <= quota_bytes:
            break
        if digest not in spared and _remove(api, digest, rows[digest].name):
            gone.append(rows[digest].name)
            book.forget(digest)
            del sizes[digest]
    return tuple(gone)


def _remove(api: APIClient, digest: str, name: str) -> bool:
    """Whether it went: one that somebody has named anew or made a container from stays."""
    from docker.errors import APIError  # noqa: PLC0415 - the SDK is there when a client is

    image = inspect(api, digest) or {}
    if set(image.get("RepoTags") or ()) - {name}:
        return False
    try:
        api.remove_image(name if image.get("RepoTags") else digest)
    except APIError:
        return False
    return inspect(api, digest) is None
