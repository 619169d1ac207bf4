"""Reads a translation as gettext's tools write it (.po). Pure: text in, texts out.

The text form itself is shipped: there is nothing to compile, so nothing that can be out of date.
"""

from __future__ import annotations

import gettext
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

_LINE = re.compile(r'(?:(msgid|msgid_plural|msgstr)(?:\[(\d+)\])?\s+)?"((?:[^"\\]|\\.)*)"\s*')
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
_PLURAL_FORMS = re.compile(r"^Plural-Forms:.*?plural=([^;\n]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One message: its forms in English (one or two), and in the language, empty where not translated."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    fuzzy: bool = False


@dataclass(slots=True)
class _Draft:
    ids: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    fuzzy: bool = False

    def add(self, keyword: str, text: str) -> None:
        (self.texts if keyword == "msgstr" else self.ids).append(text)

    def extend(self, keyword: str, text: str) -> None:
        """A further line of the last text."""
        (self.texts if keyword == "msgstr" else self.ids)[-1] += text

    def done(self) -> Entry:
        return Entry(ids=tuple(self.ids), texts=tuple(self.texts), fuzzy=self.fuzzy)


def entries(text: str) -> Iterator[Entry]:
    """Every message, the header (with the id "") first.

    Raises:
        ValueError: a line is not of the format.
    """
    draft, keyword = _Draft(), ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            if draft.texts:
                yield draft.done()
                draft = _Draft()
            draft.fuzzy = draft.fuzzy or (line.startswith("#,") and "fuzzy" in line)
            continue
        found = _LINE.fullmatch(line)
        if found is None or not (found[1] or keyword):
            raise ValueError(f"line {number} is not understood: {line[:40]}")
        said = _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), found[3])
        if found[1] is None:
            draft.extend(keyword, said)
            continue
        if found[1] == "msgid" and draft.texts:
            yield draft.done()
            draft = _Draft()
        keyword = found[1]
        draft.add(keyword, said)
    if draft.texts:
        yield draft.done()


class PoTexts(gettext.NullTranslations):
    """The translations of one file; English where there is none."""

    def __init__(self, text: str) -> None:
        super().__init__()
        known = [entry for entry in entries(text) if not entry.fuzzy and all(entry.texts)]
        header = next((entry.texts[0] for entry in known if entry.ids == ("",)), "")
        self._texts: Mapping[str, tuple[str, ...]] = {entry.ids[0]: entry.texts for entry in known}
        self._form = _plural_rule(header)

    def gettext(self, message: str) -> str:
        return self._texts.get(message, (message,))[0]

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        forms = self._texts.get(msgid1)
        if forms is None:
            return msgid1 if n == 1 else msgid2
        return forms[min(self._form(n), len(forms) - 1)]


def _plural_rule(header: str) -> Callable[[int], int]:
    """Which form a count takes, by the rule in the file's header."""
    found = _PLURAL_FORMS.search(header)
    rule: Callable[[int], int] = gettext.c2py(found[1].strip() if found else "n != 1")
    return rule
