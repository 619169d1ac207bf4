"""`pool worker`: who may connect to a pool on NATS. The configuration of its servers: `pool_nats_config`."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hivemind_worker.commands.layout import aligned
from hivemind_worker.commands.printing import fail, plain, say, say_json
from hivemind_worker.commands.resolve import home_places, pool_folder
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.moments import when

if TYPE_CHECKING:
    from hivemind_worker.pool.nats.authority import Authority
    from hivemind_worker.pool.nats.credential import Credential

MINUTES, MOST_MINUTES = 10, 24 * 60
INVITED = (
    "Send this to the owner of {name}, by a way that nobody else reads. It lets one computer in, "
    "within {minutes} minutes and while this command runs:\n\n{invitation}\n\n"
    "There: hivemind-worker pool worker join"
)
NOT_HEARD = (
    "It is written down, but the servers have not heard of it. Run the same command again when they are up."
)


OF_OWNER = {
    FaultCode.POOL_UNREACHABLE: FaultCode.SERVER_UNREACHABLE,
    FaultCode.BAD_CREDENTIAL: FaultCode.BAD_POOL_CREDENTIAL,
}


def add_parsers(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `pool worker invite|join|list|revoke`."""
    _add_worker_parsers(verbs.add_parser("worker", help="let workers in by invitation, shut one out"))


def _add_worker_parsers(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(metavar="invite|join|list|revoke", required=True)
    invite = verbs.add_parser("invite", help="let one worker in: prints an invitation and waits for it")
    invite.add_argument("name", metavar="NAME", help="a to z, 0 to 9 and -")
    invite.add_argument(
        "--account", default="", metavar="NAME",
        help="to which the worker belongs: is paid, and lists and pauses it (default: that of its own name)",
    )  # fmt: skip
    invite.add_argument(
        "--minutes", type=int, default=MINUTES, help=f"how long it is good (default: {MINUTES})"
    )
    invite.set_defaults(func=guarded(invite_worker))
    join = verbs.add_parser("join", help="take up an invitation on the worker's computer")
    join.add_argument("--invitation-file", metavar="FILE", help="file with it; - reads standard input")
    join.add_argument("--replace", action="store_true", help="give up the credential that is kept here")
    join.set_defaults(func=guarded(join_pool))
    listing = verbs.add_parser("list", help="all workers that were let in")
    listing.set_defaults(func=guarded(list_workers))
    revoke = verbs.add_parser("revoke", help="shut a worker out: ends its connection at once")
    revoke.add_argument("name", metavar="NAME")
    revoke.set_defaults(func=guarded(revoke_worker))
    for each in (invite, join, listing, revoke):
        each.add_argument("--json", action="store_true")


def guarded(verb: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """A file that cannot be written or read ends the verb with its reason."""

    def run(args: argparse.Namespace) -> int:
        try:
            return verb(args)
        except BrokenPipeError:
            raise  # whoever read the output has gone: no trouble with a file
        except OSError as error:
            about = f"{error.filename or ''} {error.strerror or error}".strip()
            return fail(Problem(code=FaultCode.NO_PERMISSION, about=about), args.json)
        except ValueError as error:
            return fail(Problem(code=FaultCode.BAD_CREDENTIAL, about=str(error)), args.json)

    return run


def authority_folder() -> Path:
    """Where the owner of a pool keeps its keys: HIVEMIND_HOME/pool/nats, or in the data folder."""
    return pool_folder() / "nats"


def pool_credential_file() -> Path:
    """What a pool process shows to the NATS server; it signs nothing, and may lie on another computer."""
    return authority_folder() / "pool-process.json"


def credential_file() -> Path:
    """Where a worker keeps its credential for such a pool, mode 0600."""
    return home_places().pool_credential


def for_owner(problem: Problem) -> Problem:
    """What the pool's owner is told where a worker would be told of its pool."""
    return replace(problem, code=OF_OWNER.get(problem.code, problem.code))


def _authority() -> Authority | Problem:
    from hivemind_worker.pool.nats.authority import open_authority

    return open_authority(authority_folder(), time.time)


def invite_worker(args: argparse.Namespace) -> int:
    """Print an invitation and wait until a worker has come with it."""
    from hivemind_worker.pool.nats.enrolment import host

    if not 1 <= args.minutes <= MOST_MINUTES:
        about = f"--minutes is a number from 1 to {MOST_MINUTES}."
        return fail(Problem(code=FaultCode.BAD_USAGE, about=about), args.json)
    authority = _authority()
    if isinstance(authority, Problem):
        return fail(authority, args.json)
    told = asyncio.run(
        host(authority, args.name, args.minutes * 60, lambda given: _show(given, args), args.account)
    )
    if isinstance(told, Problem):
        return fail(for_owner(told), args.json)
    if args.json:
        say_json({"event": "joined", "name": told.name, "account": told.owner, "key": told.public})
    else:
        say(f"{told.name} is in the pool, as a machine of the account {told.owner}.")
    return 0


def _show(given: Credential, args: argparse.Namespace) -> None:
    invitation = given.as_invitation()
    if args.json:
        say_json({"event": "invited", "name": args.name, "invitation": invitation})
    else:
        say(INVITED.format(name=args.name, minutes=args.minutes, invitation=invitation))


def join_pool(args: argparse.Namespace) -> int:
    """Get a credential with an invitation and keep it."""
    from hivemind_worker.pool.nats.credential import from_invitation

    kept = credential_file()
    if kept.exists() and not args.replace:
        about = f"A credential is kept here already ({kept}); to give it up, add --replace."
        return fail(Problem(code=FaultCode.BAD_USAGE, about=about), args.json)
    home_places().make()  # before the one use of the invitation is spent
    text = _invitation_text(args.invitation_file)
    invitation = text if isinstance(text, Problem) else from_invitation(text)
    if isinstance(invitation, Problem):
        return fail(invitation, args.json)
    joined = asyncio.run(_join(invitation, kept))
    if isinstance(joined, Problem):
        return fail(joined, args.json)
    if args.json:
        say_json({"name": joined.name, "servers": list(joined.servers), "credential": str(kept)})
    else:
        say(
            f"This computer is in the pool as {joined.name}; its server accepts the credential.\nKept: {kept}"
        )
    return 0


def _invitation_text(file: str | None) -> str | Problem:
    """From a file, standard input or the terminal; never from the command line, which others can see."""
    if file == "-":
        return sys.stdin.read()
    if file is not None:
        return Path(file).read_text(encoding="utf-8")
    if not sys.stdin.isatty():
        about = "No terminal to ask for the invitation: use --invitation-file."
        return Problem(code=FaultCode.BAD_USAGE, about=about)
    return getpass.getpass("Invitation (not shown): ")


async def _join(invitation: Credential, path: Path) -> Credential | Problem:
    """The new credential, kept before it is tried: it is given only once."""
    from hivemind_worker.pool.nats.connection import connect
    from hivemind_worker.pool.nats.credential import keep
    from hivemind_worker.pool.nats.enrolment import enrol

    made = await enrol(invitation)
    if isinstance(made, Problem):
        return made
    keep(path, made)
    client = await connect(made)
    if isinstance(client, Problem):
        return client
    await client.close()
    return made


def list_workers(args: argparse.Namespace) -> int:
    """Print all that were let in, those shut out with the time of it."""
    authority = _authority()
    if isinstance(authority, Problem):
        return fail(authority, args.json)
    members = authority.members()
    if args.json:
        for each in members:
            say_json(
                {"name": each.name, "account": each.owner, "key": each.public, "joined_at": each.joined_at_s,
                 "revoked_at": each.revoked_at_s or None}
            )  # fmt: skip
        return 0
    now = time.time()
    rows = [
        (
            each.name,
            each.owner,
            when(each.joined_at_s, now),
            when(each.revoked_at_s, now) if each.revoked_at_s else "",
        )
        for each in members
    ]
    say("\n".join(aligned([("NAME", "ACCOUNT", "JOINED", "SHUT OUT"), *rows])) if rows else "No worker yet.")
    return 0


def revoke_worker(args: argparse.Namespace) -> int:
    """Shut a worker out, here and at the servers."""
    from hivemind_worker.pool.nats.enrolment import tell_servers

    authority = _authority()
    if isinstance(authority, Problem):
        return fail(authority, args.json)
    gone = authority.revoke(args.name)
    if isinstance(gone, Problem):
        return fail(gone, args.json)
    untold = asyncio.run(tell_servers(authority))
    if untold is not None:
        if not args.json:
            print(plain(NOT_HEARD), file=sys.stderr, flush=True)
        return fail(for_owner(untold), args.json)
    if args.json:
        say_json({"name": gone.name, "key": gone.public, "revoked_at": gone.revoked_at_s})
    else:
        say(f"{gone.name} is shut out of the pool.")
    return 0
