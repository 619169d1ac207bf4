"""The design tokens: colours by name for both themes, from resources/tokens.json. Pure: text in, values out.

No other file holds a colour; pages get them as CSS variables.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

THEMES = ("light", "dark")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Colours of each theme by a flat name ("state-paused-ink"), and the sizes of type in pixels."""

    colours: Mapping[str, Mapping[str, str]]
    type_px: Mapping[str, int]
    shapes: Mapping[str, str]  # what draws each state, by the state's name


def read_tokens(text: str) -> Tokens:
    """The tokens of the file's text.

    Raises:
        ValueError, KeyError: the file is not what the program was shipped with.
    """
    values = json.loads(text)
    return Tokens(
        colours={theme: dict(_flat("", values[theme])) for theme in THEMES},
        type_px={name: row["px"] for name, row in values["type"].items() if isinstance(row, dict)},
        shapes={name: row["shape"] for name, row in values["light"]["state"].items()},
    )


def _flat(prefix: str, values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Every colour under its path; whatever is not a colour is left out."""
    for name, value in values.items():
        path = f"{prefix}{name}".replace("_", "-")
        if isinstance(value, dict):
            yield from _flat(f"{path}-", value)
        elif isinstance(value, list):
            yield from ((f"{path}-{number}", colour) for number, colour in enumerate(value))
        elif isinstance(value, str) and value.startswith("#"):
            yield path, value


def css_variables(tokens: Tokens) -> str:
    """Both themes as custom properties: light, and dark where the reader prefers it."""
    light, dark = (_declared(tokens.colours[theme]) for theme in THEMES)
    sizes = "".join(f"--px-{name}:{px}px;" for name, px in tokens.type_px.items())
    return (
        f":root{{color-scheme:light dark;{sizes}{light}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
    )


def _declared(colours: Mapping[str, str]) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in colours.items())
