"""The API before a fake worker, on a loop in a thread of its own: a browser is driven beside it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hivemind_worker.model.accounts import Role
from hivemind_worker.store.users import SqliteUsers
from hivemind_worker.web.local_api import LocalApi
from tests.fakes.node import FakeNode
from tests.web.conftest import CHEAP, PASSWORD, TOKEN

LIMIT_S = 20.0
Scene = Callable[[FakeNode, float], None]
T = TypeVar("T")


@dataclass
class Hosted:
    """The server, and a way to do something on its loop."""

    api: LocalApi
    node: FakeNode
    users: SqliteUsers
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return self.api.url

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run this on the server's loop to its end."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(LIMIT_S)

    def show(self, scene: Scene) -> None:
        """Have the worker be in this state from now on."""

        async def change() -> None:
            scene(self.node, time.time())

        self.wait(change())

    def account(self, name: str, role: Role = Role.OWNER) -> None:
        """An account with the usual password."""
        assert self.wait(self.users.add_account(name, PASSWORD, role, time.time())) is None


@contextlib.contextmanager
def hosted(folder: Path, scene: Scene, port: int = 0) -> Iterator[Hosted]:
    """A worker in this state, with its pages and users; closed at the end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="hosted-web")
    thread.start()
    node = FakeNode(folder, clock=time.time)
    users = SqliteUsers(folder, cost=CHEAP)
    made = Hosted(LocalApi(node, TOKEN, users=users), node, users, loop)
    try:
        assert made.wait(users.open()) is None
        assert made.wait(made.api.start(port=port)) == made.api.port
        made.show(scene)
        yield made
    finally:
        made.wait(_stop_listening(made.api))
        made.wait(made.api.close())
        made.wait(users.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(LIMIT_S)
        loop.close()


async def _stop_listening(api: LocalApi) -> None:
    """A browser opens connections at its own will. One that asyncio has accepted, and not yet given to its
    server when that is closed, stays open for ever (Server._attach of CPython refuses it): first none may
    come, then those that have come are let in."""
    for server in api._servers:
        for listening in server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
    for _turn in range(3):
        await asyncio.sleep(0)
