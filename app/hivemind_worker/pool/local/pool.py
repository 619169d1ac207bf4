"""The embedded pool: builds its parts, listens, and ends them in order.

A whole node pool in one process and one folder, for a computer's own use, for tests
and for a small group. The book is handed in (`store.pool_book`).
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc

import hivemind_worker.pool.polling  # noqa: F401
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import NamedThread, Nursery
from hivemind_worker.pool.local.accounts import open_account
from hivemind_worker.pool.local.archives import Archives, ArchiveStore, DiskArchives
from hivemind_worker.pool.local.book import PoolBook, StoreAwayError
from hivemind_worker.pool.local.callout import Callout
from hivemind_worker.pool.local.dispatch import Dispatch
from hivemind_worker.pool.local.door import handlers
from hivemind_worker.pool.local.identity import Identity
from hivemind_worker.pool.local.limits import parse_address, server_options
from hivemind_worker.pool.local.nodes import Nodes
from hivemind_worker.pool.local.requests import Requests
from hivemind_worker.pool.local.roster import Roster
from hivemind_worker.pool.local.stops import Stops
from hivemind_worker.pool.local.task_log import TaskLog
from hivemind_worker.pool.local.tokens import Tokens, signing_key
from hivemind_worker.pool.local.turns import Turns
from hivemind_worker.pool.local.users import Users
from hivemind_worker.pool.local.watch import Watch
from hivemind_worker.pool.local.workers import Workers

CALLS_AT_ONCE = 1024
GRACE_S = 2.0


class LocalPool:
    """One pool. `start` once, then `close` once; the book stays its owner's to close."""

    def __init__(
        self,
        book: PoolBook,
        folder: Path,
        listen: str = "127.0.0.1:50051",
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        charges: bool = False,
        archives: ArchiveStore | None = None,
        signing: Callable[[], Awaitable[bytes]] | None = None,
    ) -> None:
        """`folder` takes the archives and the signing key, unless they are kept elsewhere; `charges`:
        requesters pay by the minute."""
        self._book, self._folder, self._listen, self._charges = book, folder, listen, charges
        self._clock, self._monotonic = clock, monotonic
        self._nursery = Nursery("pool")
        self._files = NamedThread("pool-files", threads=2)
        self._hashing = NamedThread("pool-passwords", threads=2)
        self._archives = Archives(folder / "archives")
        self._store = archives or DiskArchives(self._archives, self._files)
        self._signing = signing or self._own_key
        self._server: grpc.aio.Server | None = None
        self._dispatch: Dispatch | None = None

    async def start(self) -> str | Problem:
        """Begin to serve; returns the bound HOST:PORT, or why not (nothing is left running then)."""
        address = parse_address(self._listen)
        if isinstance(address, Problem):
            return await self._not_started(address)
        try:
            await self._store.prepare()
            key = await self._signing()
        except StoreAwayError as away:
            return await self._not_started(away.problem)
        except OSError as error:
            about = f"{self._folder} ({error.strerror or error})"
            return await self._not_started(Problem(code=FaultCode.NO_PERMISSION, about=about))
        try:
            return await self._serve(Tokens(key, self._clock), *address)
        except StoreAwayError as away:
            return await self._not_started(away.problem)
        except OSError as error:
            return await self._not_started(_listen_problem(error, self._listen))

    async def _own_key(self) -> bytes:
        return await self._files.call(signing_key, self._folder / "signing.key")

    async def _not_started(self, problem: Problem) -> Problem:
        await self.close()
        return problem

    async def _serve(self, issued: Tokens, host: str, port: int) -> str:
        await self._files.call(_check_free, host, port)
        self._server = grpc.aio.server(options=server_options(), maximum_concurrent_rpcs=CALLS_AT_ONCE)
        shown = f"[{host}]" if ":" in host else host
        try:
            bound = self._server.add_insecure_port(f"{shown}:{port}")
        except RuntimeError as error:
            raise OSError(errno.EADDRINUSE, str(error)) from error
        await self._furnish(self._server, issued)
        await self._server.start()
        return f"{shown}:{bound}"

    async def _furnish(self, server: grpc.aio.Server, issued: Tokens) -> None:
        """Build the parts that know one another, take up what an earlier run left, open the doors."""
        book, clock, turns = self._book, self._clock, Turns()
        identity, task_log = Identity(book, issued), TaskLog(book, clock)
        roster, callout = Roster(book, clock, self._monotonic), Callout(self._files)
        stops = Stops(book, roster, callout, self._nursery)
        dispatch = self._dispatch = Dispatch(
            book=book, roster=roster, archives=self._store, callout=callout, stops=stops,
            task_log=task_log, nursery=self._nursery, clock=clock, monotonic=self._monotonic,
        )  # fmt: skip
        watch = Watch(
            book=book, roster=roster, dispatch=dispatch, stops=stops, task_log=task_log, clock=clock,
            charges=self._charges,
        )  # fmt: skip
        services = {
            "UserService": Users(book, identity, self._hashing).entrances(),
            "NodeManagerService": Nodes(
                book=book, identity=identity, roster=roster, dispatch=dispatch, clock=clock
            ).entrances(),
            "MasterNodeService": Requests(
                book=book, identity=identity, archives=self._store, files=self._files, turns=turns,
                dispatch=dispatch, stops=stops, task_log=task_log, clock=clock,
            ).entrances(),
            "WorkerNodeService": Workers(
                book=book, identity=identity, archives=self._store, files=self._files, turns=turns,
                dispatch=dispatch, task_log=task_log, clock=clock, charges=self._charges,
            ).entrances(),
        }  # fmt: skip
        server.add_generic_rpc_handlers(
            tuple(handlers(name, table, book.outage) for name, table in services.items())
        )
        book.listen(roster.take, dispatch.wake)
        await roster.load()
        await dispatch.load()
        await stops.load()
        self._nursery.start("dispatch", dispatch.run())
        self._nursery.start("watch", watch.run())

    async def add_account(self, name: str, password: str, tokens: int) -> Problem | None:
        """Open an account with so many tokens; BAD_USAGE says what is wrong."""
        return await open_account(self._book, self._hashing, name, password, tokens)

    def wake(self) -> None:
        """Hand out waiting tasks now, whatever the timer says."""
        if self._dispatch is not None:
            self._dispatch.wake()

    async def close(self) -> None:
        """End all calls and offers. Tasks stay as they are in the book, for the next start."""
        if self._server is not None:
            await self._server.stop(GRACE_S)
            self._server = None
        await self._nursery.close()
        self._files.close()
        self._hashing.close()


def _check_free(host: str, port: int) -> None:
    """Raise OSError with its errno when the address cannot be listened on: grpc does not tell why."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as trial:
        if os.name == "posix":  # there it means "although old connections linger", elsewhere "although taken"
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.bind(address)


def _listen_problem(error: OSError, listen: str) -> Problem:
    if error.errno == errno.EADDRINUSE:
        return Problem(code=FaultCode.PORT_IN_USE, about=listen.rpartition(":")[2])
    if error.errno in (errno.EACCES, errno.EPERM):
        return Problem(code=FaultCode.NO_PERMISSION, about=f"listening on {listen}")
    return Problem(code=FaultCode.BAD_ADDRESS, about=f"{listen} ({error.strerror or error})")
