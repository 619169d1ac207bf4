"""A real nats-server of this computer, without keys, and pools on it: what the tests of the engine share."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from nats.aio.client import Client

from hivemind_worker.model.task import Problem
from hivemind_worker.pool.nats.connection import connect_here
from hivemind_worker.pool.nats.entrances import entrance
from hivemind_worker.pool.nats.layout import ARCHIVES, HELD_S
from hivemind_worker.pool.nats.pool import EnginePool
from tests.contract.local_pool import Pool
from tests.nats.server import LIMIT_S, PORTS_TRIED, start


@dataclass
class Here:
    """A server that listens on loopback."""

    address: str
    config: Path
    process: asyncio.subprocess.Process

    async def connect(self, ended: Callable[[], None]) -> Client | Problem:
        return await connect_here(self.address, on_close=ended)

    async def end(self) -> None:
        if self.process.returncode is None:
            self.process.terminate()
        await asyncio.wait_for(self.process.wait(), LIMIT_S)

    async def start_again(self) -> None:
        started = await start(self.config)
        assert started is not None, "its port was taken meanwhile"
        self.process = started


@asynccontextmanager
async def server_here(folder: Path, keep_bytes: int = 4 << 30) -> AsyncIterator[Here]:
    """A server with streams in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(PORTS_TRIED):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        config = folder / "here.conf"
        config.write_text(
            f'listen: "127.0.0.1:{port}"\nmax_payload: 1048576\n'
            f'jetstream: {{store_dir: "{folder / "jetstream"}", max_file_store: {keep_bytes}}}\n'
        )
        process = await start(config)
        if process is not None:
            break
    else:
        raise AssertionError("no free port")
    here = Here(f"nats://127.0.0.1:{port}", config, process)
    try:
        yield here
    finally:
        await here.end()


class PoolOnEngine(Pool):
    """A pool process on a server: all that the tests of the embedded pool do with it, they do here."""

    def __init__(self, folder: Path, here: Here | SecureHere) -> None:
        super().__init__(folder)
        self.here, self.held_s = here, HELD_S
        self.keep_bytes: int | None = None

    async def build(self) -> str | Problem:
        self.engine_pool = EnginePool(
            self.here.connect, self.folder, self.listen, charges=self.charges, clock=self.clock,
            monotonic=self.monotonic, held_s=self.held_s, keep_bytes=self.keep_bytes,
        )  # fmt: skip
        self.book, self.local = self.engine_pool.book, self.engine_pool.local
        return await self.engine_pool.start()

    async def end(self) -> None:
        await self.engine_pool.close()

    async def archives_kept(self) -> list[bytes]:
        found: dict[str, bytes] = {}
        for piece in await self.engine_pool.engine.all_of(ARCHIVES, ARCHIVES.subjects[0]):
            name = piece.subject.rpartition(".")[0]
            found[name] = found.get(name, b"") + piece.data
        return list(found.values())

    async def lose_archives(self) -> None:
        engine = self.engine_pool.engine
        for piece in await engine.all_of(ARCHIVES, ARCHIVES.subjects[0]):
            await engine.remove(ARCHIVES, piece.subject)


@asynccontextmanager
async def pool_on_engine(
    folder: Path, here: Here | SecureHere, *, held_s: float = HELD_S, keep_bytes: int | None = None
) -> AsyncIterator[PoolOnEngine]:
    """One process of a pool, ended whatever happens."""
    pool = PoolOnEngine(folder, here)
    pool.held_s, pool.keep_bytes = held_s, keep_bytes
    await pool.start()
    try:
        yield pool
    finally:
        await pool.stop()


class SecureHere:
    """A server with keys, as a pool process connects to it."""

    def __init__(self, address: str, credential: Path) -> None:
        self._connect = entrance(address, credential)

    async def connect(self, ended: Callable[[], None]) -> Client | Problem:
        return self._connect if isinstance(self._connect, Problem) else await self._connect(ended)


@asynccontextmanager
async def secure_pool(folder: Path, address: str, credential: Path) -> AsyncIterator[PoolOnEngine]:
    """One process of a pool on a server with keys."""
    async with pool_on_engine(folder, SecureHere(address, credential)) as pool:
        yield pool
