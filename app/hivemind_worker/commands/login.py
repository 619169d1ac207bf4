"""`login` and `logout`: the account under which this worker works for a pool."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
from dataclasses import replace
from pathlib import Path

from hivemind_worker.commands.printing import fail, say, say_json
from hivemind_worker.commands.resolve import home_places, resolve
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem

BEGINNINGS = "tls://, nats://127.0.0.1, or with the host itself"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `login` and `logout`."""
    login = subparsers.add_parser("login", help="sign in to a pool and keep the login for `run`")
    login.add_argument(
        "--pool",
        metavar="HOST:PORT",
        help="the pool, also tls://HOST:PORT (nats://127.0.0.1:PORT); default: the setting master_address",
    )
    login.add_argument("--user", help="name of the account; not for tls://, where the credential says it")
    login.add_argument(
        "--password-file", metavar="FILE", help="file with the password; - reads standard input"
    )
    login.add_argument(
        "--insecure", action="store_true", help="sign in although others on the network may read the password"
    )
    login.add_argument("--json", action="store_true")
    login.set_defaults(func=log_in)
    logout = subparsers.add_parser("logout", help="forget the kept login")
    logout.add_argument("--json", action="store_true")
    logout.set_defaults(func=log_out)


def read_password(file: str | None, *, may_be_empty: bool = False) -> str | Problem:
    """The password from a file, standard input or the terminal; never from the command line."""
    try:
        if file == "-":
            text = sys.stdin.readline()
        elif file is not None:
            text = Path(file).read_text(encoding="utf-8")
        elif sys.stdin.isatty():
            text = getpass.getpass("Password: ")
        else:
            return Problem(
                code=FaultCode.BAD_USAGE, about="No terminal to ask for the password: use --password-file."
            )
    except (OSError, UnicodeDecodeError) as error:
        return Problem(code=FaultCode.BAD_PATH, about=f"the password file: {error}")
    password = text.rstrip("\r\n")
    if not password and not may_be_empty:
        return Problem(code=FaultCode.BAD_USAGE, about="The password is empty.")
    return password


def _password(args: argparse.Namespace, pool: str) -> str | Problem:
    if not args.user:
        return Problem(code=FaultCode.BAD_USAGE, about="Name the account with --user.")
    is_own_server = pool.startswith("nats://")  # on this computer: it may ask for none
    return read_password(args.password_file, may_be_empty=is_own_server)


def _misspelt(pool: str) -> Problem | None:
    if "://" not in pool or pool.startswith("nats://"):
        return None
    return Problem(code=FaultCode.BAD_ADDRESS, about=f"{pool!r}: it begins with {BEGINNINGS}")


def _in_vain(problem: Problem) -> Problem:
    """Of a worker that runs it is told that it will try again; this command will not."""
    is_unheard = problem.code is FaultCode.POOL_UNREACHABLE
    return replace(problem, code=FaultCode.NO_POOL_THERE) if is_unheard else problem


def log_in(args: argparse.Namespace) -> int:
    """Try the login at the pool; only one that works is kept."""
    from hivemind_worker.store.secrets import login_store

    resolved = resolve({} if args.pool is None else {"master_address": args.pool})
    if isinstance(resolved, Problem):
        return fail(resolved, args.json)
    if resolved.settings.master_address.startswith("tls://"):
        return _join_with_credential(args, resolved.settings.master_address)
    pool = resolved.settings.master_address
    password = _misspelt(pool) or _password(args, pool)
    if isinstance(password, Problem):
        return fail(password, args.json)
    balance = asyncio.run(_try(pool, args.user, password, insecure=args.insecure))
    failed = balance if isinstance(balance, Problem) else None
    problem = failed or _keep(pool, args.user, password, plain=args.insecure)
    if problem is not None:
        return fail(_in_vain(problem), args.json)
    _tell_worker()
    if args.json:
        say_json({"pool": pool, "user": args.user, "balance": balance})
    else:
        told = "" if balance is None else f" Balance: {balance} CPT."
        say(f"Signed in to {pool} as {args.user}.{told}")
        kept_in = login_store(resolved.places).file
        if kept_in is not None:
            say(f"The password is kept in {kept_in}, which only you can read; logout removes it.")
        say("A running worker takes this up by itself; start one with: hivemind-worker run")
    return 0


def _join_with_credential(args: argparse.Namespace, pool: str) -> int:
    """Try the credential that `pool worker join` kept; if the server takes it, this is the worker's pool."""
    from hivemind_worker.commands.pool_nats import credential_file
    from hivemind_worker.pool.nats.pull_client import check_way

    name = asyncio.run(check_way(pool, credential_file(), "", ""))
    problem = name if isinstance(name, Problem) else _keep_address(pool)
    if problem is not None:
        return fail(_in_vain(problem), args.json)
    _tell_worker()
    if args.json:
        say_json({"pool": pool, "user": name, "balance": None})
    else:
        say(f"{pool} knows this worker as {name}. Nothing needs to reach this computer: no port, no VPN.")
        say("A running worker goes there when its tasks have ended; start one with: hivemind-worker run")
    return 0


async def _try(pool: str, user: str, password: str, *, insecure: bool) -> int | Problem | None:
    from hivemind_worker.machine.interfaces import ipv4_addresses
    from hivemind_worker.pool.login import check_login

    if pool.startswith("nats://"):
        from hivemind_worker.pool.nats.pull_client import check_way

        answer = await check_way(pool, Path(), user, password)
        return answer if isinstance(answer, Problem) else None
    interfaces = ipv4_addresses()
    return await check_login(pool, user, password, interfaces=interfaces, insist_plain_login=insecure)


def _keep(pool: str, user: str, password: str, *, plain: bool) -> Problem | None:
    """Store the login, and the pool as this worker's own."""
    from hivemind_worker.store.secrets import Login, login_store

    problem = _keep_address(pool)
    login = Login(pool=pool, user=user, password=password, plain=plain)
    return problem or login_store(home_places()).keep(login)


def _keep_address(pool: str) -> Problem | None:
    from hivemind_worker.store import settings_file

    places = home_places()
    try:
        places.make()
    except OSError as error:
        return Problem(code=FaultCode.NO_PERMISSION, about=f"{error.filename}: {error.strerror}")
    values = settings_file.load(places.settings_file)
    if isinstance(values, Problem):
        return values
    return settings_file.save(places.settings_file, {**values, "master_address": pool})


def _tell_worker() -> None:
    """Have a running worker look at the login now; without one there is nothing to tell."""
    from hivemind_worker.commands.remote import ask_worker

    ask_worker("/api/v1/actions/reconnect", post=True)


def log_out(args: argparse.Namespace) -> int:
    """Forget the login; a running worker stops announcing itself."""
    from hivemind_worker.store.secrets import login_store

    login_store(home_places()).forget()
    _tell_worker()
    if args.json:
        say_json({"signed_in": False})
    else:
        say("Signed out. The worker keeps finished results until you sign in again.")
    return 0
