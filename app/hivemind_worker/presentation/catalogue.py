"""The catalogue: every sentence that a person reads passes through here.

Sentences are written in English as message ids; translations are gettext files in
resources/locale. Without one, the English sentence itself is shown. No front end
builds a sentence of its own (counterpart: presentation.health, presentation.faults).
"""

from __future__ import annotations

import gettext
import re
from pathlib import Path

DOMAIN = "hivemind_worker"
_FIELD = re.compile(r"\{(\w+)\}")


class Catalogue:
    """The translations in use."""

    def __init__(self) -> None:
        self._texts = gettext.NullTranslations()

    def use(self, folder: Path, language: str = "") -> None:
        """Take the translations of `language` (empty: the system's); English where there are none."""
        languages = [language] if language else None
        self._texts = gettext.translation(DOMAIN, str(folder), languages, fallback=True)

    def one(self, sentence: str, **fields: object) -> str:
        """The sentence in the language in use, its `{fields}` filled in; unknown fields stay as written."""
        return _filled(self._texts.gettext(sentence) if sentence else "", fields)

    def many(self, singular: str, plural: str, count: int, **fields: object) -> str:
        """As `one`, with the form for `count`, which is also the field `{count}`."""
        return _filled(self._texts.ngettext(singular, plural, count), {"count": count, **fields})


def _filled(template: str, fields: dict[str, object]) -> str:
    """One pass over the template: what a field brings in is never looked at again."""
    return _FIELD.sub(lambda found: str(fields.get(found[1], found[0])), template)


_catalogue = Catalogue()
use_language = _catalogue.use
translate = _catalogue.one
translate_many = _catalogue.many
_ = translate
