"""`pool`: the embedded pool in the foreground, and the accounts in its book."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hivemind_worker.commands import pool_nats_config, pool_servers
from hivemind_worker.commands.layout import aligned
from hivemind_worker.commands.login import read_password
from hivemind_worker.commands.pool_nats import add_parsers, for_owner, pool_credential_file
from hivemind_worker.commands.printing import fail, plain, say, say_json
from hivemind_worker.commands.resolve import pool_folder
from hivemind_worker.model.faults import FaultCode, sentence
from hivemind_worker.model.task import Problem

if TYPE_CHECKING:
    from hivemind_worker.pool.figures import Store
    from hivemind_worker.pool.local.book import PoolBook
    from hivemind_worker.pool.nats.book import NatsPoolBook
    from hivemind_worker.pool.nats.engine import Connect
    from hivemind_worker.store.pool_book import SqlitePoolBook
    from hivemind_worker.web.pool_metrics import MetricsPort

LISTEN = "127.0.0.1:50051"
FIRST_TOKENS = 1000
TASK_HOURS, MOST_TASK_HOURS = 168.0, 1440.0  # HELD_S and OPEN_S of `pool.nats.layout`
GARBAGE_AFTER = 20_000
"""So many objects more than before, and a look for garbage is worth it: with thousands of requests on their
way each look goes through all of them, and after the usual 700 that took a tenth of the processor."""
OPEN_METRICS = "Warning: whoever reaches that port reads the figures. They hold no names."
OPEN_WARNING = (
    "Warning: logins and tasks cross this network unprotected, and whoever reaches the port may try "
    "passwords. Listen on a VPN address, or on 127.0.0.1."
)


def _hours(text: str) -> float:
    hours = float(text)
    if not 0 < hours <= MOST_TASK_HOURS:
        raise argparse.ArgumentTypeError(f"more than 0 and at most {MOST_TASK_HOURS:g} hours")
    return hours


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `pool`, `pool user add|list` and what belongs to a NATS server."""
    parser = subparsers.add_parser("pool", help="run the embedded pool alone, or make an account in it")
    parser.add_argument("--listen", metavar="HOST:PORT", default=LISTEN, help=f"default: {LISTEN}")
    parser.add_argument(
        "--charge",
        action="store_true",
        help="requesters pay workers by the minute; without it the pool itself rewards completed tasks",
    )
    parser.add_argument(
        "--engine", metavar="ADDRESS", default="",
        help="keep everything on a NATS server, tls://HOST:PORT (nats://127.0.0.1:PORT on this computer); "
        "several pools may then run at once, for one another",
    )  # fmt: skip
    parser.add_argument(
        "--engine-credential", metavar="FILE", type=Path, help="default: the one that pool nats-config wrote"
    )
    parser.add_argument(
        "--replicas", type=int, default=1, choices=(1, 3, 5),
        help="how many servers of a NATS cluster keep each record (default: 1; 3 survives the loss of one)",
    )  # fmt: skip
    parser.add_argument(
        "--task-hours", metavar="HOURS", type=_hours, default=TASK_HOURS,
        help="with --engine: for so long one worker that asks may have a task, then another gets it "
        f"(default: {TASK_HOURS:g}, at most {MOST_TASK_HOURS:g})",
    )  # fmt: skip
    parser.add_argument(
        "--metrics", metavar="HOST:PORT", default="",
        help="figures for a monitoring system at http://HOST:PORT/metrics; PORT alone: for this computer",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(func=run_pool)
    parts = parser.add_subparsers(metavar="user|worker|nats-config|servers", title="accounts and workers")
    pool_nats_config.add_parser(parts)
    pool_servers.add_parser(parts)
    add_parsers(parts)
    user = parts.add_parser("user", help="accounts")
    verbs = user.add_subparsers(metavar="add|list", required=True)
    add = verbs.add_parser("add", help="make an account")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--password-file", metavar="FILE", help="file with the password; - reads standard input")
    add.add_argument("--tokens", type=int, default=FIRST_TOKENS, help=f"default: {FIRST_TOKENS}")
    add.add_argument("--json", action="store_true")
    add.set_defaults(func=add_user)
    listing = verbs.add_parser("list", help="list the accounts")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(func=list_users)


def run_pool(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM."""
    logging.basicConfig(level=logging.WARNING, format="[%(asctime)s] %(levelname)s: %(message)s")
    return asyncio.run(_run(args))


async def _opened(args: argparse.Namespace) -> SqlitePoolBook | NatsPoolBook | int:
    """The open book, on a NATS server with --engine, or the exit code."""
    return await _engine_book(args) if args.engine else await _own_book(args.json)


async def _own_book(json_output: bool) -> SqlitePoolBook | int:
    """This home's book. A spoilt one was set aside: that is told, and work goes on."""
    from hivemind_worker.store.pool_book import SqlitePoolBook

    book = SqlitePoolBook(pool_folder())
    problem = await book.open()
    if problem is not None and problem.code is FaultCode.BAD_JOURNAL:
        text = f"{sentence(problem.code, problem.about)} A new one was begun: make the accounts again."
        print(plain(text), file=sys.stderr, flush=True)
    elif problem is not None:
        await book.close()
        return fail(problem, json_output)
    return book


async def _engine_book(args: argparse.Namespace) -> NatsPoolBook | int:
    from hivemind_worker.pool.nats.book import NatsPoolBook
    from hivemind_worker.pool.nats.engine import Engine

    connect = _entrance(args)
    if isinstance(connect, Problem):
        return fail(for_owner(connect), args.json)
    book = NatsPoolBook(Engine(connect))
    problem = await book.open()
    return book if problem is None else fail(for_owner(problem), args.json)


def _entrance(args: argparse.Namespace) -> Connect | Problem:
    """The way to the NATS server that --engine names."""
    from hivemind_worker.pool.nats.entrances import entrance

    return entrance(args.engine, args.engine_credential or pool_credential_file())


async def _run(args: argparse.Namespace) -> int:
    if args.engine:
        return await _run_on_engine(args)
    book = await _own_book(args.json)
    if isinstance(book, int):
        return book
    try:
        if not await book.claim():
            about = f"a pool uses {pool_folder()}"
            return fail(Problem(code=FaultCode.ALREADY_RUNNING, about=about), args.json)
        return await _run_on_disk(book, args)
    finally:
        await book.close()


async def _run_on_disk(book: SqlitePoolBook, args: argparse.Namespace) -> int:
    from hivemind_worker.pool.figures import DiskStore
    from hivemind_worker.pool.local.pool import LocalPool

    pool = LocalPool(book, pool_folder(), args.listen, charges=args.charge)
    address = await pool.start()
    if isinstance(address, Problem):
        return fail(address, args.json)
    try:
        store = DiskStore(pool_folder(), asyncio.to_thread)
        return await _serve(
            book, store, address, pool_folder() / "endpoint.json", args, ended=asyncio.Event()
        )
    finally:
        await pool.close()


def _keep_bytes(args: argparse.Namespace) -> int | None:
    from hivemind_worker.pool.nats.credential import load

    found = load(args.engine_credential or pool_credential_file())
    return None if isinstance(found, Problem) or args.engine.startswith("nats://") else found.keep_bytes


async def _run_on_engine(args: argparse.Namespace) -> int:
    from hivemind_worker.pool.nats.pool import EnginePool
    from hivemind_worker.pool.nats.store_figures import NatsStore

    connect = _entrance(args)
    if isinstance(connect, Problem):
        return fail(for_owner(connect), args.json)
    folder = pool_folder() / "engine"
    pool = EnginePool(
        connect, folder, args.listen, replicas=args.replicas, charges=args.charge,
        held_s=args.task_hours * 3600, keep_bytes=_keep_bytes(args),
    )  # fmt: skip
    address = await pool.start()
    if isinstance(address, Problem):
        return fail(for_owner(address), args.json)
    try:
        endpoint = folder / f"endpoint-{os.getpid()}.json"
        code = await _serve(pool.book, NatsStore(pool.engine), address, endpoint, args, ended=pool.book.ended)
        return code if pool.book.problem is None else fail(pool.book.problem, args.json)
    finally:
        await pool.close()


async def _serve(
    book: PoolBook, store: Store, address: str, endpoint: Path, args: argparse.Namespace, *,
    ended: asyncio.Event,
) -> int:  # fmt: skip
    from hivemind_worker.pool.local.book import StoreAwayError

    metrics = await _metrics(book, store, args.metrics)
    if isinstance(metrics, Problem):
        return fail(metrics, args.json)
    try:
        _end_by_signal(ended)
        gc.freeze()
        gc.set_threshold(GARBAGE_AFTER, 10, 10)
        _announce(endpoint, address, metrics[1] if metrics else "", args.json)
        with contextlib.suppress(StoreAwayError):
            if not await book.accounts():
                pool = f"pool --engine {args.engine}" if args.engine else "pool"
                _hint(f"No account yet. Make one with: hivemind-worker {pool} user add NAME", args.json)
        await ended.wait()
    finally:
        endpoint.unlink(missing_ok=True)  # noqa: ASYNC240 - a moment, at the end
        if metrics:
            await metrics[0].close()
    if not args.json:
        say("The pool has ended. Its tasks go on at the next start.")
    return 0


async def _metrics(book: PoolBook, store: Store, listen: str) -> tuple[MetricsPort, str] | Problem | None:
    """The port with the figures and its address; None when none is wanted."""
    if not listen:
        return None
    from hivemind_worker.pool.figures import Watcher
    from hivemind_worker.pool.local.limits import is_loopback, parse_address
    from hivemind_worker.web.pool_metrics import MetricsPort

    address = parse_address(listen if ":" in listen else f"127.0.0.1:{listen}")
    if isinstance(address, Problem):
        return address
    port = MetricsPort(Watcher(book, store).figures)
    bound = await port.start(*address)
    if isinstance(bound, Problem):
        return bound
    if not is_loopback(address[0]):
        print(OPEN_METRICS, file=sys.stderr, flush=True)
    return port, bound


def _end_by_signal(ended: asyncio.Event) -> None:
    """SIGINT and SIGTERM set it."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, ended.set)
        except NotImplementedError:  # Windows: the loop must be woken from the outside
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(ended.set))


def _announce(endpoint: Path, address: str, metrics: str, json_output: bool) -> None:
    from hivemind_worker.owned_file import write_owned
    from hivemind_worker.pool.local.limits import is_loopback

    if not is_loopback(address.rpartition(":")[0].strip("[]")):
        print(OPEN_WARNING, file=sys.stderr, flush=True)
    values = {"address": address, "pid": os.getpid()}
    write_owned(endpoint, json.dumps(values).encode())
    if json_output:
        say_json({"event": "ready", **values, **({"metrics": metrics} if metrics else {})})
    else:
        say(f"Pool ready at {address}")
        if metrics:
            say(f"Figures at http://{metrics}/metrics")


def _hint(text: str, json_output: bool) -> None:
    if not json_output:
        say(text)


def add_user(args: argparse.Namespace) -> int:
    """Make an account; a running pool knows it at once."""
    password = read_password(args.password_file)
    if isinstance(password, Problem):
        return fail(password, args.json)
    return asyncio.run(_add_user(args, password))


async def _add_user(args: argparse.Namespace, password: str) -> int:
    from hivemind_worker.nursery import NamedThread
    from hivemind_worker.pool.local.accounts import open_account

    book = await _opened(args)
    if isinstance(book, int):
        return book
    hashing = NamedThread("pool-passwords")
    try:
        problem = await open_account(book, hashing, args.name, password, args.tokens)
    except OSError as error:
        problem = Problem(code=FaultCode.DISK_FULL, about=error.strerror or str(error))
    finally:
        hashing.close()
        await book.close()
    if problem is not None:
        return fail(problem, args.json)
    if args.json:
        say_json({"user": args.name, "tokens": args.tokens})
    else:
        say(f"Account {args.name} made, with {args.tokens} tokens.")
    return 0


def list_users(args: argparse.Namespace) -> int:
    """Print the accounts and their balances."""
    return asyncio.run(_list_users(args))


async def _list_users(args: argparse.Namespace) -> int:
    from hivemind_worker.pool.local.book import StoreAwayError

    book = await _opened(args)
    if isinstance(book, int):
        return book
    try:
        accounts = await book.accounts()
    except StoreAwayError as away:
        return fail(away.problem, args.json)
    finally:
        await book.close()
    if args.json:
        for each in accounts:
            say_json({"user": each.name, "tokens": each.balance})
    else:
        rows = [("NAME", "TOKENS"), *((each.name, str(each.balance)) for each in accounts)]
        say("\n".join(aligned(rows)) if accounts else "No account yet.")
    return 0
