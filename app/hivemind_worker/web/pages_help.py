"""/help: the documentation on the dashboard, from the same pages as the window's Help.

An address names one of the pages or pictures that are there; no path is made from a request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path, PurePosixPath

from aiohttp import web
from markupsafe import Markup

from hivemind_worker.nursery import NamedThread
from hivemind_worker.places import documents
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.help_pages import INDEX, Library
from hivemind_worker.web.answers import HEADERS, refusal, refuse
from hivemind_worker.web.pages_views import Values
from hivemind_worker.web.routes import Route

PICTURES = "/help/pictures"
Show = Callable[[web.Request, str, Values], Awaitable[web.StreamResponse]]
"""Puts a page into the frame: request, title, values of the template."""


class HelpPages:
    """The routes; pages are read in the given thread."""

    def __init__(
        self, files: NamedThread, show: Show, missing: Callable[[web.Request], Awaitable[web.Response]]
    ) -> None:
        self._files, self._show, self._missing = files, show, missing
        self._library: Library | None = None

    def table(self) -> list[Route]:
        """The routes."""
        return [
            Route(method="GET", path="/help", handler=self.page, page=True),
            Route(method="GET", path=f"{PICTURES}/{{name}}", handler=self.picture, page=True),
            Route(method="GET", path="/help/{name:.+}", handler=self.page, page=True),
        ]

    async def page(self, request: web.Request) -> web.StreamResponse:
        """A page of the documentation."""
        library = await self._books()
        asked = request.match_info.get("name", "")
        name = f"{asked}.md" if asked else INDEX
        if name not in library.names:
            return await self._missing(request)
        address = _addresses(name)
        found = await self._files.call(library.page, name, address)
        contents = await self._files.call(library.contents)
        # The pages are our own files, and the renderer shows HTML inside them as text.
        text = Markup(found.html)  # noqa: S704
        values: Values = {"text": text, "contents": contents, "page": name, "address": _addresses(INDEX)}
        return await self._show(request, " · ".join((found.title, _("Help"))), values)

    async def picture(self, request: web.Request) -> web.StreamResponse:
        """A picture of the documentation."""
        path = (await self._books()).pictures.get(request.match_info["name"])
        if path is None:
            return refuse(request.path, refusal(HTTPStatus.NOT_FOUND, _("There is nothing at this address.")))
        content = await self._files.call(Path.read_bytes, path)
        return web.Response(body=content, content_type="image/png", headers=HEADERS)

    async def _books(self) -> Library:
        if self._library is None:
            self._library = await self._files.call(Library, documents())
        return self._library


def _addresses(page: str) -> Callable[[str], str]:
    """What links on this page become: /help/docker#images."""

    def address(target: str) -> str:
        name, mark, anchor = target.partition("#")
        if not name:
            return mark + anchor
        path = PurePosixPath(page).parent / name
        if path.suffix == ".png":
            return f"{PICTURES}/{path.name}"
        whole = PurePosixPath("/help") / path.with_suffix("")
        return ("/help" if path.as_posix() == INDEX else whole.as_posix()) + mark + anchor

    return address
