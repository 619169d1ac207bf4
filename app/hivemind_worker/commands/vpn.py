"""`vpn`: the pool's network, step by step as in the window: import, show, up, status, check, down, remove.

Works with and without a running worker; a running one is told, so that it does not bring up again
what was taken down by hand.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hivemind_worker.commands.layout import aligned
from hivemind_worker.commands.printing import fail, say, say_json
from hivemind_worker.commands.resolve import Resolved, resolve
from hivemind_worker.model.faults import FAULTS, FaultCode
from hivemind_worker.model.task import Problem

if TYPE_CHECKING:
    from hivemind_worker.model.vpn import Review, RungResult
    from hivemind_worker.vpn.tunnel import Tunnel

MARKS = {"passed": "  ok ", "failed": "FAIL ", "skipped": "  -  ", "waiting": " ... ", "not_checked": "     "}
READ_LIMIT = 1 << 20
FAILED = 1
WORKER_LIMIT_S = 75.0  # the system may ask its owner for a password meanwhile


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `vpn` and its steps."""
    parser = subparsers.add_parser("vpn", help="the pool's network")
    steps = parser.add_subparsers(required=True, metavar="STEP")
    _import = steps.add_parser("import", help="check a profile and put it in use; the one before it is kept")
    _import.add_argument("file", nargs="?", help="a WireGuard .conf file; - reads standard input")
    _import.add_argument("--site", metavar="URL", help="ask the pool's site for a profile instead")
    _import.add_argument("--wide", action="store_true", help="let the pool's whole network in")
    _import.add_argument("--try", dest="dry", action="store_true", help="only say what it would do")
    _step(_import, _import_profile)
    _step(steps.add_parser("show", help="what the kept profile does; keys are hidden"), _show)
    _step(steps.add_parser("key", help="make a key pair for a pool's owner who enrols by hand"), _key)
    _step(steps.add_parser("up", help="bring the tunnel up"), _up)
    _step(steps.add_parser("down", help="take the tunnel down"), _down)
    _step(steps.add_parser("status", help="how the tunnel is, by its last handshake"), _status)
    _step(steps.add_parser("check", help="eleven checks from the bottom up"), _check)
    _step(steps.add_parser("ports", help="who can reach the running worker"), _ports)
    auto = steps.add_parser("auto", help="whether it comes up by itself")
    auto.add_argument("on", choices=("on", "off"))
    _step(auto, _auto)
    _step(steps.add_parser("back", help="put the previous profile in use again"), _back)
    _step(steps.add_parser("remove", help="take the tunnel down and forget the profiles"), _remove)


Step = Callable[["Tunnel", Resolved, argparse.Namespace], Awaitable[int]]


def _step(parser: argparse.ArgumentParser, step: Step) -> None:
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(func=lambda args: _run(step, args))


def _run(step: Step, args: argparse.Namespace) -> int:
    resolved = resolve({})
    if isinstance(resolved, Problem):
        return fail(resolved, args.json)
    try:
        resolved.places.make()
    except OSError as error:
        return fail(
            Problem(code=FaultCode.NO_PERMISSION, about=f"{error.filename}: {error.strerror}"), args.json
        )
    return asyncio.run(_with_tunnel(step, resolved, args))


async def _with_tunnel(step: Step, resolved: Resolved, args: argparse.Namespace) -> int:
    from hivemind_worker.machine.interfaces import ipv4_addresses
    from hivemind_worker.nursery import NamedThread
    from hivemind_worker.vpn.tunnel import Tunnel
    from hivemind_worker.worker_node.vpn import INTERFACE, folder_of, member_of

    settings, files, names = resolved.settings, NamedThread("files"), NamedThread("names")
    tunnel = Tunnel(
        folder=folder_of(resolved.places.state), interface=settings.vpn_interface or INTERFACE,
        member=lambda: member_of(settings, settings.master_address), interfaces=ipv4_addresses,
        files=files, names=names,
    )  # fmt: skip
    try:
        return await step(tunnel, resolved, args)
    finally:
        await tunnel.close()
        files.close(wait=False)
        names.close(wait=False)


# --- the profile ------------------------------------------------------------------------------


async def _import_profile(tunnel: Tunnel, _resolved: Resolved, args: argparse.Namespace) -> int:
    content = await asyncio.get_running_loop().run_in_executor(None, _read, args)
    if isinstance(content, Problem):
        return fail(content, args.json)
    review = tunnel.review(content, args.wide) if args.dry else await tunnel.keep(content, args.wide)
    if isinstance(review, Problem):
        return fail(review, args.json)
    _print_review(review, args.json)
    if not review.usable:
        return FAULTS[FaultCode.BAD_PROFILE].exit_code
    if not args.json and not args.dry:
        say("Kept. Bring it up with: hivemind-worker vpn up")
    return 0


def _read(args: argparse.Namespace) -> bytes | Problem:
    from hivemind_worker.vpn.site import ask_site, client_name

    if (args.file is None) == (args.site is None):
        return Problem(code=FaultCode.BAD_USAGE, about="Name a file, or a site with --site.")
    if args.site is not None:
        return ask_site(args.site, client_name(platform.node()))
    try:
        if args.file == "-":
            return sys.stdin.buffer.read(READ_LIMIT)
        with Path(args.file).open("rb") as file:
            return file.read(READ_LIMIT)
    except OSError as error:
        return Problem(code=FaultCode.BAD_PROFILE, about=f"{args.file}: {error.strerror}")


def _print_review(review: Review, as_json: bool) -> None:
    from hivemind_worker.presentation.vpn import finding_words, fingerprint, review_report, row_words

    if as_json:
        say_json(review_report(review))
        return
    if not review.usable:
        for finding in review.findings:
            if finding.refuses:
                print(finding_words(finding), file=sys.stderr)
        print("Nothing was changed.", file=sys.stderr)
        return
    for line in aligned([("Setting", "In the file", "Will be used", ""), *map(row_words, review.rows)]):
        say(line)
    for finding in review.findings:
        say(finding_words(finding))
    say(f"The pool's key, to compare with its owner: {fingerprint(review.pool_key)}")


async def _show(tunnel: Tunnel, _resolved: Resolved, args: argparse.Namespace) -> int:
    from hivemind_worker.vpn.profile import Profile, render

    profile = await tunnel.profile()
    if not isinstance(profile, Profile):
        return fail(profile or Problem(code=FaultCode.NO_PROFILE), args.json)
    wide = profile.peers[0].allowed[0].prefixlen < 32
    _print_review(tunnel.review(render(profile).encode(), wide), args.json)
    return 0


async def _key(tunnel: Tunnel, _resolved: Resolved, args: argparse.Namespace) -> int:
    public = await tunnel.new_key()
    if isinstance(public, Problem):
        return fail(public, args.json)
    if args.json:
        say_json({"public_key": public})
    else:
        say(public)
        print("Send this public key to the pool's owner; import the file that comes back.", file=sys.stderr)
    return 0


async def _back(tunnel: Tunnel, _resolved: Resolved, args: argparse.Namespace) -> int:
    return _done(await tunnel.go_back(), "The previous profile is in use again.", args)


async def _remove(tunnel: Tunnel, _resolved: Resolved, args: argparse.Namespace) -> int:
    return _done(await tunnel.remove(), "The tunnel is down and its profiles are forgotten.", args)


# --- the tunnel -------------------------------------------------------------------------------


def _tell_worker(verb: str) -> Problem | None:
    """Have a running worker do it; NOT_RUNNING's problem when there is none."""
    from hivemind_worker.commands.remote import ask_worker

    told = ask_worker(f"/api/v1/vpn/{verb}", post=True, limit_s=WORKER_LIMIT_S)
    return told if isinstance(told, Problem) else None


async def _by_worker_or_here(verb: str, here: Callable[[], Awaitable[Problem | None]]) -> Problem | None:
    told = await asyncio.get_running_loop().run_in_executor(None, _tell_worker, verb)
    if isinstance(told, Problem) and told.code is FaultCode.NOT_RUNNING:
        return await here()
    return told if isinstance(told, Problem) else None


async def _up(tunnel: Tunnel, _resolved: Resolved, args: argparse.Namespace) -> int:
    problem = await _by_worker_or_here("up", tunnel.up)
    return _done(problem, "The tunnel is up. See how it is with: hivemind-worker vpn check", args)


async def _down(tunnel: Tunnel, _resolved: Resolved, args: argparse.Namespace) -> int:
    return _done(await _by_worker_or_here("down", tunnel.down), "The tunnel is down.", args)


def _done(problem: Problem | None, text: str, args: argparse.Namespace) -> int:
    if problem is not None:
        return fail(problem, args.json)
    if args.json:
        say_json({"success": True})
    else:
        say(text)
    return 0


async def _status(tunnel: Tunnel, resolved: Resolved, args: argparse.Namespace) -> int:
    from hivemind_worker.presentation.vpn import fact_rows, state_words, vpn_row

    view = await tunnel.look(resolved.settings.vpn_auto)
    now_s = time.time()
    if args.json:
        say_json(vpn_row(view, now_s))
        return 0
    title, sentence, step = state_words(view, now_s)
    say(f"{title}: {sentence}")
    if step:
        say(step)
    for line in aligned(fact_rows(view, now_s)):
        say(f"  {line}")
    return 0


async def _check(tunnel: Tunnel, resolved: Resolved, args: argparse.Namespace) -> int:
    from hivemind_worker.nursery import NamedThread
    from hivemind_worker.pool.address import parse_address
    from hivemind_worker.pool.probe import clock_of_pool, grpc_status
    from hivemind_worker.pool.session import Credentials
    from hivemind_worker.presentation.vpn import ladder_failure, ladder_rows
    from hivemind_worker.store.secrets import login_store
    from hivemind_worker.vpn.ladder import Ladder, Probes

    pool = parse_address(resolved.settings.master_address)
    if isinstance(pool, Problem):
        return fail(pool, args.json)

    async def clock() -> float | None:
        login = login_store(resolved.places).find(resolved.settings.master_address)
        if login is None:
            return None
        credentials = Credentials(user=login.user, password=login.password)
        return await clock_of_pool(str(tunnel.member().pool), pool.port, credentials)

    files = NamedThread("checks")
    try:
        probes = Probes(port=pool.port, grpc=grpc_status, clock=clock)
        results = await Ladder(tunnel, probes, files).climb(lambda result: _tell(result, args.json))
    finally:
        files.close(wait=False)
    failure = ladder_failure(results)
    if args.json:
        say_json({"passed": failure is None, "checks": ladder_rows(results)})
    return FAILED if failure else 0


def _tell(result: RungResult, as_json: bool) -> None:
    from hivemind_worker.presentation.vpn import rung_row

    row = rung_row(result)
    if as_json or row["state"] == "waiting":
        return
    say(f"{MARKS[str(row['state'])]}{row['number']:>3}  {row['title']}: {row['text']}")
    if row["action"]:
        say(f"          {row['action']}")


async def _ports(_tunnel: Tunnel, _resolved: Resolved, args: argparse.Namespace) -> int:
    from hivemind_worker.commands.remote import ask_worker

    told = await asyncio.get_running_loop().run_in_executor(None, ask_worker, "/api/v1/vpn/ports")
    if isinstance(told, Problem):
        return fail(told, args.json)
    if args.json:
        say_json(told)
        return 0
    rows = told["ports"]
    assert isinstance(rows, list)
    shown = [
        (row["title"], f"{row['address']}:{row['port']}", row["vpn_words"], row["lan_words"]) for row in rows
    ]
    for line in aligned([("Port", "Listens on", "From the VPN", "From your network"), *shown]):
        say(line)
    return 0


async def _auto(_tunnel: Tunnel, resolved: Resolved, args: argparse.Namespace) -> int:
    from hivemind_worker.store.settings_file import change

    problems = change(resolved.places.settings_file, {"vpn_auto": args.on == "on"})
    if not problems:
        await asyncio.get_running_loop().run_in_executor(None, _tell_worker, f"auto_{args.on}")
    text = "It comes up by itself." if args.on == "on" else "It comes up only when you say so."
    return _done(problems[0] if problems else None, text, args)
