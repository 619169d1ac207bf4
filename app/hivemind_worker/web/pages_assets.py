"""What pages are dressed with: one sheet, one script, the icon. Read once; no path is made from a request.

They are the same for everybody and tell nothing about this worker, so they are served before a login too.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from hivemind_worker.presentation.tokens import css_variables, read_tokens
from hivemind_worker.web.answers import HEADERS, refusal, refuse

FOREVER = "public, max-age=31536000, immutable"
KINDS = {"app.css": "text/css", "app.js": "text/javascript", "app.svg": "image/svg+xml"}
HASH_LETTERS = 12
_OUTER = re.compile(r"<svg[^>]*>(.*)</svg>", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file as it is sent."""

    kind: str
    plain: bytes
    packed: bytes


class Assets:
    """All files by their address, whose name changes with the content: browsers may keep them for ever."""

    def __init__(self, folder: Path) -> None:
        tokens = read_tokens((folder / "tokens.json").read_text(encoding="utf-8"))
        contents = {
            "app.css": css_variables(tokens) + (folder / "web" / "app.css").read_text(encoding="utf-8"),
            "app.js": (folder / "web" / "app.js").read_text(encoding="utf-8"),
            "app.svg": (folder / "icons" / "app.svg").read_text(encoding="utf-8"),
        }
        self._served: dict[str, Asset] = {}
        self._names: dict[str, str] = {}
        for name, text in contents.items():
            self._add(name, text.encode())
        self.icons: Mapping[str, str] = read_icons(folder / "icons")

    def _add(self, name: str, content: bytes) -> None:
        stem, _dot, ending = name.partition(".")
        address = f"{stem}.{hashlib.sha256(content).hexdigest()[:HASH_LETTERS]}.{ending}"
        self._served[address] = Asset(
            kind=KINDS[name], plain=content, packed=gzip.compress(content, 9, mtime=0)
        )
        self._names[name] = f"/assets/{address}"

    def address(self, name: str) -> str:
        """Where a file is served."""
        return self._names[name]

    def answer(self, request: web.Request) -> web.Response:
        """The file of the request, packed where the caller takes that."""
        asset = self._served.get(request.match_info["name"])
        if asset is None:
            return refuse(request.path, refusal(HTTPStatus.NOT_FOUND, "There is nothing at this address."))
        takes_packed = "gzip" in request.headers.get("Accept-Encoding", "")
        headers = {**HEADERS, "Cache-Control": FOREVER, "Vary": "Accept-Encoding"}
        if takes_packed:
            headers["Content-Encoding"] = "gzip"
        body = asset.packed if takes_packed else asset.plain
        return web.Response(body=body, content_type=asset.kind, charset="utf-8", headers=headers)


def read_icons(folder: Path) -> dict[str, str]:
    """The drawing inside each icon, by its name.

    Raises:
        OSError, ValueError: an icon is missing or is not a plain SVG.
    """
    found = {}
    for path in sorted(folder.glob("*.svg")):
        outer = _OUTER.search(path.read_text(encoding="utf-8"))
        if outer is None:
            raise ValueError(f"{path.name} is not an icon")
        found[path.stem] = outer[1].strip()
    return found
