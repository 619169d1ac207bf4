"""Settings from all their sources: command line, environment, settings file, default, in this order."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hivemind_worker.model.settings import Settings, apply, from_environment, rows
from hivemind_worker.model.task import Problem
from hivemind_worker.places import Places, find_places

FLAG_PREFIX = "setting_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The settings in force, and where each that was set by hand comes from."""

    settings: Settings
    sources: Mapping[str, str]  # key -> "command line", "environment" or "file"
    places: Places


def home_places() -> Places:
    """The folders of the home in use."""
    return find_places(os.environ.get("HIVEMIND_HOME"))


def pool_folder() -> Path:
    """Where the embedded pool of this home keeps everything: HIVEMIND_HOME/pool, or in the data folder."""
    places = home_places()
    return (places.data.parent if places.portable else places.data) / "pool"


def add_setting_flags(parser: argparse.ArgumentParser) -> None:
    """One flag a row of the settings table, e.g. --node-port."""
    group = parser.add_argument_group("settings (each also by environment or `config set`)")
    for row in rows():
        group.add_argument(
            "--" + row.name.replace("_", "-"),
            dest=FLAG_PREFIX + row.name,
            metavar=(row.metadata["unit"] or type(row.default).__name__).upper(),
            help=row.metadata["help"].replace("%", "%%"),
        )


def flag_values(args: argparse.Namespace) -> dict[str, object]:
    """The settings given as flags."""
    given = {row.name: getattr(args, FLAG_PREFIX + row.name, None) for row in rows()}
    return {key: value for key, value in given.items() if value is not None}


def resolve(flags: Mapping[str, object]) -> Resolved | Problem:
    """The settings in force; a bad value or file is a problem, never ignored."""
    from hivemind_worker.store.settings_file import load

    places = home_places()
    in_file = load(places.settings_file)
    if isinstance(in_file, Problem):
        return in_file
    layers = {"file": in_file, "environment": from_environment(os.environ), "command line": dict(flags)}
    settings, sources = Settings(), dict[str, str]()
    for source, values in layers.items():
        settings, problems = apply(settings, values)
        if problems:
            return problems[0]
        sources.update(dict.fromkeys(values, source))
    return Resolved(settings=settings, sources=sources, places=places)
