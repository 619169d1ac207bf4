"""The documentation as files for a browser, in the look of the dashboard: dist/docs."""

from __future__ import annotations

import html
import shutil
from pathlib import Path, PurePosixPath

from hivemind_worker.places import documents, resources
from hivemind_worker.presentation.help_pages import INDEX, Library
from hivemind_worker.presentation.tokens import css_variables, read_tokens

FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · HiveMind Worker</title>
<link rel="stylesheet" href="{up}docs.css">
</head>
<body class="pages">
<div class="wide help">
<nav aria-label="Pages">
<a href="{up}index.html">HiveMind Worker</a>
{contents}</nav>
<main class="reading">
{page}</main>
</div>
</body>
</html>
"""


def write_html(folder: Path) -> int:
    """Every page and its pictures; how many pages."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "pictures").mkdir(parents=True)
    library = Library(documents())
    for name in library.names:
        target = folder / address(name)
        target.parent.mkdir(exist_ok=True)
        target.write_text(_page(library, name), encoding="utf-8")
    for name, path in library.pictures.items():
        shutil.copyfile(path, folder / "pictures" / name)
    tokens = read_tokens((resources() / "tokens.json").read_text(encoding="utf-8"))
    sheet = (resources() / "web" / "app.css").read_text(encoding="utf-8")
    (folder / "docs.css").write_text(css_variables(tokens) + sheet, encoding="utf-8")
    return len(library.names)


def address(target: str) -> str:
    """The file of a page, with the place on it; pictures stay what they are."""
    name, mark, anchor = target.partition("#")
    path = PurePosixPath(name)
    if path.suffix == ".md":
        path = path.with_name("index.html" if path.name == INDEX else f"{path.stem}.html")
    return (path.as_posix() if name else "") + mark + anchor


def _page(library: Library, name: str) -> str:
    up = "../" * name.count("/")
    found = library.page(name, address)
    return FRAME.format(
        title=html.escape(found.title), up=up, contents=_contents(library, name, up), page=found.html
    )


def _contents(library: Library, here: str, up: str) -> str:
    parts = []
    for section in library.contents():
        parts.append(f"<h2>{html.escape(section.title)}</h2>")
        for entry in section.entries:
            now = ' aria-current="page"' if entry.page == here else ""
            parts.append(f'<a href="{up}{address(entry.page)}"{now}>{html.escape(entry.title)}</a>')
    return "\n".join(parts)
