"""`pool servers`: whether each server of a cluster has everything, so that another one may be stopped."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence

from hivemind_worker.commands.layout import aligned
from hivemind_worker.commands.pool_nats import for_owner, pool_credential_file
from hivemind_worker.commands.printing import fail, say, say_json
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.pool_figures import Keeper
from hivemind_worker.model.task import Problem

LOOKS, PAUSE_S = 2, 1.0
"""A server that has just come back may be called current before it is asked for the first time."""
ALONE = "One server keeps everything: there is no other to wait for."
WAIT = "Wait until it has: stop no other server, and start those that are missing."


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `pool servers`."""
    parser = verbs.add_parser("servers", help="whether each server of a cluster has everything")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(func=list_servers)


def list_servers(args: argparse.Namespace) -> int:
    """Print the servers; 0 when each of them has everything, else 1."""
    if not args.engine:
        about = "Say which: hivemind-worker pool --engine tls://HOST:PORT servers"
        return fail(Problem(code=FaultCode.BAD_USAGE, about=about), args.json)
    found = asyncio.run(_look(args))
    if isinstance(found, Problem):
        return fail(for_owner(found), args.json)
    servers = {name: [each for each in found if each.server == name] for name in sorted(_names(found))}
    is_whole = all(each.is_current for each in found)
    if args.json:
        rows = [_row(name, of) for name, of in servers.items()]
        say_json({"up_to_date": is_whole, "servers": rows})
    else:
        _tell(servers, is_whole)
    return 0 if is_whole else 1


def _names(found: Sequence[Keeper]) -> set[str]:
    return {each.server for each in found}


def _row(name: str, of: Sequence[Keeper]) -> dict[str, object]:
    missing = [each.stream for each in of if not each.is_current]
    behind = sum(each.behind for each in of)
    return {"name": name, "leads": sum(each.leads for each in of), "missing": missing, "behind": behind}


def _tell(servers: dict[str, list[Keeper]], is_whole: bool) -> None:
    rows = [("SERVER", "LEADS", "UP TO DATE")]
    for name, of in servers.items():
        missing = [each for each in of if not each.is_current]
        behind = sum(each.behind for each in missing)
        no = f"no: {len(missing)} of {len(of)} streams, {behind} writes behind"
        rows.append((name, str(sum(each.leads for each in of)), no if missing else "yes"))
    if servers:
        say("\n".join(aligned(rows)))
    say((f"Each of {len(servers)} servers has everything." if servers else ALONE) if is_whole else WAIT)


async def _look(args: argparse.Namespace) -> list[Keeper] | Problem:
    from hivemind_worker.pool.nats.engine import Engine, why_not
    from hivemind_worker.pool.nats.entrances import entrance
    from hivemind_worker.pool.nats.layout import STREAMS

    connect = entrance(args.engine, args.engine_credential or pool_credential_file())
    if isinstance(connect, Problem):
        return connect
    engine, found = Engine(connect, replicas=args.replicas), []
    problem = await engine.open()
    if problem is not None:
        return problem
    try:
        for look in range(LOOKS):
            await asyncio.sleep(PAUSE_S if look else 0)
            found = [each for stream in STREAMS for each in await engine.keepers(stream)]
            if not all(each.is_current for each in found):
                break
    except OSError as error:
        return why_not(error)
    finally:
        await engine.close()
    return found
