"""Asks for the list: at most once a day, never beside a task, never with anything that names the asker.

A list that is not believed changes nothing and is asked for again a day later.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hivemind_worker.model.release import Newer
from hivemind_worker.nursery import NamedThread
from hivemind_worker.owned_file import read_owned, write_owned
from hivemind_worker.releases.listing import RefusedListError, newer_than, read

log = logging.getLogger(__name__)

DAY_S = 24 * 3600.0
LOOK_S, QUIET_S = 3600.0, 60.0
"""How often it is seen whether the day is over, and, while a task is open, whether it still is."""
MOST_BYTES = 64 << 10
LIMIT_S = 10.0
ENDING = ".minisig"
HEADERS = {"User-Agent": "hivemind-worker", "Accept": "application/json, text/plain"}
"""The same for everybody: no version, no system, no id."""

Fetch = Callable[[str], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the list is, and whose signature it must have."""

    url: str
    key: str


def shipped_source(file: Path) -> Source | None:
    """The one that this release was built with, or None: a build of one's own asks nobody."""
    try:
        row = json.loads(file.read_text(encoding="utf-8"))
        source = Source(url=str(row["url"]), key=str(row["key"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return source if urlsplit(source.url).scheme == "https" else None


class _OnlyTls(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *about: Any, **more: Any) -> urllib.request.Request | None:
        led = super().redirect_request(*about, **more)
        if led is not None and urlsplit(led.full_url).scheme != "https":
            raise urllib.error.URLError("led away from TLS")
        return led


def fetch(url: str) -> bytes:
    """The file at this address, over TLS alone. Blocks.

    Raises:
        OSError: it cannot be had.
    """
    if urlsplit(url).scheme != "https":
        raise OSError("not over TLS")
    tls = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    opener = urllib.request.build_opener(tls, _OnlyTls)
    request = urllib.request.Request(url, headers=HEADERS)  # noqa: S310 - https, see above
    with opener.open(request, timeout=LIMIT_S) as answer:
        content: bytes = answer.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise OSError("too large")
    return content


class ReleaseWatch:
    """Knows the newer version, once one was found. Its thread ends with `run`."""

    def __init__(
        self, *, source: Source | None, memory: Path, own: str, wanted: Callable[[], bool],
        busy: Callable[[], bool], changed: Callable[[], None], get: Fetch = fetch,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        """`memory`: the file that keeps when it was asked, and what was believed last."""
        self._source, self._memory, self._own = source, memory, own
        self._wanted, self._busy, self._changed, self._get = wanted, busy, changed, get
        self._clock = clock
        self._newer: Newer | None = None

    @property
    def newer(self) -> Newer | None:
        """The newer version, unless nobody wants to know."""
        return self._newer if self._wanted() else None

    async def run(self) -> None:
        """Look until cancelled; ends at once where there is nobody to ask."""
        if self._source is None:
            return
        thread = NamedThread("releases")
        try:
            while True:
                quiet = self._wanted() and not self._busy()
                if quiet:
                    await thread.call(self.look, self._source)
                    self._changed()
                await asyncio.sleep(LOOK_S if quiet else QUIET_S)
        finally:
            thread.close(wait=False)

    def look(self, source: Source) -> None:
        """Ask if a day has passed since the last time, else go by what was believed then. Blocks."""
        kept = self._kept()
        now_s = self._clock()
        asked_s, seen = float(kept.get("asked_s", 0.0)), int(kept.get("serial", 0))
        if asked_s <= now_s < asked_s + DAY_S:
            if self._newer is None and kept.get("list"):
                self._believe(source, str(kept["list"]).encode(), str(kept.get("signature", "")), seen)
            return
        kept["asked_s"] = now_s
        self._keep(kept)  # before asking: a program that dies over the answer must not ask at every start
        try:
            content = self._get(source.url)
            signature = self._get(source.url + ENDING).decode("utf-8", "replace")
        except OSError as error:
            log.info("new versions could not be asked for: %s", error)
            return
        serial = self._believe(source, content, signature, seen)
        if serial is not None:
            self._keep({**kept, "serial": serial, "list": content.decode(), "signature": signature})

    def _believe(self, source: Source, content: bytes, signature: str, seen: int) -> int | None:
        """Take what the list says; its number, or None when it is not believed."""
        try:
            found = read(content, signature, source.key, now_s=self._clock(), seen=seen)
        except RefusedListError as refused:
            log.warning("the list of versions is not believed: %s", refused)
            return None
        self._newer = newer_than(self._own, found)
        return found.serial

    def _kept(self) -> dict[str, Any]:
        try:
            found = json.loads(read_owned(self._memory) or b"{}")
            float(found.get("asked_s", 0.0)), int(found.get("serial", 0))
        except (OSError, ValueError, TypeError, AttributeError):
            return {}
        return dict(found)

    def _keep(self, values: dict[str, Any]) -> None:
        try:
            write_owned(self._memory, json.dumps(values).encode())
        except OSError as error:
            log.warning("%s: %s", self._memory.name, error.strerror)
