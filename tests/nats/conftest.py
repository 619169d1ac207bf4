"""A pool on a server of its own, for the tests that look at one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.nats.here import Here, PoolOnEngine, pool_on_engine, server_here


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    async with server_here(tmp_path / "server") as running:
        yield running


@pytest.fixture
async def pool(here: Here, tmp_path: Path) -> AsyncIterator[PoolOnEngine]:
    async with pool_on_engine(tmp_path / "pool", here) as running:
        yield running
