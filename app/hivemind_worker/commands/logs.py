"""`logs`: what a task has printed, to its end, or as it comes with --follow."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from hivemind_worker.commands.printing import fail, plain, say_json
from hivemind_worker.commands.remote import Remote, find_worker, task_path
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.catalogue import _

POLL_S = 0.3
PIECE_BYTES = 1 << 20


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `logs`."""
    parser = subparsers.add_parser("logs", help="show what a task has printed")
    parser.add_argument("id", metavar="ID", help="the task's id, its key, or the first 8 digits of its key")
    parser.add_argument("--follow", "-f", action="store_true", help="go on until the task has ended")
    parser.add_argument("--json", action="store_true", help="one JSON object a piece")
    parser.set_defaults(func=show)


def show(args: argparse.Namespace) -> int:
    """Print the log; with --follow until the task has ended."""
    path, worker = task_path(args.id, "/logs"), find_worker()
    if isinstance(worker, Problem):
        return fail(worker, args.json)
    if isinstance(path, Problem):
        return fail(path, args.json)
    try:
        problem = _print_all(worker, path, follow=args.follow, json=args.json)
    finally:
        worker.close()
    return 0 if problem is None else fail(problem, args.json)


def _print_all(worker: Remote, path: str, *, follow: bool, json: bool) -> Problem | None:
    offset, screen = 0, Screen()
    while True:
        piece: Any = worker.get(f"{path}?offset={offset}&limit={PIECE_BYTES}")
        if isinstance(piece, Problem):
            return piece
        moved, offset = piece["next"] > offset, piece["next"]
        if json:
            if piece["text"] or piece["ended"] or not follow:
                say_json(piece)
        else:
            screen.show(piece["text"])
        if piece["ended"] or (not follow and not moved) or (not follow and offset >= piece["size"]):
            if not piece["kept"]:
                print(_("No output of this task is kept here."), file=sys.stderr)
            return None
        if not moved:
            time.sleep(POLL_S)  # the task has printed nothing new


class Screen:
    """Prints pieces of text so that a terminal shows them and acts on none of it.

    Carriage returns, by which programs redraw a line, become line ends.
    """

    def __init__(self) -> None:
        self._held = ""

    def show(self, text: str) -> None:
        """Print the next piece; a carriage return at its very end waits for what follows."""
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""
        shown = text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n")
        if shown:
            print(plain(shown), end="", flush=True)
