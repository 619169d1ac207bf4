"""`selftest` (also `--selftest`): proves that an installation is whole, in a home that is thrown away.

The window is opened where nobody sees it and shows every place; every page is fetched from the worker
behind it; then a pool, a worker and a task in the built-in sandbox run as processes of their own. What
a build or a package has lost shows here, and not on the day that a volunteer needs it.
"""

from __future__ import annotations

import argparse
import http.client
import os
import subprocess
import tempfile
import time
from http import HTTPStatus
from pathlib import Path

from hivemind_worker.commands.gui import Worker
from hivemind_worker.commands.printing import fail, say, say_json
from hivemind_worker.commands.resolve import resolve
from hivemind_worker.machine.single_instance import SingleInstance
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import NamedThread
from hivemind_worker.nursery.children import own_program

TASK_LIMIT_S = 300.0
PAGE_LIMIT_S = 10.0
UNSEEN = {"QT_QPA_PLATFORM": "offscreen", "NODE_PORT": "0", "FLASK_PORT": "0", "DOCKER_ENABLED": "false",
          "QT_LOGGING_RULES": "*=false"}  # fmt: skip


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `selftest`."""
    parser = subparsers.add_parser("selftest", help="prove that this installation is whole; half a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object a part")
    parser.set_defaults(func=selftest)


def selftest(args: argparse.Namespace) -> int:
    """Try every part in turn; exit code 0 only when all are whole."""
    before = dict(os.environ)
    try:
        with tempfile.TemporaryDirectory(prefix="hivemind-selftest-") as home:
            os.environ.update(UNSEEN, HIVEMIND_HOME=home)
            os.environ.pop("HIVEMIND_SANDBOX", None)
            return _try_all(args.json)
    finally:
        os.environ.clear()
        os.environ.update(before)


def _try_all(as_json: bool) -> int:
    for name, part in (("window and pages", _window), ("task in the built-in sandbox", _task)):
        begun = time.monotonic()
        try:
            found = part()
        except Exception as error:  # whatever is broken here, the rest of the program cannot say it
            about = f"selftest, {name}: {type(error).__name__}: {error}"
            return fail(Problem(code=FaultCode.BUG, about=about), as_json)
        seconds = round(time.monotonic() - begun, 1)
        if as_json:
            say_json({"part": name, "found": found, "seconds": seconds})
        else:
            say(f"  ok  {name}: {found} ({seconds} s)")
    return 0


# --- the window, and the pages of the worker behind it ----------------------------------------


class _Visitor(Worker):
    """The worker of the window, which ends by itself once everything has been looked at."""

    found, trouble = "", "the worker did not start"

    async def ended(self) -> None:
        from hivemind_worker.ui.tour import tour

        fetching = NamedThread("selftest")
        try:
            pictures = await tour()
            pages = await fetching.call(_pages)
            self.found = f"{pictures} pictures, {pages} pages"
        except (AssertionError, OSError, ValueError, http.client.HTTPException) as error:
            self.trouble = str(error)
        finally:
            fetching.close(wait=False)


def _window() -> str:
    resolved = resolve({})
    assert not isinstance(resolved, Problem), resolved.about
    resolved.places.make()
    instance = SingleInstance(resolved.places.lock_file)
    assert instance.take() is None, "the new home is taken"
    from hivemind_worker.ui.app import run

    host = _Visitor(resolved, instance)
    code = run(host)
    assert code == 0, f"the window ended with {code}"
    assert host.found, host.trouble
    return host.found


def _pages() -> int:
    from hivemind_worker.commands.remote import find_worker
    from hivemind_worker.web.pages_render import PAGES

    worker = find_worker()
    assert not isinstance(worker, Problem), worker.about
    link = worker.post("/api/v1/sessions/link")
    assert not isinstance(link, Problem), link.about
    address = worker.url.partition("://")[2]
    worker.close()
    signed_in = _get(address, str(link["path"]), {}, HTTPStatus.SEE_OTHER)
    given = signed_in.headers.get_all("Set-Cookie", [])
    cookie = {"Cookie": "; ".join(row.partition(";")[0] for row in given)}
    plain = [name for name in PAGES if name not in ("task", "login", "missing")]
    for name in plain:
        _get(address, f"/{name}", cookie, HTTPStatus.OK)
    _get(address, "/login", {}, HTTPStatus.OK)
    _get(address, "/nowhere", cookie, HTTPStatus.NOT_FOUND)
    return len(plain) + 2


def _get(address: str, path: str, headers: dict[str, str], wanted: HTTPStatus) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(address, timeout=PAGE_LIMIT_S)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    assert answer.status == wanted, f"{path.partition('?')[0]} answered {answer.status}"
    return answer


# --- a task -----------------------------------------------------------------------------------


def _task() -> str:
    program = own_program("demo")
    with tempfile.TemporaryDirectory(prefix="hivemind-results-") as out:
        done = subprocess.run(
            [*program.argv, "--tasks", "1", "--runtime", "wasm", "--out", out],
            env={**os.environ, **dict(program.env)}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=TASK_LIMIT_S, check=False,
        )  # fmt: skip
        files = sum(path.is_file() for path in Path(out).rglob("*"))
    assert done.returncode == 0, (done.stderr or done.stdout).strip()[-600:]
    assert files, "the task left no file"
    return f"completed, {files} files"
