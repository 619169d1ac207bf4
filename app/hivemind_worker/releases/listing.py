"""What a signed list says, and when it is not believed: tampered, expired, older than one seen before."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from packaging.version import InvalidVersion, Version

from hivemind_worker.model.release import Newer
from hivemind_worker.releases.minisign import BadSignatureError, verify

PAGE_LETTERS = 300


class RefusedListError(Exception):
    """Why a list is not believed, in a word or two for the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The newest version, by the list with this number; each list has a higher one than those before."""

    serial: int
    expires_s: float
    version: str
    page: str


def read(content: bytes, untrusted_signature: str, key: str, *, now_s: float, seen: int) -> Listing:
    """The list, checked. `seen`: the highest number of the lists before it.

    Raises:
        RefusedListError: it is not to be believed.
    """
    try:
        verify(content, untrusted_signature, key)
        found = _listing(json.loads(content))
    except BadSignatureError:
        raise RefusedListError("its signature is wrong") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RefusedListError("it cannot be read") from None
    if now_s >= found.expires_s:
        raise RefusedListError("it has expired")
    if found.serial < seen:
        raise RefusedListError("it is older than one seen before")
    return found


def _listing(row: dict[str, object]) -> Listing:
    page = str(row["page"])
    if urlsplit(page).scheme != "https" or not page.isprintable() or len(page) > PAGE_LETTERS:
        raise ValueError("page")
    serial = row["serial"]
    if not isinstance(serial, int) or isinstance(serial, bool) or serial < 0:
        raise ValueError("serial")
    expires = datetime.fromisoformat(str(row["expires"]))
    if expires.tzinfo is None:
        raise ValueError("expires")
    try:
        version = str(Version(str(row["version"])))
    except InvalidVersion:
        raise ValueError("version") from None
    return Listing(serial=serial, expires_s=expires.timestamp(), version=version, page=page)


def newer_than(own: str, found: Listing) -> Newer | None:
    """The listed version, where it is newer than ours."""
    if Version(found.version) <= Version(own):
        return None
    return Newer(version=found.version, page=found.page)
