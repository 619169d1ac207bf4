"""`user`: who else may look at this worker in a browser, and with which scripts. Needs no running worker.

Accounts here are this computer's own; an account of a pool is kept by `login`.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from hivemind_worker.commands.layout import aligned
from hivemind_worker.commands.login import read_password
from hivemind_worker.commands.printing import fail, say, say_json
from hivemind_worker.commands.resolve import home_places
from hivemind_worker.model.accounts import Role
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.amounts import iso
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.moments import local_time

if TYPE_CHECKING:
    from hivemind_worker.store.users import SqliteUsers

Result = TypeVar("Result")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `user` and its own verbs."""
    parser = subparsers.add_parser("user", help="accounts, sessions and tokens of the dashboard")
    verbs = parser.add_subparsers(required=True, metavar="add|list|remove|token|session")
    _add_accounts(verbs)
    _add_tokens(verbs)
    session = verbs.add_parser("session", help="browsers that are signed in")
    kinds = session.add_subparsers(required=True, metavar="list|end")
    _leaf(kinds, "list", "list them", list_sessions)
    end = _leaf(kinds, "end", "end one", end_session)
    end.add_argument("number", type=int, metavar="NUMBER", help="its number in the list")


def _add_accounts(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    add = _leaf(verbs, "add", "make an account", add_account)
    add.add_argument("name", metavar="NAME")
    add.add_argument(
        "--role", choices=[role.value for role in Role], default=Role.VIEWER.value,
        help="viewer (default) looks at everything, owner may also pause, stop and set",
    )  # fmt: skip
    add.add_argument("--password-file", metavar="FILE", help="file with the password; - reads standard input")
    _leaf(verbs, "list", "list the accounts", list_accounts)
    remove = _leaf(verbs, "remove", "remove an account and end its sessions", remove_account)
    remove.add_argument("name", metavar="NAME")


def _add_tokens(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    token = verbs.add_parser("token", help="read-only tokens for scripts")
    kinds = token.add_subparsers(required=True, metavar="add|list|remove")
    add = _leaf(kinds, "add", "make one; it is shown this once", add_token)
    _leaf(kinds, "list", "list their names", list_tokens)
    remove = _leaf(kinds, "remove", "revoke one", remove_token)
    for parser in (add, remove):
        parser.add_argument("name", metavar="NAME")


def _leaf(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    word: str,
    help_text: str,
    func: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(word, help=help_text)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(func=func)
    return parser


def _in_book(work: Callable[[SqliteUsers], Awaitable[Result | Problem]]) -> Result | Problem:
    """What `work` does with the book of users, or why it cannot be used."""
    from hivemind_worker.store.users import SqliteUsers

    async def opened() -> Result | Problem:
        users = SqliteUsers(places.state)
        problem = await users.open()
        try:
            if problem is not None:
                return problem
            return await work(users)
        except OSError as error:
            return Problem(code=FaultCode.NO_PERMISSION, about=str(error))
        finally:
            await users.close()

    places = home_places()
    try:
        places.make()
    except OSError as error:
        return Problem(code=FaultCode.NO_PERMISSION, about=f"{error.filename}: {error.strerror}")
    return asyncio.run(opened())


# --- accounts ---------------------------------------------------------------------------------


def add_account(args: argparse.Namespace) -> int:
    """Make an account; its password is asked for, never taken from the command line."""
    password = read_password(args.password_file)
    if isinstance(password, Problem):
        return fail(password, args.json)
    role = Role(args.role)
    problem = _in_book(lambda users: users.add_account(args.name, password, role, time.time()))
    if problem is not None:
        return fail(problem, args.json)
    text = _("{name} may sign in at the dashboard now, as {role}.", name=args.name, role=role.value)
    return _told(args, {"name": args.name, "role": role.value}, text)


def list_accounts(args: argparse.Namespace) -> int:
    """Print the accounts."""
    accounts = _in_book(lambda users: users.accounts())
    if isinstance(accounts, Problem):
        return fail(accounts, args.json)
    if args.json:
        rows = [{"name": a.name, "role": a.role.value, "created_at": iso(a.created_at_s)} for a in accounts]
        return _told(args, {"accounts": rows}, "")
    if not accounts:
        say(_("No accounts yet. Make one with: hivemind-worker user add NAME"))
        return 0
    head = (_("NAME"), _("ROLE"), _("SINCE"))
    for line in aligned([head, *((a.name, a.role.value, _when(a.created_at_s)) for a in accounts)]):
        say(line)
    return 0


def remove_account(args: argparse.Namespace) -> int:
    """Remove an account; whoever uses it is signed out at once."""
    removed = _in_book(lambda users: users.remove_account(args.name))
    text = _("{name} is removed and signed out.", name=args.name)
    return _removed(args, removed, text, f"There is no account {args.name!a}.")


# --- tokens -----------------------------------------------------------------------------------


def add_token(args: argparse.Namespace) -> int:
    """Make a read-only token and print it: the only time that it is shown."""
    token = _in_book(lambda users: users.add_token(args.name, time.time()))
    if isinstance(token, Problem):
        return fail(token, args.json)
    return _told(args, {"name": args.name, "token": token}, token)


def list_tokens(args: argparse.Namespace) -> int:
    """Print the names of the tokens."""
    tokens = _in_book(lambda users: users.tokens())
    if isinstance(tokens, Problem):
        return fail(tokens, args.json)
    if args.json:
        rows = [{"name": token.name, "created_at": iso(token.created_at_s)} for token in tokens]
        return _told(args, {"tokens": rows}, "")
    for line in aligned([(token.name, _when(token.created_at_s)) for token in tokens]):
        say(line)
    return 0


def remove_token(args: argparse.Namespace) -> int:
    """Revoke a token; it is refused from now on."""
    removed = _in_book(lambda users: users.remove_token(args.name))
    text = _("The token {name} is revoked.", name=args.name)
    return _removed(args, removed, text, f"There is no token {args.name!a}.")


# --- sessions ---------------------------------------------------------------------------------


def list_sessions(args: argparse.Namespace) -> int:
    """Print who is signed in."""
    sessions = _in_book(lambda users: users.sessions(time.time()))
    if isinstance(sessions, Problem):
        return fail(sessions, args.json)
    if args.json:
        rows = [
            {"number": s.number, "user": s.user, "role": s.role.value, "began_at": iso(s.began_at_s),
             "ends_at": iso(s.ends_at_s), "address": s.address, "agent": s.agent}
            for s in sessions
        ]  # fmt: skip
        return _told(args, {"sessions": rows}, "")
    table = [
        (str(s.number), s.user or _("(this computer)"), s.role.value, _when(s.began_at_s), s.address)
        for s in sessions
    ]
    for line in aligned([(_("NUMBER"), _("NAME"), _("ROLE"), _("SINCE"), _("FROM")), *table]):
        say(line)
    return 0


def end_session(args: argparse.Namespace) -> int:
    """Sign one browser out."""
    ended = _in_book(lambda users: users.end_session(args.number))
    text = _("Session {number} has ended.", number=args.number)
    return _removed(args, ended, text, f"There is no session {args.number}.")


def _when(at_s: float) -> str:
    return local_time(iso(at_s))


def _removed(args: argparse.Namespace, removed: bool | Problem, text: str, missing: str) -> int:
    if isinstance(removed, Problem):
        return fail(removed, args.json)
    if not removed:
        return fail(Problem(code=FaultCode.BAD_USAGE, about=missing), args.json)
    return _told(args, {"removed": True}, text)


def _told(args: argparse.Namespace, values: dict[str, object], text: str) -> int:
    if args.json:
        say_json(values)
    else:
        say(text)
    return 0
