"""The rules file: TOML beside the settings file, the rows of model.rules that differ from their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.rules import Rules, change_rules
from hivemind_worker.model.task import Problem
from hivemind_worker.store import settings_file

DEFAULTS = Rules()


def load_rules(path: Path) -> Rules | Problem:
    """The rules in the file; the defaults where there is none."""
    values = settings_file.load(path, DEFAULTS)
    if isinstance(values, Problem):
        return values
    rules, problems = change_rules(DEFAULTS, values)
    if problems:
        return Problem(code=FaultCode.BAD_SETTINGS_FILE, about=f"{path.name}: {problems[0].about}")
    return rules


def save_rules(path: Path, rules: Rules) -> Problem | None:
    """Write the rows that differ from the defaults, or say why not; the old file stays then."""
    usual = asdict(DEFAULTS)
    changed: Mapping[str, object] = {k: v for k, v in asdict(rules).items() if v != usual[k]}
    return settings_file.save(path, changed, DEFAULTS)
