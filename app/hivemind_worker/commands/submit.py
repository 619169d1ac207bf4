"""`submit`: send a folder or a zip to a pool, follow its log, fetch and unpack its result."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hivemind_worker.commands.login import read_password
from hivemind_worker.commands.printing import fail, plain, say, say_json
from hivemind_worker.commands.resolve import home_places
from hivemind_worker.model.faults import FaultCode, sentence
from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import NamedThread
from hivemind_worker.runtimes.workspace.bundle import Bundle, bundle
from hivemind_worker.runtimes.workspace.listing import LEFT_OUT_NAME

if TYPE_CHECKING:
    from hivemind_worker.pool.requester import Requester, TaskView

RESULT_FOLDER = "results"
LEFT_OUT_LETTERS, LEFT_OUT_SHOWN = 16_384, 5
STOP_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Which pool, and as whom."""

    pool: str
    user: str
    password: str = field(repr=False)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `submit`."""
    parser = subparsers.add_parser("submit", help="send a folder or a zip to a pool and fetch its result")
    parser.add_argument("path", metavar="PATH", type=Path, help="a folder with a main.py, or a .zip")
    parser.add_argument("--pool", metavar="HOST:PORT", help="default: that of the kept login")
    parser.add_argument("--user", help="name of the account; default: that of the kept login")
    parser.add_argument(
        "--password-file", metavar="FILE", help="file with the password; - reads standard input"
    )
    for name, text in (
        ("memory-gb", "memory in GiB"),
        ("cpu-score", "processor; 100 is one core"),
        ("gpu-score", "graphics processor"),
        ("gpu-memory-gb", "memory of the graphics processor in GiB"),
    ):
        parser.add_argument(
            f"--{name}", metavar="N", type=int, default=0, help=f"{text}; default: 0, as the worker likes"
        )
    parser.add_argument("--wait", action="store_true", help="follow the log and fetch the result")
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        help=f"unpack the result there; default: {RESULT_FOLDER} (implies --wait)",
    )
    parser.add_argument(
        "--insecure", action="store_true", help="sign in although others on the network may read the password"
    )
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(func=submit)


def submit(args: argparse.Namespace) -> int:
    """Send a task; with --wait exit 0 only when it completed and its result is unpacked."""
    problem = _reason_against(args)
    if problem is not None:
        return fail(problem, args.json)
    account = _account(args)
    if isinstance(account, Problem):
        return fail(account, args.json)
    out = _result_folder(args)
    if isinstance(out, Problem):
        return fail(out, args.json)
    with tempfile.TemporaryDirectory(prefix="hivemind-submit-") as scratch:
        made = _bundled(args, Path(scratch))
        if isinstance(made, Problem):
            return fail(made, args.json)
        return asyncio.run(_submit(args, account, made, out))


def _reason_against(args: argparse.Namespace) -> Problem | None:
    for name in ("memory_gb", "cpu_score", "gpu_score", "gpu_memory_gb"):
        amount = getattr(args, name)
        if not 0 <= amount < 2**31:
            about = f"--{name.replace('_', '-')} {amount}"
            return Problem(code=FaultCode.BAD_DEMAND, about=about)
    return None


def _account(args: argparse.Namespace) -> Account | Problem:
    """From the flags, else from the kept login; a kept password goes to its own pool and user only."""
    from hivemind_worker.store.secrets import login_store

    kept = login_store(home_places()).find() if not (args.pool and args.user and args.password_file) else None
    pool, user = args.pool or (kept and kept.pool), args.user or (kept and kept.user)
    if not pool or not user:
        return Problem(code=FaultCode.NOT_LOGGED_IN)
    if kept and not args.password_file and (kept.pool, kept.user) == (pool, user):
        return Account(pool=pool, user=user, password=kept.password)
    password = read_password(args.password_file)
    return password if isinstance(password, Problem) else Account(pool=pool, user=user, password=password)


def _result_folder(args: argparse.Namespace) -> Path | Problem | None:
    """Where results go, made before anything is sent; None when they are not waited for."""
    if not (args.wait or args.out):
        return None
    folder: Path = args.out or Path(RESULT_FOLDER)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Problem(code=FaultCode.NO_PERMISSION, about=f"{folder} ({error.strerror})")
    return folder


def _bundled(args: argparse.Namespace, scratch: Path) -> Bundle | Problem:
    from hivemind_worker.pool.requester import ARCHIVE_BYTES_MOST

    made = bundle(args.path, scratch, ARCHIVE_BYTES_MOST)
    if isinstance(made, Bundle) and made.skipped:
        if args.json:
            say_json({"event": "skipped", "names": made.skipped})
        else:
            say(f"Left out: {', '.join(made.skipped)}")
    return made


async def _submit(args: argparse.Namespace, account: Account, made: Bundle, out: Path | None) -> int:
    from hivemind_worker.machine.interfaces import ipv4_addresses
    from hivemind_worker.pool.address import find_pool
    from hivemind_worker.pool.requester import Requester

    names = NamedThread("names")
    try:
        target = await find_pool(account.pool, ipv4_addresses(), names, insist_plain_login=args.insecure)
    finally:
        names.close(wait=False)
    if isinstance(target, Problem):
        return fail(target, args.json)
    requester = Requester(
        target, account.user, account.password, on_away=partial(_tell_away, as_json=args.json)
    )  # fmt: skip
    try:
        problem = await requester.login()
        return fail(problem, args.json) if problem else await _send(args, requester, made, out)
    finally:
        await requester.close()


def _tell_away(problem: Problem | None, *, as_json: bool) -> None:
    """The pool is away while the task is waited for, or (None) back."""
    from hivemind_worker.pool.requester import PATIENCE_S

    if as_json:
        told = {"event": "pool_away", "code": problem.code.value} if problem else {"event": "pool_back"}
        say_json(told)
    elif problem is None:
        print("The pool is back.", file=sys.stderr, flush=True)
    else:
        text = f"{sentence(problem.code, problem.about)} It is asked again for {PATIENCE_S:.0f} seconds."
        print(plain(text), file=sys.stderr, flush=True)


async def _send(args: argparse.Namespace, requester: Requester, made: Bundle, out: Path | None) -> int:
    from hivemind_worker.pool.requester import Demand, new_task_id

    task_id = new_task_id()
    demand = Demand(
        memory_gb=args.memory_gb,
        cpu_score=args.cpu_score,
        gpu_score=args.gpu_score,
        gpu_memory_gb=args.gpu_memory_gb,
    )
    problem = await requester.upload(task_id, made.archive, demand)
    if problem is not None:
        return fail(problem, args.json)
    if args.json:
        say_json({"event": "uploaded", "task_id": task_id, "bytes": made.size})
    else:
        say(f"Sent {task_id} ({made.size} bytes).")
    if out is None:
        return 0
    try:
        return await _see_through(args, requester, task_id, out)
    except asyncio.CancelledError:
        await _give_up(args, requester, task_id)
        raise


async def _give_up(args: argparse.Namespace, requester: Requester, task_id: str) -> None:
    """Interrupted at the keyboard: nobody waits for the task any more, so it is stopped."""
    try:
        async with asyncio.timeout(STOP_LIMIT_S):
            problem = await requester.stop(task_id)
    except TimeoutError:
        problem = Problem(code=FaultCode.POOL_MUTE, about="that address")
    if problem is not None:
        fail(problem, args.json)
    elif not args.json:
        say(f"Stopped {task_id}.")


async def _see_through(args: argparse.Namespace, requester: Requester, task_id: str, out: Path) -> int:
    begun = time.monotonic()
    async for line in requester.follow(task_id):
        if args.json:
            say_json({"event": "line", "text": line})
        else:
            say(line)
    view = await requester.wait(task_id)
    if isinstance(view, Problem):
        return fail(view, args.json)
    folder = await fetch_result(requester, view, out)
    took_s = time.monotonic() - begun
    if isinstance(folder, Problem):
        _tell(args, view, None, took_s)
        told = fail(folder, args.json)
        return told if view.status == "COMPLETED" else 1
    _tell(args, view, folder, took_s)
    return 0 if view.status == "COMPLETED" else 1


def _tell(args: argparse.Namespace, view: TaskView, folder: Path | None, took_s: float) -> None:
    if args.json:
        say_json(
            {
                "event": "ended",
                "task_id": view.task_id,
                "status": view.status,
                "message": view.message,
                "node": view.node,
                "result": str(folder) if folder else None,
                "left_out": _left_out(folder),
            }
        )
        return
    where = f" on {view.node}" if view.node else ""
    say(f"{view.status}{where} after {took_s:.1f} s. {view.message}".rstrip())
    if folder is not None:
        say(f"Result: {folder}")
    for line in _left_out(folder)[:LEFT_OUT_SHOWN]:
        say(f"Not in it: {line}")


def _left_out(folder: Path | None) -> list[str]:
    """What the worker could not pack, as the result itself says; a task may have written that file too."""
    if folder is None:
        return []
    try:
        with (folder / LEFT_OUT_NAME).open(encoding="utf-8", errors="replace") as file:
            text = file.read(LEFT_OUT_LETTERS)
    except OSError:
        return []
    return [plain(line[2:]) for line in text.splitlines() if line.startswith("- ")]


async def fetch_result(requester: Requester, view: TaskView, out: Path) -> Path | Problem:
    """The new folder with the unpacked result; an archive that is refused stays as a .zip beside it."""
    from hivemind_worker.engine.sending import fetch_unpacked
    from hivemind_worker.runtimes.workspace import RESULT_LIMITS, Workspace

    files = NamedThread("unpacking")
    try:
        return await fetch_unpacked(requester, view, out, Workspace(limits=RESULT_LIMITS).unpack, files)
    finally:
        files.close()
