"""Templates to pages: jinja2 with autoescape, words through the catalogue, times of this computer's clock.

Reading and compiling the templates takes a tenth of a second: `Renderer` is made in a thread, and only when
the first page is asked for.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hivemind_worker import __version__
from hivemind_worker.presentation.amounts import iso
from hivemind_worker.presentation.catalogue import (
    LANGUAGES,
    language_in_use,
    language_tag,
    read_languages,
    translate,
)
from hivemind_worker.presentation.moments import clock_time, day_number, on_axis, when
from hivemind_worker.presentation.page_words import ABSENT
from hivemind_worker.web.answers import HEADERS
from hivemind_worker.web.pages_assets import Assets

PAGES = ("dashboard", "tasks", "task", "monitor", "history", "pools", "rules", "logs", "doctor", "sessions",
         "help", "login", "missing")  # fmt: skip


class Renderer:
    """All templates, compiled, and the files that they refer to."""

    def __init__(self, folder: Path) -> None:
        self.assets = Assets(folder)
        read_languages(folder / "locale")
        self._templates = Environment(
            loader=FileSystemLoader(folder / "web" / "pages"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True, auto_reload=False,
        )  # fmt: skip
        icons = {name: _icon(drawing) for name, drawing in self.assets.icons.items()}
        self._templates.globals.update(
            {"_": translate, "icon": icons.__getitem__, "asset": self.assets.address, "clock": clock_text,
             "axis": on_axis, "iso": iso, "lang": language_tag, "language": language_in_use,
             "languages": LANGUAGES, "version": __version__}
        )  # fmt: skip
        for name in PAGES:
            self._templates.get_template(f"{name}.html")

    def page(self, template: str, status: int = 200, **values: Any) -> web.Response:
        """A page as an answer."""
        text = self._templates.get_template(f"{template}.html").render(values)
        body = text.encode("utf-8", "replace")
        return web.Response(
            body=body, status=status, content_type="text/html", charset="utf-8", headers=HEADERS
        )


def _icon(drawing: str) -> Markup:
    # The icons are our own files, checked by a test: nothing that was asked for gets in here.
    return Markup(  # noqa: S704
        f'<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">{drawing}</svg>'
    )


def clock_text(at_s: float | None, form: str = "") -> str:
    """A moment on this computer's clock: the time for today, with its day for another one."""
    if at_s is None:
        return ABSENT
    now_s = time.time()
    if form == "minute" and day_number(at_s) == day_number(now_s):
        return clock_time(at_s)
    return when(at_s, now_s)
