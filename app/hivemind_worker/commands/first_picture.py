"""The window's first picture: on the screen before anything is imported that it can do without.

A start from the menu carries no flag of a setting, so three values say how the picture looks: theme, size of
the text, language. They are read here without the table of settings, whose import takes longer than the
picture; whatever is not plain (no folder, a bad value, another window) is left to `commands.gui`, which tells
of it and finds here what is done already.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hivemind_worker.machine.language import system_languages
from hivemind_worker.machine.privacy import keep_memory_private
from hivemind_worker.machine.single_instance import SingleInstance
from hivemind_worker.places import Places, find_places, resources
from hivemind_worker.presentation.catalogue import LANGUAGES, use_language

if TYPE_CHECKING:
    from hivemind_worker.ui.app import Opening

VARIABLES = {"theme": "HIVEMIND_THEME", "text_scale": "HIVEMIND_TEXT_SCALE", "language": "HIVEMIND_LANGUAGE"}
DEFAULTS: Mapping[str, object] = {"theme": "system", "text_scale": 100, "language": ""}
"""As the table has them (model.settings); a test holds the two together."""


def has_display() -> bool:
    """Whether a window can be opened at all."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(name) for name in ("WAYLAND_DISPLAY", "DISPLAY", "QT_QPA_PLATFORM"))


class FirstPicture:
    """What a start has done before its command line was read: it holds the lock, and shows the window."""

    def __init__(self, instance: SingleInstance, opening: Opening | None) -> None:
        self.instance, self.opening = instance, opening


_shown: list[FirstPicture] = []


def show() -> None:
    """Show the window where this is the first one of its home and nothing speaks against it."""
    gc.disable()  # nothing that is imported becomes garbage, and looking for some takes time
    keep_memory_private()
    places = find_places(os.environ.get("HIVEMIND_HOME"))
    instance = SingleInstance(places.lock_file)
    try:
        places.make()
        if instance.take() is not None:
            return
    except OSError:
        return
    _shown.append(FirstPicture(instance, _opened(places)))


def taken() -> FirstPicture | None:
    """What has been shown, for the one who goes on with it."""
    gc.enable()
    return _shown.pop() if _shown else None


def _opened(places: Places) -> Opening | None:
    look = look_of(places.settings_file, os.environ)
    if look is None:
        return None
    use_language(resources() / "locale", str(look["language"]), system_languages())
    from hivemind_worker.ui.app import Opening

    opening = Opening(places.state, theme=str(look["theme"]), scale_percent=int(str(look["text_scale"])))
    opening.paint()
    return opening


def look_of(file: Path, environment: Mapping[str, str]) -> dict[str, object] | None:
    """Theme, size of the text (%) and language, as they will be in force; None where one is not plain."""
    told = {key: environment[name] for key, name in VARIABLES.items() if environment.get(name)}
    try:
        look = {**DEFAULTS, **_kept(file), **told}
        scale = int(str(look["text_scale"]))
    except (OSError, ValueError):
        return None
    known = look["theme"] in ("system", "light", "dark") and look["language"] in ("", *LANGUAGES)
    return {**look, "text_scale": scale} if known and 100 <= scale <= 200 else None


def _kept(file: Path) -> dict[str, object]:
    """Those of the three that stand in the settings file.

    Raises:
        OSError, ValueError: it cannot be read, or is no TOML.
    """
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        return {}
    if not any(key in text for key in VARIABLES):
        return {}
    import tomllib

    values = tomllib.loads(text)
    return {key: values[key] for key in VARIABLES if key in values}
