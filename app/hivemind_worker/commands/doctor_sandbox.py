"""`doctor --sandbox`: has a program of ours try to get out of each sandbox that tasks could run in here."""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hivemind_worker.commands.printing import fail, say, say_json
from hivemind_worker.commands.resolve import Resolved, resolve
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.faults import words
from hivemind_worker.runtimes.probe import Finding, Surroundings, knock

if TYPE_CHECKING:
    from hivemind_worker.engine.ports import Runtime

METADATA = ("169.254.169.254", 80)
USUAL_POOL = ("10.0.0.1", 50051)
BRIDGE = "172.17.0.1"  # this computer, as Docker's usual bridge shows it
HOST_PORTS = (22, 2375, 5000, 50053)
ROUTER_PORTS = (53, 80)
TITLES = {"wasm": "The built-in sandbox", "docker": "Docker"}
CANARY_NAME = "HIVEMIND_CANARY"


@dataclass(slots=True)
class _Tally:
    doors: int = 0
    open: int = 0


def run(as_json: bool) -> int:
    """Print each door as it has been tried; exit code 1 when one is open or no sandbox could be tried."""
    resolved = resolve({})
    if isinstance(resolved, Problem):
        return fail(resolved, as_json)
    try:
        resolved.places.make()
    except OSError as error:
        from hivemind_worker.model.faults import FaultCode

        return fail(
            Problem(code=FaultCode.NO_PERMISSION, about=f"{error.filename}: {error.strerror}"), as_json
        )
    return asyncio.run(_try_all(resolved, as_json))


async def _try_all(resolved: Resolved, as_json: bool) -> int:
    around = await _surroundings(resolved)
    tallies = []
    for name in ("wasm", "docker"):
        async with _runtime(name, resolved) as (runtime, why_not):
            if runtime is None:
                _skip(name, why_not, as_json)
                continue
            tallies.append(await _try_one(runtime, around, resolved.places.data, as_json))
    if not as_json:
        open_doors = sum(tally.open for tally in tallies)
        say(f"\n{sum(tally.doors for tally in tallies)} doors tried, {open_doors or 'none'} open.")
    return 0 if tallies and not any(tally.open for tally in tallies) else 1


async def _try_one(runtime: Runtime, around: Surroundings, data: Path, as_json: bool) -> _Tally:
    tally = _Tally()
    if not as_json:
        say(f"{TITLES[runtime.name]} ({(await runtime.view()).detail})")
    with tempfile.TemporaryDirectory(prefix="probe-", dir=data) as folder:
        async for finding in knock(runtime, around, Path(folder)):
            tally.doors += 1
            tally.open += not finding.closed
            _show(runtime.name, finding, as_json)
    return tally


def _show(runtime: str, finding: Finding, as_json: bool) -> None:
    if as_json:
        say_json({"runtime": runtime, **finding.as_json()})
    else:
        say(f"{'  ok ' if finding.closed else 'OPEN '} {finding.title}: {finding.seen}")


def _skip(name: str, problem: Problem | None, as_json: bool) -> None:
    text, next_step = words(problem) if problem is not None else ("", "")
    if as_json:
        say_json({"runtime": name, "skipped": text})
    else:
        say(f"{TITLES[name]} was not tried. {text} {next_step}")


@asynccontextmanager
async def _runtime(name: str, resolved: Resolved) -> AsyncIterator[tuple[Runtime | None, Problem | None]]:
    """The sandbox as a worker with these settings would have it, or why there is none; ended when left."""
    runtime = _wasm(resolved) if name == "wasm" else _docker(resolved)
    if runtime is None:
        yield None, None
        return
    try:
        problem = await _prepare(runtime)
        yield (None, problem) if problem is not None else (runtime, None)
    finally:
        await runtime.close()


def _wasm(resolved: Resolved) -> Runtime:
    from hivemind_worker.machine.sampler import available_memory_bytes
    from hivemind_worker.runtimes.wasm.runtime import WasmRuntime

    return WasmRuntime(resolved.places.sandbox, available_memory_bytes)


def _docker(resolved: Resolved) -> Runtime | None:
    from hivemind_worker.places import resources
    from hivemind_worker.runtimes.docker.rules import docker_rules
    from hivemind_worker.runtimes.docker.runtime import DockerRuntime

    if not resolved.settings.docker_enabled:
        return None
    folder = resolved.places.data / "docker"
    # Another name for its containers than a worker of this home has, which would take them for left-overs.
    return DockerRuntime(
        folder / "doctor", docker_rules(resolved.settings), seccomp=resources() / "seccomp.json"
    )


async def _prepare(runtime: Runtime) -> Problem | None:
    from hivemind_worker.runtimes.wasm.runtime import WasmRuntime

    if isinstance(runtime, WasmRuntime):
        return await runtime.prepare()
    view = await runtime.view()
    return None if view.ready else view.problem


def _is_far(address: str) -> bool:
    return not address.startswith("127.")


async def _surroundings(resolved: Resolved) -> Surroundings:
    """What must not be reached from inside: this computer's addresses, its router, the pool."""
    from hivemind_worker.machine.interfaces import gateways, ipv4_addresses
    from hivemind_worker.nursery import NamedThread
    from hivemind_worker.pool.address import parse_address
    from hivemind_worker.pool.address import resolve as look_up

    pool, thread = parse_address(resolved.settings.master_address), NamedThread("names")
    try:
        pools = () if isinstance(pool, Problem) else await look_up(pool.host, thread)
    finally:
        thread.close(wait=False)
    # Loopback is each sandbox's own; a list that is empty would leave a door untried.
    own = sorted({far for found in ipv4_addresses().values() for far in found if _is_far(far)}) or [BRIDGE]
    vpn = (
        [(address, pool.port) for address in pools if _is_far(address)]
        if not isinstance(pool, Problem)
        else []
    )
    ports = sorted({*HOST_PORTS, resolved.settings.node_port, resolved.settings.web_port} - {0})
    canary = secrets.token_hex(16)
    os.environ[CANARY_NAME] = canary  # nothing of this process's surroundings may be seen inside
    return Surroundings(
        host_name=platform.node(), canary=canary,
        addresses={
            "host": [(address, port) for address in own for port in ports][:32],
            "lan": [(router, port) for router in gateways() for port in ROUTER_PORTS],
            "metadata": [METADATA],
            "pool": vpn or [USUAL_POOL],
        },
    )  # fmt: skip
