"""The settings file: TOML, one `key = value` a line with its help above. Bounds are model.settings'."""

from __future__ import annotations

import errno
import json
import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.settings import Settings, apply, rows
from hivemind_worker.model.task import Problem
from hivemind_worker.owned_file import write_owned

MAX_BYTES = 1 << 20
MAX_WORDS = 300
DEFAULTS = Settings()


def load(path: Path, table: Any = DEFAULTS) -> dict[str, object] | Problem:
    """The values in the file, checked; an absent file is empty. A problem leaves the file untouched.

    `table` holds the defaults of the declared table that the file is about.
    """
    try:
        content = _read(path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        return _bad(path, str(error.strerror))
    try:
        if len(content) > MAX_BYTES:
            raise ValueError("it is larger than 1 MiB")
        values = tomllib.loads(content.decode("utf-8"))
    except RecursionError:  # the library reads brackets within brackets by calling itself
        return _bad(path, "it is nested too deep")
    except ValueError as error:
        return _bad(path, str(error))
    _, problems = apply(table, values)
    return _bad(path, problems[0].about) if problems else values


def _read(path: Path) -> bytes:
    """At most one byte over the limit; a pipe or device, which might never end, is refused.

    Raises:
        OSError: it cannot be read, or is no file.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a file")
    with os.fdopen(descriptor, "rb") as file:
        return file.read(MAX_BYTES + 1)


def _bad(path: Path, about: str) -> Problem:
    shown = about if len(about) <= MAX_WORDS else about[: MAX_WORDS - 1] + "…"
    return Problem(code=FaultCode.BAD_SETTINGS_FILE, about=f"{path.name}: {shown}")


def save(path: Path, values: Mapping[str, object], table: Any = DEFAULTS) -> Problem | None:
    """Write the values (only those set by hand), or say why not; the old file stays then."""
    settings, problems = apply(table, values)
    if problems:
        return problems[0]
    lines: list[str] = []
    for row in fields(table):
        if row.name in values:
            lines += [f"# {row.metadata['help']}", f"{row.name} = {_toml(getattr(settings, row.name))}", ""]
    try:
        content = "\n".join(lines).encode()
    except UnicodeEncodeError as error:  # bytes of a command line that are no text
        return Problem(
            code=FaultCode.BAD_SETTING, about=f"{error.object[error.start : error.end]!a} is no text"
        )
    try:
        write_owned(path, content)
    except OSError as error:
        return Problem(code=FaultCode.NO_PERMISSION, about=f"{path}: {error.strerror}")
    return None


def change(path: Path, untrusted_values: Mapping[str, object]) -> tuple[Problem, ...]:
    """Keep these values beside those in the file; None takes one out. All, or none and every reason."""
    kept = load(path)
    if isinstance(kept, Problem):
        return (kept,)
    names = {row.name for row in rows()}
    given = {key: value for key, value in untrusted_values.items() if value is not None or key not in names}
    settings, problems = apply(Settings(), given)
    if problems:
        return problems
    left = {key: value for key, value in kept.items() if key not in untrusted_values}
    problem = save(path, {**left, **{key: getattr(settings, key) for key in given}})
    return () if problem is None else (problem,)


def _toml(value: bool | int | float | str) -> str:
    """One scalar; JSON's texts, numbers and booleans are TOML's as well, but for DEL as it is."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
