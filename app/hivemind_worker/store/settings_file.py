"""The settings file: TOML, one `key = value` a line with its help above. Bounds are model.settings'."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.settings import Settings, apply, rows
from hivemind_worker.model.task import Problem
from hivemind_worker.owned_file import write_owned

MAX_BYTES = 1 << 20


def load(path: Path) -> dict[str, object] | Problem:
    """The values in the file, checked; an absent file is empty. A problem leaves the file untouched."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        return Problem(code=FaultCode.BAD_SETTINGS_FILE, about=f"{path.name}: {error.strerror}")
    try:
        if len(content) > MAX_BYTES:
            raise ValueError("it is larger than 1 MiB")
        values = tomllib.loads(content.decode("utf-8"))
    except ValueError as error:
        return Problem(code=FaultCode.BAD_SETTINGS_FILE, about=f"{path.name}: {error}")
    _, problems = apply(Settings(), values)
    if problems:
        return Problem(code=FaultCode.BAD_SETTINGS_FILE, about=f"{path.name}: {problems[0].about}")
    return values


def save(path: Path, values: Mapping[str, object]) -> Problem | None:
    """Write the values (only those set by hand), or say why not; the old file stays then."""
    settings, problems = apply(Settings(), values)
    if problems:
        return problems[0]
    lines: list[str] = []
    for row in rows():
        if row.name in values:
            lines += [f"# {row.metadata['help']}", f"{row.name} = {_toml(getattr(settings, row.name))}", ""]
    try:
        write_owned(path, "\n".join(lines).encode())
    except OSError as error:
        return Problem(code=FaultCode.NO_PERMISSION, about=f"{path}: {error.strerror}")
    return None


def _toml(value: bool | int | float | str) -> str:
    """One scalar; JSON's texts, numbers and booleans are TOML's as well (no control characters here)."""
    return json.dumps(value, ensure_ascii=False)
