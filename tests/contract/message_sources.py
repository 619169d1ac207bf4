"""Where the sentences of the catalogue come from, and `make words`, which brings the .po files up to date.

Python files and templates are read by babel; tables that may not import the catalogue are asked for
their values.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterable
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from hivemind_worker.model.faults import FAULTS
from hivemind_worker.model.rules import rule_rows
from hivemind_worker.model.settings import Misfit, rows
from hivemind_worker.model.vpn import PROFILE_WORDS

ROOT = Path(__file__).parents[2]
LOCALE = ROOT / "resources" / "locale"
KEYWORDS = {"_": None, "translate": None, "translate_many": (1, 2), "translate_forms": (1, 2), "mark": None}
METHODS = [("**/pb/**.py", "ignore"), ("**.py", "python"), ("**.html", "jinja2.ext.babel_extract")]
SOURCES = (ROOT / "app" / "hivemind_worker", ROOT / "resources" / "web" / "pages")

Message = tuple[str, ...]
"""A sentence, or its forms for one and for many."""


def messages() -> set[Message]:
    """Every sentence that the program can show."""
    return {message for message in (*_in_files(), *_in_tables()) if all(message)}


def _in_files() -> Iterable[Message]:
    for folder in SOURCES:
        options = {"**.html": {"encoding": "utf-8"}}
        with contextlib.redirect_stderr(io.StringIO()):  # f-strings among the fields are no sentences
            found = list(extract_from_dir(str(folder), METHODS, options, KEYWORDS))
        for _file, _line, message, _comments, _context in found:
            yield message if isinstance(message, tuple) else (message,)


def _in_tables() -> Iterable[Message]:
    """model is beneath presentation: its sentences are marked by standing in these tables."""
    for fault in FAULTS.values():
        yield from ((fault.sentence,), (fault.next_step,))
    yield from ((misfit.value,) for misfit in Misfit)
    yield from ((words,) for words in PROFILE_WORDS.values())
    for row in (*rows(), *rule_rows()):
        yield (row.metadata["help"],)
        yield from ((word,) for word in (row.metadata["unit"], *row.metadata["choices"]) if word)


def kept(language: str) -> Catalog:
    """The translations into a language as they stand in its file."""
    file = LOCALE / f"{language}.po"
    if not file.exists():
        return Catalog(locale=language, project="HiveMind Worker", fuzzy=False)
    with file.open("rb") as opened:
        return read_po(opened, locale=language)


def renewed(language: str) -> bytes:
    """The language's file for the sentences of now: translations kept, new ones empty, old ones gone."""
    before, after = kept(language), Catalog(locale=language, project="HiveMind Worker", fuzzy=False)
    for message in sorted(messages()):
        wanted = message[0] if len(message) == 1 else message
        old = before.get(message[0])
        text = old.string if old is not None and not old.fuzzy else ""
        if len(message) > 1 and not isinstance(text, tuple):
            text = (text,)
        after.add(wanted, text)
    after.header_comment = f"# HiveMind Worker in {language}. Renew with: make words"
    after.revision_date = after.creation_date = None  # they would change the file without a change
    content = io.BytesIO()
    write_po(content, after, width=0, no_location=True, omit_header=False)
    return b"".join(
        line for line in content.getvalue().splitlines(keepends=True)
        if not line.startswith((b'"POT-Creation', b'"PO-Revision', b'"Generated-By', b'"Last-Translator',
                                b'"Report-Msgid', b'"Language-Team'))
    )  # fmt: skip


def main() -> None:
    """Rewrite the files and say what is missing."""
    LOCALE.mkdir(exist_ok=True)
    for language in sys.argv[1:]:
        (LOCALE / f"{language}.po").write_bytes(renewed(language))
        missing = [entry.id for entry in kept(language) if entry.id and not any(entry.string)]
        print(f"{language}: {len(missing)} sentences are not translated yet")
        for each in missing:
            print(f"  {each}")


if __name__ == "__main__":
    main()
