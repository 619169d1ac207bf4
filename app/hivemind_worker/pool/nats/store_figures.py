"""How full a pool's NATS server is. Fits `pool.figures.Store`."""

from __future__ import annotations

from hivemind_worker.model.pool_figures import StreamFigures
from hivemind_worker.pool.nats.engine import Engine
from hivemind_worker.pool.nats.layout import ARCHIVES, STREAMS


class NatsStore:
    """The streams of the pool, and what its account may keep."""

    kind = "nats"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def archives_bytes(self) -> int:
        """Of tasks and results."""
        return (await self._engine.stream_figures(ARCHIVES)).held_bytes

    async def streams(self) -> tuple[StreamFigures, ...]:
        """Each stream of the pool."""
        return tuple([await self._engine.stream_figures(stream) for stream in STREAMS])

    async def room(self) -> tuple[int, int | None]:
        """On the disks of the servers."""
        return await self._engine.room()
