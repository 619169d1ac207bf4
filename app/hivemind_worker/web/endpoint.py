"""Where the running worker's local API is: written by the worker, read by the commands. No aiohttp here."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from hivemind_worker.owned_file import read_owned, write_owned

LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Address of a local API, and the process that serves it."""

    url: str
    pid: int
    started_at: str  # ISO 8601

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0


def write_endpoint(path: Path, *, url: str, pid: int, started_at_s: float) -> None:
    """Tell the commands where the worker is.

    Raises:
        OSError: the file cannot be written.
    """
    started_at = datetime.fromtimestamp(started_at_s, UTC).isoformat(timespec="seconds")
    write_owned(path, json.dumps({"url": url, "pid": pid, "started_at": started_at}).encode())


def read_endpoint(path: Path) -> Endpoint | None:
    """What a worker wrote, or None. Anything but a loopback address is not believed."""
    try:
        row = json.loads(read_owned(path) or b"")
        endpoint = Endpoint(url=str(row["url"]), pid=int(row["pid"]), started_at=str(row["started_at"]))
        usable = endpoint.host in LOOPBACK and endpoint.port > 0 and endpoint.pid > 0
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return endpoint if usable else None


def remove_endpoint(path: Path, *, pid: int) -> None:
    """Take back what `write_endpoint` wrote for this process; another's file stays."""
    endpoint = read_endpoint(path)
    if endpoint is not None and endpoint.pid == pid:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
