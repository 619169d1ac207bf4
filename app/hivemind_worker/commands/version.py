"""`version`: what this is, for a report."""

from __future__ import annotations

import argparse
import platform

from hivemind_worker import __version__
from hivemind_worker.commands.printing import say, say_json


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `version`."""
    parser = subparsers.add_parser("version", help="show the version")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(func=show)


def show(args: argparse.Namespace) -> int:
    """Print the versions of the worker, of Python and of the system."""
    python, system = platform.python_version(), platform.platform(terse=True)
    if args.json:
        say_json({"version": __version__, "python": python, "platform": system})
    else:
        say(f"hivemind-worker {__version__} (Python {python}, {system})")
    return 0
