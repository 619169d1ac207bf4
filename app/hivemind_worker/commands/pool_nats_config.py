"""`pool nats-config`: the keys of a pool on NATS, and the configuration of one server or of a cluster."""

from __future__ import annotations

import argparse
import re
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hivemind_worker.commands.pool_nats import authority_folder, guarded, pool_credential_file
from hivemind_worker.commands.printing import fail, say, say_json
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem

if TYPE_CHECKING:
    from hivemind_worker.pool.nats.authority import Authority
    from hivemind_worker.pool.nats.server_config import ServerPlan

PORT, CLUSTER_PORT = 4222, 6222
CLUSTER_SIZES = (3, 5)
KEEP_GB, MOST_GB = 50, 1_000_000
EVERYWHERE = "0.0.0.0"  # noqa: S104 - asked for by naming hosts
SERVERS = "servers"
CLUSTER_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}")


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `pool nats-config`."""
    config = verbs.add_parser("nats-config", help="make the keys and the configuration of a NATS server")
    config.add_argument(
        "--host", action="append", default=[], metavar="NAME",
        help="by which workers reach the server, once for each name or address (default: this computer only)",
    )  # fmt: skip
    config.add_argument("--port", type=int, default=PORT, help=f"default: {PORT}")
    config.add_argument(
        "--keep-gb", type=int, default=KEEP_GB, help=f"most that its streams may keep (default: {KEEP_GB})"
    )
    config.add_argument(
        "--cluster", metavar="NAME", default="",
        help="one server on each --host (three or five), which keep the same: one may be lost, of five two",
    )  # fmt: skip
    config.add_argument(
        "--cluster-port", type=int, default=CLUSTER_PORT,
        help=f"by which they reach one another (default: {CLUSTER_PORT})",
    )  # fmt: skip
    config.add_argument(
        "--lies-in", metavar="FOLDER", type=Path,
        help="where a server's folder will lie on its computer (default: where it is written)",
    )  # fmt: skip
    config.add_argument("--json", action="store_true")
    config.set_defaults(func=guarded(write_config))


def write_config(args: argparse.Namespace) -> int:
    """Write the server's configuration; keys that are there stay."""
    from hivemind_worker.pool.nats.authority import make_authority
    from hivemind_worker.pool.nats.credential import keep

    problem = _misfit(args)
    if problem is not None:
        return fail(problem, args.json)
    folder, hosts = authority_folder(), args.host or ["127.0.0.1"]
    made = make_authority(folder, [f"tls://{_in_address(each)}:{args.port}" for each in hosts], time.time)
    if isinstance(made, Problem):
        return fail(made, args.json)
    plans = _plans_of_cluster(args) if args.cluster else [(_plan(args), hosts)]
    configs = [
        made.write_server(plan, [*names, "localhost", "127.0.0.1", "::1"]) for plan, names in plans
    ]  # fmt: skip
    keep(pool_credential_file(), made.for_pool(sum(plan.keep_bytes for plan, _ in plans)))
    if args.json:
        say_json({"config": str(configs[0]), "configs": [*map(str, configs)], "servers": list(made.servers)})
    else:
        _tell_config(args, configs, made)
    return 0


def _plan(args: argparse.Namespace) -> ServerPlan:
    from hivemind_worker.pool.nats.authority import SERVER
    from hivemind_worker.pool.nats.server_config import GIB, ServerPlan

    return ServerPlan(
        name=socket.gethostname() or "pool", host=EVERYWHERE if args.host else "127.0.0.1", port=args.port,
        folder=authority_folder() / SERVER, keep_bytes=args.keep_gb * GIB, lies_in=args.lies_in,
    )  # fmt: skip


def _plans_of_cluster(args: argparse.Namespace) -> list[tuple[ServerPlan, list[str]]]:
    """For each server its plan and the names in its certificate."""
    from hivemind_worker.pool.local.limits import is_loopback
    from hivemind_worker.pool.nats.server_config import Cluster

    plans, routes = [], {each: f"{_in_address(each)}:{args.cluster_port}" for each in args.host}
    for each in args.host:
        host = each if is_loopback(each) else EVERYWHERE
        others = tuple(route for name, route in routes.items() if name != each)
        cluster = Cluster(name=args.cluster, host=_in_address(host), port=args.cluster_port, others=others)
        plan = replace(
            _plan(args), name=each.replace(":", "-"), host=_in_address(host), cluster=cluster,
            folder=authority_folder() / SERVERS / each.replace(":", "-"),
        )  # fmt: skip
        plans.append((plan, [each]))
    return plans


def _tell_config(args: argparse.Namespace, configs: list[Path], made: Authority) -> None:
    lies_in, several = args.lies_in, " --replicas 3" if args.cluster else ""
    say("Written: " + ", ".join(map(str, configs)))
    say(f"Workers will reach it at {', '.join(made.servers)}")
    for host, config in zip(args.host or ["this computer"], configs, strict=False):
        where = f"On {host}: " if args.cluster else ""
        moved = f"copy {config.parent} to {lies_in}, then: " if lies_in else ""
        say(f"{where}{moved}nats-server -c {lies_in / config.name if lies_in else config}")
    say(f"Start the pool with: hivemind-worker pool --engine {made.servers[0]}{several}")
    say(f"Keep {made.folder} to yourself and make copies: whoever has it can let workers in.")


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _misfit(args: argparse.Namespace) -> Problem | None:
    from hivemind_worker.pool.local.limits import HOST

    wrong = [each for each in args.host if not HOST.fullmatch(each)]
    if wrong:
        return Problem(code=FaultCode.BAD_ADDRESS, about=wrong[0])
    usage = _misuse(args)
    return Problem(code=FaultCode.BAD_USAGE, about=usage) if usage else None


def _misuse(args: argparse.Namespace) -> str | None:
    if not (1 <= args.port <= 65535 and 1 <= args.cluster_port <= 65535):
        return "A port is a number from 1 to 65535."
    if not 1 <= args.keep_gb <= MOST_GB:
        return f"--keep-gb is a number from 1 to {MOST_GB}."
    if args.lies_in is not None and not args.lies_in.is_absolute():
        return "--lies-in is a whole path, from the root."
    return _misuse_of_cluster(args.cluster, args.host) if args.cluster else None


def _misuse_of_cluster(name: str, hosts: list[str]) -> str | None:
    if not CLUSTER_NAME.fullmatch(name):
        return "The name of a cluster is of letters, digits, - and _."
    if len(hosts) not in CLUSTER_SIZES or len(set(hosts)) != len(hosts):
        return "A cluster has three servers or five: name each with --host, one on each computer."
    return None
