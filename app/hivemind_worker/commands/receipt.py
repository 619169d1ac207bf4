"""`receipt`: show what ran here, or check a receipt; works without a worker and without a network."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from hivemind_worker.commands.layout import aligned, short
from hivemind_worker.commands.printing import fail, say, say_json
from hivemind_worker.commands.resolve import home_places
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem, TaskId, key_of
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.receipt_words import receipt_files, receipt_rows

MIN_DIGITS = 8
SHOWN_FILES = 20


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `receipt`."""
    parser = subparsers.add_parser("receipt", help="what ran here, signed")
    what = parser.add_subparsers(metavar="WHAT", required=True)
    show = what.add_parser("show", help="show a task's receipt")
    show.set_defaults(func=_show)
    verify = what.add_parser("verify", help="check that nothing in a receipt was changed")
    verify.add_argument("--key", default="", metavar="HEX", help="the node's public key, when you know it")
    verify.set_defaults(func=_verify)
    for each in (show, verify):
        each.add_argument("receipt", metavar="RECEIPT", help="a file; or a task's id, key, or 8 digits of it")
        each.add_argument("--json", action="store_true", help="one JSON object")


def _read(name: str) -> dict[str, Any] | Problem:
    from hivemind_worker.store.receipts import read_receipt

    path = _path(name)
    if path is None:
        about = f"There is no receipt of {name!a:.80} here. Name a file, or a task that has ended."
        return Problem(code=FaultCode.BAD_USAGE, about=about)
    try:
        return read_receipt(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return Problem(code=FaultCode.BAD_USAGE, about=f"{path.name} cannot be read: {reason}.")


def _path(name: str) -> Path | None:
    if (file := Path(name)).is_file():
        return file
    folder = home_places().receipts
    exact = [folder / f"{key_of(TaskId(name))}.json", folder / f"{name}.json"]
    digits = len(name) >= MIN_DIGITS and all(letter in "0123456789abcdef" for letter in name)
    found = [path for path in exact if "/" not in name and path.is_file()]
    return next(iter([*found, *(sorted(folder.glob(f"{name}*.json")) if digits else [])]), None)


def _show(args: argparse.Namespace) -> int:
    document = _read(args.receipt)
    if isinstance(document, Problem):
        return fail(document, args.json)
    if args.json:
        say_json(document)
        return 0
    for line in lines_of(document["receipt"]):
        say(line)
    return 0


def lines_of(receipt: dict[str, Any]) -> list[str]:
    """The receipt as plain text."""
    lines = aligned([(name, short(text, 120)) for name, text in receipt_rows(receipt)])
    for title, files in receipt_files(receipt, SHOWN_FILES):
        rows = [(f"  {short(name, 50)}", size, digits) for name, size, digits in files]
        lines += [title, *(aligned(rows) if rows else [])]
    return lines


def _verify(args: argparse.Namespace) -> int:
    from hivemind_worker.store.receipts import Receipts, is_genuine

    document = _read(args.receipt)
    if isinstance(document, Problem):
        return fail(document, args.json)
    places = home_places()
    own = Receipts(places.receipts, places.node_key).public_key()
    genuine = is_genuine(document, args.key)
    by_own = genuine and document["public_key"] == own
    if args.json:
        say_json({"genuine": genuine, "public_key": document.get("public_key"), "by_this_node": by_own})
    elif not genuine:
        say(_("Not genuine: it was changed, or another key has signed it."))
    elif by_own:
        say(_("Genuine: signed by this node, unchanged since."))
    else:
        key = str(document["public_key"])
        say(_("Genuine: unchanged since it was signed with the key {key}.", key=key))
    return 0 if genuine else 1
