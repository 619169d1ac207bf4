"""`config`: the settings, where each value comes from, and changing one. Needs no running worker."""

from __future__ import annotations

import argparse
import os
from dataclasses import Field
from typing import Any

from hivemind_worker.commands.layout import aligned
from hivemind_worker.commands.printing import fail, say, say_json
from hivemind_worker.commands.resolve import Resolved, home_places, resolve
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.settings import Settings, apply, rows
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.web.token import load_token


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `config` and its own verbs."""
    parser = subparsers.add_parser("config", help="show or change settings; config token, config path")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(func=list_all)
    verbs = parser.add_subparsers(metavar="get|set|token|path")
    get = verbs.add_parser("get", help="show one value")
    get.set_defaults(func=get_one)
    put = verbs.add_parser("set", help="keep a value for the next start")
    put.set_defaults(func=set_one)
    for child in (get, put):
        child.add_argument("key", metavar="KEY", help="name of a setting, or of its environment variable")
    put.add_argument("value", metavar="VALUE")
    token = verbs.add_parser("token", help="show the token of the local API")
    token.set_defaults(func=show_token)
    path = verbs.add_parser("path", help="show where the settings file is")
    path.set_defaults(func=show_path)
    for child in (get, put, token, path):
        child.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="one JSON object")


def list_all(args: argparse.Namespace) -> int:
    """Print every setting with its value and source."""
    resolved = resolve({})
    if isinstance(resolved, Problem):
        return fail(resolved, args.json)
    if args.json:
        say_json(
            {"file": str(resolved.places.settings_file), "settings": [_as_json(r, resolved) for r in rows()]}
        )
        return 0
    table = [
        (row.name, _shown(row, resolved), _source(row, resolved), row.metadata["help"]) for row in rows()
    ]
    for line in aligned(table):
        say(line)
    return 0


def _as_json(row: Field[Any], resolved: Resolved) -> dict[str, object]:
    return {
        "key": row.name,
        "value": getattr(resolved.settings, row.name),
        "source": resolved.sources.get(row.name, "default"),
        "env": row.metadata["env"],
        "unit": row.metadata["unit"],
        "default": row.default,
        "help": row.metadata["help"],
    }


def _shown(row: Field[Any], resolved: Resolved) -> str:
    value = getattr(resolved.settings, row.name)
    if isinstance(value, bool):
        text = "true" if value else "false"
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{text} {row.metadata['unit']}".strip() or "–"


def _source(row: Field[Any], resolved: Resolved) -> str:
    source = resolved.sources.get(row.name, "default")
    return f"{source} {row.metadata['env']}" if source == "environment" else source


def _find(name: str) -> Field[Any] | Problem:
    """The row of a key, written with _ or -, or of an environment variable."""
    wanted = name.strip().replace("-", "_")
    for row in rows():
        if wanted.lower() == row.name or (row.metadata["env"] and wanted.upper() == row.metadata["env"]):
            return row
    return Problem(code=FaultCode.BAD_SETTING, about=f"{name}: there is no such setting")


def get_one(args: argparse.Namespace) -> int:
    """Print one value."""
    row, resolved = _find(args.key), resolve({})
    if isinstance(row, Problem):
        return fail(row, args.json)
    if isinstance(resolved, Problem):
        return fail(resolved, args.json)
    if args.json:
        say_json(_as_json(row, resolved))
    else:
        say(str(getattr(resolved.settings, row.name)))
    return 0


def set_one(args: argparse.Namespace) -> int:
    """Keep a value in the settings file; a value that is refused changes nothing."""
    row = _find(args.key)
    value = row if isinstance(row, Problem) else _save(row, args.value)
    if isinstance(value, Problem):
        return fail(value, args.json)
    assert not isinstance(row, Problem)
    overruled = bool(row.metadata["env"] and os.environ.get(row.metadata["env"]))
    if args.json:
        say_json(
            {"key": row.name, "value": value, "restart": row.metadata["restart"], "overruled": overruled}
        )
        return 0
    say(_("{key} is now {value}. It counts from the worker's next start.", key=row.name, value=value))
    if overruled:
        say(_("But the environment variable {name} is set, and that wins.", name=row.metadata["env"]))
    return 0


def _save(row: Field[Any], untrusted_value: str) -> object | Problem:
    from hivemind_worker.store import settings_file

    settings, problems = apply(Settings(), {row.name: untrusted_value})
    if problems:
        return problems[0]
    places, value = home_places(), getattr(settings, row.name)
    try:
        places.make()
    except OSError as error:
        return Problem(code=FaultCode.NO_PERMISSION, about=f"{error.filename}: {error.strerror}")
    kept = settings_file.load(places.settings_file)
    if isinstance(kept, Problem):
        return kept
    return settings_file.save(places.settings_file, {**kept, row.name: value}) or value


def show_token(args: argparse.Namespace) -> int:
    """Print the token that the local API of this home asks for."""
    token = load_token(home_places().token_file)
    if token is None:
        return fail(Problem(code=FaultCode.NOT_RUNNING), args.json)
    if args.json:
        say_json({"token": token})
    else:
        say(token)
    return 0


def show_path(args: argparse.Namespace) -> int:
    """Print where the settings file is, there or not yet."""
    path = str(home_places().settings_file)
    if args.json:
        say_json({"path": path})
    else:
        say(path)
    return 0
