"""Three servers on loopback that keep the same, as `pool nats-config --cluster` configures them."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from hivemind_worker.pool.nats.authority import Authority, open_authority
from tests.e2e.process import command
from tests.nats.server import LIMIT_S, PROGRAM

HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


@dataclass
class ClusterServers:
    """A running cluster; `home` is its owner's."""

    home: Path
    addresses: list[str]
    configs: list[Path]
    authority: Authority
    processes: list[asyncio.subprocess.Process]
    between: int  # port by which they reach one another

    @property
    def credential(self) -> Path:
        """Of the pool's own processes."""
        return self.home / "pool" / "nats" / "pool-process.json"

    async def start(self, number: int) -> None:
        log = (self.configs[number].parent / "log").open("ab")
        with log:
            self.processes[number:number + 1] = [
                await asyncio.create_subprocess_exec(PROGRAM, "-c", str(self.configs[number]), stderr=log)
            ]  # fmt: skip

    async def listens(self, number: int) -> None:
        """Wait until a server takes connections."""
        port = int(self.addresses[number].rpartition(":")[2])
        async with asyncio.timeout(LIMIT_S):
            while _is_free(HOSTS[number], port):
                await asyncio.sleep(0.05)

    async def end(self, number: int) -> None:
        """As its owner does."""
        process = self.processes[number]
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), LIMIT_S)

    async def kill(self, number: int) -> None:
        """As a power cut."""
        process = self.processes[number]
        if process.returncode is None:
            process.kill()
        await asyncio.wait_for(process.wait(), LIMIT_S)


def free_ports() -> tuple[int, int]:
    """Two ports that are free on each address."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            two.bind(("127.0.0.1", 0))
            found = one.getsockname()[1], two.getsockname()[1]
        if all(_is_free(host, port) for host in HOSTS for port in found):
            return found


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as trial:
        try:
            trial.bind((host, port))
        except OSError:
            return False
    return True


@asynccontextmanager
async def cluster(home: Path) -> AsyncIterator[ClusterServers]:
    """A cluster that has just been started; its owner's home is `home`."""
    port, between = free_ports()
    hosts = [word for host in HOSTS for word in ("--host", host)]
    words = ("--port", str(port), "--cluster-port", str(between), "--json")
    code, out, err = await command(home, "pool", "nats-config", "--cluster", "hive", *hosts, *words)
    assert code == 0, err
    told = json.loads(out)
    authority = open_authority(home / "pool" / "nats", time.time)
    assert isinstance(authority, Authority)
    configs = [Path(each) for each in told["configs"]]
    made = ClusterServers(home, told["servers"], configs, authority, [], between)
    try:
        for number in range(len(HOSTS)):
            await made.start(number)
        await asyncio.gather(*(made.listens(number) for number in range(len(HOSTS))))
        yield made
    finally:
        for number in range(len(made.processes)):
            await made.kill(number)
