"""A local API on a free port of loopback, in front of a fake worker, with a real book of users."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hivemind_worker.model.accounts import Role
from hivemind_worker.store.users import SqliteUsers
from hivemind_worker.web.local_api import LocalApi
from tests.fakes.node import NOW_S, FakeNode
from tests.web import wire

TOKEN = "t" * 43
CHEAP = (16, 1, 1)  # scrypt's cost: what a hash costs is told by one test of the store
PASSWORD = "correct horse"


@dataclass
class Browser:
    """A browser that is signed in: the cookie's pair, and the CSRF token of its session."""

    cookie: str
    csrf: str

    def headers(self, *, csrf: bool = True) -> dict[str, str]:
        return {"Cookie": self.cookie} | ({"X-CSRF-Token": self.csrf} if csrf else {})


@dataclass
class Served:
    """The running server, the worker behind it, and a way to call it."""

    api: LocalApi
    node: FakeNode
    users: SqliteUsers

    async def get(self, target: str, token: str | None = TOKEN, **more: Any) -> wire.Answer:
        return await wire.ask(self.api.port, target, token=token, **more)

    async def post(self, target: str, token: str | None = TOKEN, **more: Any) -> wire.Answer:
        return await wire.ask(self.api.port, target, method="POST", token=token, **more)

    async def sign_in(self, name: str = "anna", role: Role = Role.OWNER) -> Browser:
        """Make an account, when there is none, and sign in with it."""
        await self.users.add_account(name, PASSWORD, role, NOW_S)
        answer = await self.post("/login", token=None, body={"name": name, "password": PASSWORD})
        assert answer.status == 200, answer.body
        return Browser(answer.headers["set-cookie"].partition(";")[0], answer.values["csrf"])


@pytest.fixture
def make_served(tmp_path: Path) -> Callable[..., Any]:
    @contextlib.asynccontextmanager
    async def make(**options: Any) -> AsyncIterator[Served]:
        before = asyncio.all_tasks()
        node = FakeNode(tmp_path)
        users = SqliteUsers(tmp_path, cost=CHEAP)
        assert await users.open() is None
        api = LocalApi(node, TOKEN, **{"users": users, "clock": lambda: NOW_S} | options)
        assert await api.start(port=0) == api.port
        try:
            yield Served(api, node, users)
        finally:
            await api.close()
            await users.close()
        left = asyncio.all_tasks() - before - {asyncio.current_task()}
        assert not left, "the API left tasks behind"

    return make


@pytest.fixture
async def served(make_served: Callable[..., Any]) -> AsyncIterator[Served]:
    async with make_served() as running:
        yield running
