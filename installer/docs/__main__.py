"""`make docs`: the pages that are made from the program's own tables, then all as HTML in dist/docs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from hivemind_worker.places import documents
from hivemind_worker.presentation.settings_page import settings_page
from hivemind_worker.presentation.troubleshooting_page import troubleshooting_page
from installer.docs.api import api_page
from installer.docs.command_line import command_line_page
from installer.docs.html import write_html

MADE: Mapping[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "troubleshooting.md": troubleshooting_page,
    "command-line.md": command_line_page,
    "api.md": api_page,
}


def main() -> None:
    """Write them."""
    for name, page in MADE.items():
        (documents() / name).write_text(page(), encoding="utf-8")
    print(f"{write_html(Path('dist/docs'))} pages in dist/docs")  # noqa: T201


if __name__ == "__main__":
    main()
