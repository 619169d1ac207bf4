"""The documentation page of the settings, made from the declared table (`make docs`)."""

from __future__ import annotations

from dataclasses import Field
from typing import Any

from hivemind_worker.model.settings import rows

HEAD = """# Settings

This page is made from the program itself, so it says what this version does.

Order: command line (`--node-port 6000`), environment (`NODE_PORT=6000`), settings file
(`hivemind-worker config set node_port 6000`), default. Changes act at the next start.
`HIVEMIND_HOME` names one folder that holds everything of a worker instead of the platform's folders;
`HIVEMIND_SANDBOX` moves the folder of interpreter packs and compiled modules.

| Setting | Environment | Default | Range | Meaning |
|---|---|---|---|---|
"""


def settings_page() -> str:
    """The page as Markdown, ending with a newline."""
    return HEAD + "".join(_line(row) for row in rows())


def _line(row: Field[Any]) -> str:
    default = f"`{str(row.default).lower() if isinstance(row.default, bool) else row.default}`"
    cells = (
        f"`{row.name}`",
        f"`{row.metadata['env']}`",
        "found by itself" if row.metadata["auto"] else default if row.default != "" else "none",
        _range(row),
        row.metadata["help"],
    )
    return "| " + " | ".join(cells) + " |\n"


def _range(row: Field[Any]) -> str:
    if row.metadata["choices"]:
        return ", ".join(choice for choice in row.metadata["choices"] if choice)
    if row.metadata["low"] is None:
        return "true, false" if isinstance(row.default, bool) else "text"
    return f"{row.metadata['low']:g} to {row.metadata['high']:g} {row.metadata['unit']}".rstrip()
