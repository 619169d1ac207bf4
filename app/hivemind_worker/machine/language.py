"""Which languages this system's user reads, as the system says."""

from __future__ import annotations

import locale
import os
import sys
from collections.abc import Mapping

VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")


def system_languages(environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Codes such as zh_TW.UTF-8, the preferred first; empty when the system does not say."""
    around = os.environ if environment is None else environment
    named = tuple(part for part in around.get("LANGUAGE", "").split(":") if part)
    first = next((around[name] for name in VARIABLES if around.get(name)), "")
    if named and first not in ("C", "POSIX"):  # gettext's rule: LANGUAGE counts where a language is set
        return (*named, first) if first else named
    return (first,) if first else _asked()


def _asked() -> tuple[str, ...]:
    """What the system answers where no variable says it."""
    if sys.platform == "win32":  # pragma: no cover - not run by the tests of other systems
        import ctypes  # noqa: PLC0415

        code = locale.windows_locale.get(ctypes.windll.kernel32.GetUserDefaultUILanguage(), "")
        return (code,) if code else ()
    code = locale.getlocale()[0] or ""
    return (code,) if code else ()
