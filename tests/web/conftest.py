"""A local API on a free port of loopback, in front of a fake worker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hivemind_worker.web.local_api import LocalApi
from tests.fakes.node import NOW_S, FakeNode
from tests.web import wire

TOKEN = "t" * 43


@dataclass
class Served:
    """The running server, the worker behind it, and a way to call it."""

    api: LocalApi
    node: FakeNode

    async def get(self, target: str, token: str | None = TOKEN, **more: Any) -> wire.Answer:
        return await wire.ask(self.api.port, target, token=token, **more)

    async def post(self, target: str, token: str | None = TOKEN, **more: Any) -> wire.Answer:
        return await wire.ask(self.api.port, target, method="POST", token=token, **more)


@pytest.fixture
def make_served(tmp_path: Path) -> Callable[..., Any]:
    @contextlib.asynccontextmanager
    async def make(**options: Any) -> AsyncIterator[Served]:
        before = asyncio.all_tasks()
        node = FakeNode(tmp_path)
        api = LocalApi(node, TOKEN, clock=lambda: NOW_S, **options)
        assert await api.start(port=0) == api.port
        try:
            yield Served(api, node)
        finally:
            await api.close()
        left = asyncio.all_tasks() - before - {asyncio.current_task()}
        assert not left, "the API left tasks behind"

    return make


@pytest.fixture
async def served(make_served: Callable[..., Any]) -> AsyncIterator[Served]:
    async with make_served() as running:
        yield running
