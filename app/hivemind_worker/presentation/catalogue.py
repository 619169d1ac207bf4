"""The catalogue: every sentence that a person reads passes through here.

Sentences are written in English as message ids; translations are gettext's .po files in
resources/locale, one a language. Without one, the English sentence itself is shown. No front end
builds a sentence of its own (counterpart: presentation.health, presentation.faults).
`make words` brings the files up to date with the sentences in the program.
"""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

LANGUAGES = {"en": "English", "zh_TW": "繁體中文（台灣）"}
"""What there is, by its name in itself."""

PSEUDO = "en_XA"
"""Not a language: English with marks and half as long again, by which tests find what is not translated."""

_FIELD = re.compile(r"\{(\w+)\}")
_TRADITIONAL = ("zh_tw", "zh_hant", "zh_hk", "zh_mo")


class PseudoTexts(gettext.NullTranslations):
    """Every sentence in brackets, with accents and more letters; its fields as they are."""

    _ACCENTS = str.maketrans("aeiouAEIOUcnys", "àéîõüÀÉÎÕÜçñýš")

    def gettext(self, message: str) -> str:
        parts = _FIELD.split(message)
        text = "".join(
            f"{{{part}}}" if number % 2 else part.translate(self._ACCENTS)
            for number, part in enumerate(parts)
        )
        return f"⟦{text}{'·' * (len(message) // 3)}⟧" if message else ""

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


class Catalogue:
    """The translations in use."""

    def __init__(self) -> None:
        self._language = "en"
        self._texts = gettext.NullTranslations()
        self._read: dict[str, gettext.NullTranslations] = {"en": self._texts}
        self._guests: ContextVar[str] = ContextVar("language of a guest", default="")

    @property
    def language(self) -> str:
        """The code of the language in use."""
        return self._guests.get() or self._language

    def use(self, folder: Path, language: str = "", system: Iterable[str] = ()) -> None:
        """Take `language`, or where it is empty the first of the system's that there is; else English."""
        self._language = _chosen((language,) if language else system) or "en"
        self._texts = _texts(folder, self._language)

    def read_all(self, folder: Path) -> None:
        """Have every language at hand, for guests. Blocks."""
        self._read = {code: _texts(folder, code) for code in LANGUAGES}

    @contextmanager
    def speaking(self, wanted: Iterable[str]) -> Iterator[None]:
        """Speak, in this asyncio task alone, the first of these that there is; the own one where none is."""
        code = _chosen(wanted)
        before = self._guests.set(code if code in self._read else "")
        try:
            yield
        finally:
            self._guests.reset(before)

    def _spoken(self) -> gettext.NullTranslations:
        guest = self._guests.get()
        return self._read[guest] if guest else self._texts

    def one(self, sentence: str, **fields: object) -> str:
        """The sentence in the language in use, its `{fields}` filled in; unknown fields stay as written."""
        return _filled(self._spoken().gettext(sentence) if sentence else "", fields)

    def many(self, singular: str, plural: str, count: int, **fields: object) -> str:
        """As `one`, with the form for `count`, which is also the field `{count}`."""
        return _filled(self._spoken().ngettext(singular, plural, count), {"count": count, **fields})

    def forms(self, singular: str, plural: str) -> tuple[str, str]:
        """The forms for one and for several, fields as they are: for the pages' script, which fills them."""
        spoken = self._spoken()
        return spoken.ngettext(singular, plural, 1), spoken.ngettext(singular, plural, 2)


def _texts(folder: Path, language: str) -> gettext.NullTranslations:
    if language == PSEUDO:
        return PseudoTexts()
    if language == "en":
        return gettext.NullTranslations()
    from hivemind_worker.presentation.po_file import PoTexts  # noqa: PLC0415 - English needs none of it

    return PoTexts((folder / f"{language}.po").read_text("utf-8"))


def _chosen(wanted: Iterable[str]) -> str:
    """The first that there is, "" without; a Chinese written with traditional letters counts as Taiwan's."""
    for name in wanted:
        code = name.partition(".")[0].partition("@")[0].replace("-", "_")
        if code == PSEUDO:
            return PSEUDO
        if code.lower().startswith(_TRADITIONAL):
            return "zh_TW"
        if code.partition("_")[0].lower() in LANGUAGES or code in ("C", "POSIX"):
            return code.partition("_")[0].lower() if code not in ("C", "POSIX") else "en"
    return ""


def _filled(template: str, fields: dict[str, object]) -> str:
    """One pass over the template: what a field brings in is never looked at again."""
    return _FIELD.sub(lambda found: str(fields.get(found[1], found[0])), template)


def mark(sentence: str) -> str:
    """The sentence itself: marks one in a table, translated where it is shown, for `make words`."""
    return sentence


_catalogue = Catalogue()
use_language = _catalogue.use
read_languages = _catalogue.read_all
speaking = _catalogue.speaking
translate = _catalogue.one
translate_many = _catalogue.many
translate_forms = _catalogue.forms
_ = translate


def language_in_use() -> str:
    """The code of the language, e.g. zh_TW."""
    return _catalogue.language


def language_tag() -> str:
    """The same as pages name it, e.g. zh-TW."""
    return _catalogue.language.replace("_", "-")
