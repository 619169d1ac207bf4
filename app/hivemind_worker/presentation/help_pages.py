"""The documentation as HTML, by one renderer: for the Help screen, the dashboard's /help, `make docs`.

Pages are the Markdown files of docs/, shipped with the program; docs/README.md is their one table of
contents. HTML inside a page is shown as the text that it is. Whoever shows a page says what its links become.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

INDEX = "README.md"
OF_PLACES = {
    "home": "first-steps.md", "tasks": "what-a-task-can-see.md", "resources": "rules.md#how-much",
    "pools": "joining-a-pool.md", "network": "vpn.md", "rules": "rules.md", "history": "history.md",
    "logs": "troubleshooting.md", "doctor": "troubleshooting.md", "settings": "settings.md",
    "account": "joining-a-pool.md",
}  # fmt: skip
"""The page about a place of the window."""

Address = Callable[[str], str]
"""What a relative link or the source of a picture becomes, e.g. "rules.md#how-much"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page: its first heading, its HTML without any frame, and the anchors that links may name."""

    title: str
    html: str
    anchors: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the table of contents."""

    title: str
    page: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Pages that belong together."""

    title: str
    entries: tuple[Entry, ...]


class Library:
    """The pages in a folder; only what lies in it is ever read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.md"))
        self.names: tuple[str, ...] = tuple(found)
        self.pictures: dict[str, Path] = {path.name: path for path in sorted(folder.glob("pictures/*.png"))}

    def text(self, name: str) -> str:
        """A page as it was written.

        Raises:
            KeyError: there is no such page.
        """
        if name not in self.names:
            raise KeyError(name)
        return (self._folder / name).read_text(encoding="utf-8")

    def page(self, name: str, address: Address = str) -> Page:
        """A page to be shown.

        Raises:
            KeyError: there is no such page.
        """
        return render(self.text(name), address)

    def contents(self) -> tuple[Section, ...]:
        """The table of contents."""
        return contents(self.text(INDEX))


def render(text: str, address: Address = str) -> Page:
    """Markdown to HTML; relative links and pictures go through `address`."""
    reader = _reader()
    tokens, anchors = reader.parse(text), list[str]()
    _name_headings(tokens, anchors)
    _name_rows(tokens, anchors)
    for token in _flat(tokens):
        for attribute in ("href", "src"):
            target = token.attrs.get(attribute)
            if isinstance(target, str) and is_ours(target):
                token.attrs[attribute] = address(target)
    html = reader.renderer.render(tokens, reader.options, {})
    title = next((_plain(after) for token, after in _pairs(tokens) if token.type == "heading_open"), "")
    return Page(title=title, html=html, anchors=tuple(anchors))


def contents(index: str) -> tuple[Section, ...]:
    """The headings of the index, each with the pages that its list links to."""
    sections: list[tuple[str, list[Entry]]] = []
    for token, after in _pairs(_reader().parse(index)):
        if token.type == "heading_open" and token.tag == "h2":
            sections.append((_plain(after), []))
        elif token.type == "inline" and sections:
            sections[-1][1].extend(_links(token))
    return tuple(Section(title=title, entries=tuple(entries)) for title, entries in sections)


def is_ours(target: str) -> bool:
    """Whether a link stays within the documentation."""
    return not re.match(r"[a-z][a-z0-9+.-]*:", target)


def anchor_of(heading: str, taken: Sequence[str] = ()) -> str:
    """A heading's anchor, as the sites that show Markdown make it."""
    plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    count = sum(each == plain or re.fullmatch(re.escape(plain) + r"-\d+", each) is not None for each in taken)
    return f"{plain}-{count}" if count else plain


@lru_cache(1)
def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt  # noqa: PLC0415 - only where somebody reads

    return MarkdownIt("commonmark", {"html": False}).enable("table")


def _name_headings(tokens: list[Token], anchors: list[str]) -> None:
    for token, after in _pairs(tokens):
        if token.type == "heading_open":
            anchors.append(anchor_of(_plain(after), anchors))
            token.attrSet("id", anchors[-1])


def _name_rows(tokens: list[Token], anchors: list[str]) -> None:
    """A row that begins with a name in code is found by it: settings.md#node_port."""
    for number, token in enumerate(tokens[:-2]):
        cell = tokens[number + 2]
        if token.type == "tr_open" and cell.children and cell.children[0].type == "code_inline":
            name = cell.children[0].content
            if re.fullmatch(r"\w+", name) and name not in anchors:
                anchors.append(name)
                tokens[number + 1].attrSet("id", name)


def _pairs(tokens: Sequence[Token]) -> Iterator[tuple[Token, Token]]:
    return zip(tokens, [*tokens[1:], *tokens[-1:]], strict=True)


def _flat(tokens: Sequence[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _flat(token.children or ())


def _plain(inline: Token) -> str:
    return "".join(child.content for child in inline.children or ())


def _links(inline: Token) -> Iterator[Entry]:
    children = inline.children or []
    for child, after in _pairs(children):
        if child.type == "link_open":
            yield Entry(title=after.content, page=str(child.attrs["href"]))
