"""The window: everything that knows Qt. It meets the worker at `bridge` alone.

PySide reads the source of every module that is imported after it, to see whether it is one that may ask for
snake_case names, and all of these texts stay in memory (25 MB of them here, and a fifth of the time to the
first paint). This program asks for none, so the answer is given from the module's name.
"""

from __future__ import annotations

import sys
from types import ModuleType

from hivemind_worker.ui.compiled_once import compiled_once

with compiled_once():
    import PySide6.QtCore  # noqa: F401 - brings what is looked for below

USES_QT = ("hivemind_worker.ui", "qasync")


def _uses_qt(module: ModuleType) -> bool:
    return module.__name__.startswith(USES_QT)


def _spare_the_sources() -> bool:
    """Whether PySide asks us now; another version may do without the question."""
    feature = sys.modules.get("shibokensupport.feature")
    if not hasattr(feature, "_mod_uses_pyside"):
        return False
    feature._mod_uses_pyside = _uses_qt  # type: ignore[union-attr]
    return True


SPARED = _spare_the_sources()
