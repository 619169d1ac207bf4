"""A real nats-server with the configuration that the program writes, on loopback, in a folder of the test."""

from __future__ import annotations

import asyncio
import shutil
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hivemind_worker.model.task import Problem
from hivemind_worker.pool.nats.authority import SERVER, Authority, make_authority
from hivemind_worker.pool.nats.credential import Credential
from hivemind_worker.pool.nats.enrolment import enrol, host
from hivemind_worker.pool.nats.server_config import ServerPlan

PROGRAM = shutil.which("nats-server") or "/usr/sbin/nats-server"
LIMIT_S = 20.0
PORTS_TRIED = 5


@dataclass
class Server:
    """One server and the keys of its pool."""

    authority: Authority
    config: Path
    process: asyncio.subprocess.Process

    async def end(self) -> None:
        if self.process.returncode is None:
            self.process.terminate()
        await asyncio.wait_for(self.process.wait(), LIMIT_S)

    async def restart(self) -> None:
        await self.end()
        started = await start(self.config)
        assert started is not None, "its port was taken meanwhile"
        self.process = started


async def start(config: Path) -> asyncio.subprocess.Process | None:
    """The server's process when it is ready; None when its port is taken."""
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "-c", str(config), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    said = []
    async with asyncio.timeout(LIMIT_S):
        async for line in process.stderr:
            said.append(line.decode())
            if "Server is ready" in said[-1]:
                break
        else:
            await process.wait()
            assert any("address already in use" in each for each in said), "".join(said)
            return None
    drain = asyncio.create_task(process.stderr.read())  # a full pipe would stop the server
    process._log = drain  # type: ignore[attr-defined]
    return process


@asynccontextmanager
async def running_server(folder: Path) -> AsyncIterator[Server]:
    """A server with keys made for it, ended at the end."""
    for _ in range(PORTS_TRIED):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        authority = make_authority(folder, [f"tls://127.0.0.1:{port}"], time.time)
        assert isinstance(authority, Authority), authority
        plan = ServerPlan(name="n1", host="127.0.0.1", port=port, folder=folder / SERVER)
        config = authority.write_server(plan, ["127.0.0.1"])
        process = await start(config)
        if process is not None:
            break
    else:
        raise AssertionError("no free port")
    server = Server(authority, config, process)
    try:
        yield server
    finally:
        await server.end()


class Admitting(Protocol):
    """A server or a cluster, with the keys of its pool."""

    authority: Authority


async def enrolled(server: Admitting, name: str, account: str = "") -> Credential:
    """A worker's credential, by invitation as people do it."""
    invited: asyncio.Future[Credential] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(host(server.authority, name, 60, invited.set_result, account))
    await asyncio.wait([waiting, invited], return_when=asyncio.FIRST_COMPLETED)
    credential = await enrol(await invited)
    assert isinstance(credential, Credential), credential
    member = await waiting
    assert not isinstance(member, Problem) and member.name == name
    return credential
