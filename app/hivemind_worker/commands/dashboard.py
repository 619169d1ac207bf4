"""`dashboard`: opens the running worker's pages in the browser, signed in by a one-time link."""

from __future__ import annotations

import argparse
import webbrowser

from hivemind_worker.commands.printing import fail, say, say_json
from hivemind_worker.commands.remote import find_worker
from hivemind_worker.commands.resolve import home_places
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.catalogue import _


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `dashboard`."""
    parser = subparsers.add_parser("dashboard", help="open the dashboard in the browser, signed in")
    parser.add_argument("--no-browser", action="store_true", help="print the link instead of opening it")
    parser.add_argument(
        "--fingerprint", action="store_true", help="show the certificate that other computers should see"
    )
    parser.add_argument("--json", action="store_true", help="print the link as one JSON object")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Open the dashboard, or show the fingerprint."""
    return show_fingerprint(args) if args.fingerprint else open_dashboard(args)


def open_dashboard(args: argparse.Namespace) -> int:
    """Open the link, or print it where there is no browser; it is good once, for a minute."""
    worker = find_worker()
    if isinstance(worker, Problem):
        return fail(worker, args.json)
    try:
        answer = worker.post("/api/v1/sessions/link")
    finally:
        worker.close()
    if isinstance(answer, Problem):
        return fail(answer, args.json)
    url = f"{worker.url}{answer['path']}"
    if args.json:
        say_json({"url": url, "expires_in_s": answer["expires_in_s"]})
    elif args.no_browser or not webbrowser.open(url):
        say(_("Open this link within a minute; it is good once:"))
        say(url)
    else:
        say(_("The dashboard opens in your browser."))
    return 0


def show_fingerprint(args: argparse.Namespace) -> int:
    """Print what a browser on another computer should show of the worker's certificate."""
    from hivemind_worker.web.certificate import kept_fingerprint

    fingerprint = kept_fingerprint(home_places().state)
    if fingerprint is None:
        about = _(
            "Other computers are not let in. Switch it on with: hivemind-worker config set web_listen ADDRESS"
        )
        return fail(Problem(code=FaultCode.BAD_USAGE, about=about), args.json)
    if args.json:
        say_json({"sha256": fingerprint})
    else:
        say(f"SHA-256 {fingerprint}")
    return 0
