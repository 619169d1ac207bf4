"""What the pool calls on us: WorkerNodeService on one address, for the pool alone.

Every method is served as a stream of one message (the same bytes on the wire as a plain
call), because only so the caller is checked, and a place in the gate taken, before the body
is received. Decides nothing about tasks: that is the handler's. Counterpart: `pool.client`.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import grpc
import grpc.aio

import hivemind_worker.pool.polling  # noqa: F401
from hivemind_worker.model.effects import Accepted, Refused, Reply
from hivemind_worker.model.faults import FAULTS, FaultCode, sentence
from hivemind_worker.model.task import Offer, Problem, TaskKey, key_of
from hivemind_worker.model.traffic import Moved, uncounted
from hivemind_worker.nursery import NamedThread, Nursery, comes_within
from hivemind_worker.pool.channel import PINGS_UNCOUNTED
from hivemind_worker.pool.gate import PLACES, Gate
from hivemind_worker.pool.peers import PeerCheck
from hivemind_worker.pool.spool import remove, spool_request
from hivemind_worker.pool.wire import WORKERS, answer, read_stop

log = logging.getLogger(__name__)

EXECUTE, STOP = WORKERS + "ExecuteTask", WORKERS + "StopTaskExecution"
SERVED = (EXECUTE, STOP)
NOT_SERVED = tuple(
    WORKERS + name for name in ("TaskOutput", "TaskOutputUpload", "TaskResultUpload", "TaskUsage")
)
RECEIVE_LIMIT_S = 150.0  # the pool's own deadline is at most 120 s
SMALL_RECEIVE_LIMIT_S = 10.0
SMALL_MESSAGE_BYTES = 64 << 10
ANSWER_LIMIT_S = 60.0  # inspecting a hostile archive may take seconds
OPTIONS: tuple[tuple[str, int], ...] = (
    *PINGS_UNCOUNTED,
    ("grpc.max_receive_message_length", 101 << 20),  # 100 MiB of archive and its fields; also once unzipped
    ("grpc.max_send_message_length", 64 << 10),
    ("grpc.max_metadata_size", 16 << 10),
    ("grpc.absolute_max_metadata_size", 16 << 10),
    ("grpc.max_concurrent_streams", 256),
    ("grpc.max_allowed_incoming_connections", 512),
    ("grpc.max_connection_idle_ms", 60_000),  # a silent stranger keeps no connection
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.so_reuseport", 0),  # else a second worker would share the port in silence
)


class TaskHandler(Protocol):
    """What becomes of the pool's orders; the engine's way in fits it."""

    async def offer(self, offer: Offer, spooled: Path) -> Reply:
        """Take or refuse; the file belongs to the handler from here on."""
        ...

    async def stop(self, key: TaskKey) -> Reply:
        """End a task."""
        ...

    def answered(self, key: TaskKey) -> None:
        """The yes to an offer of this task has left: quirk 4's two seconds begin."""
        ...


class TaskDoor:
    """The server. Open it once, close it once; use from the loop's thread only."""

    def __init__(
        self, handler: TaskHandler, *, peers: Iterable[str], spool: Path, files: NamedThread,
        places: int = PLACES, moved: Moved = uncounted,
    ) -> None:  # fmt: skip
        self._handler = handler
        self._moved = moved
        self._spool = spool
        self._files = files
        self._gate = Gate(places)
        self._nursery = Nursery("door")
        self._server: Any = None
        self.peers = PeerCheck(peers)
        self.address = ""
        self.calls_open = 0

    async def open(self, bind_address: str, port: int) -> int | Problem:
        """Listen on exactly this own address; the port (0: a free one) or why not."""
        ip = _one_address(bind_address)
        if isinstance(ip, Problem):
            return ip
        host = f"[{ip}]" if ":" in ip else ip
        server = grpc.aio.server(options=OPTIONS)
        server.add_generic_rpc_handlers((_Methods(self._serve),))
        try:
            bound = int(server.add_insecure_port(f"{host}:{port}"))
        except RuntimeError:
            await server.stop(None)
            return await self._files.call(_why_not_bound, ip, port)
        await server.start()
        self._server, self.address = server, f"{host}:{bound}"
        return bound

    async def close(self, grace_s: float = 1.0) -> None:
        """Take no more calls, give those under way `grace_s` to end."""
        if self._server is not None:
            await self._server.stop(grace_s)
        await self._nursery.close()

    async def _serve(self, method: str, context: Any) -> bytes:
        """One call: the peer first, then the method; what is our fault never shows its trace."""
        if not self.peers.admits(context.peer()):
            return await _speak(context, Problem(code=FaultCode.STRANGER))
        if method not in SERVED and method not in NOT_SERVED:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "There is no such call.")
        self.calls_open += 1
        try:
            outcome = await self._dispatch(method, context)
        except Exception:
            log.exception("bug in serving %s", method)
            outcome = Problem(code=FaultCode.BUG, about="see its log")
        finally:
            self.calls_open -= 1
        return await _speak(context, outcome)

    async def _dispatch(self, method: str, context: Any) -> Reply | Problem:
        if method == EXECUTE:
            return await self._execute(context)
        if method == STOP:
            return await self._stop(context)
        return Problem(code=FaultCode.NOT_SERVED)

    async def _stop(self, context: Any) -> Reply | Problem:
        raw = await _receive(context, asyncio.timeout(SMALL_RECEIVE_LIMIT_S))
        if isinstance(raw, Problem):
            return raw
        if len(raw) > SMALL_MESSAGE_BYTES:
            return Problem(code=FaultCode.BAD_REQUEST, about=f"{len(raw)} bytes for a stop")
        task_id = read_stop(raw)
        if isinstance(task_id, Problem):
            return task_id
        return await _outcome_of(self._nursery.start("stop", self._handler.stop(key_of(task_id))))

    async def _execute(self, context: Any) -> Reply | Problem:
        over = asyncio.Event()
        context.add_done_callback(lambda _: over.set())
        limit = asyncio.timeout(RECEIVE_LIMIT_S)
        place = await self._gate.enter(lambda: None if limit.expired() else limit.reschedule(0))
        if place is None:
            return Problem(code=FaultCode.BUSY)
        taking: asyncio.Task[Reply | Problem] | None = None
        try:
            raw = await _receive(context, limit)
            if isinstance(raw, Problem):
                return raw
            place.received = True
            self._moved(len(raw), 0)
            taking = self._nursery.start("offer", self._take([raw], over))
            taking.add_done_callback(lambda _: self._gate.leave(place))
        finally:
            if taking is None:
                self._gate.leave(place)
        del raw
        return await _outcome_of(taking)

    async def _take(self, message: list[bytes], over: asyncio.Event) -> Reply | Problem:
        """Spool and ask. Runs on when the caller goes: an engine half asked would help nobody."""
        spooled = await self._files.call(spool_request, message, self._spool)
        if isinstance(spooled, Problem):
            return spooled
        if over.is_set():
            await self._files.call(remove, spooled.path)
            return Problem(code=FaultCode.BAD_REQUEST, about="the caller has gone")
        reply = await self._handler.offer(spooled.offer, spooled.path)
        if isinstance(reply, Accepted):
            self._nursery.start("answered", self._tell_answered(spooled.offer.key, over))
        return reply

    async def _tell_answered(self, key: TaskKey, over: asyncio.Event) -> None:
        await comes_within(over, ANSWER_LIMIT_S)  # else the answer will not leave at all
        self._handler.answered(key)


class _Methods(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Every method name leads to the door, unknown ones too: a stranger learns nothing from the answer."""

    def __init__(self, serve: Callable[[str, Any], Awaitable[bytes]]) -> None:
        self._serve = serve

    def service(self, handler_call_details: Any) -> Any:
        method = str(handler_call_details.method)

        async def behaviour(_requests: Any, context: Any) -> bytes:
            return await self._serve(method, context)

        return grpc.stream_unary_rpc_method_handler(behaviour)


async def _receive(context: Any, limit: asyncio.Timeout) -> bytes | Problem:
    try:
        async with limit:
            raw = await context.read()
    except TimeoutError:
        return Problem(code=FaultCode.BUSY)
    if isinstance(raw, bytes):
        return raw
    return Problem(code=FaultCode.BAD_REQUEST, about="there is no message")


async def _outcome_of(work: asyncio.Task[Any]) -> Reply | Problem:
    """What the work comes to; a caller who goes away does not end it."""
    try:
        async with asyncio.timeout(ANSWER_LIMIT_S):
            outcome: Reply | Problem = await asyncio.shield(work)
    except TimeoutError:
        return Problem(code=FaultCode.BUSY)  # it may still be accepted: the next offer of it then is, too
    return outcome


async def _speak(context: Any, outcome: Reply | Problem) -> bytes:
    """The answer of the protocol, success=false included, or a gRPC status where the table names one."""
    if not isinstance(outcome, Problem):
        return answer(outcome)
    status = FAULTS[outcome.code].grpc_status
    if status != "OK":
        await context.abort(grpc.StatusCode[status], sentence(outcome.code, outcome.about))
    return answer(Refused(problem=outcome))


def _one_address(text: str) -> str | Problem:
    """An own address to listen on; never one that means all of them."""
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return Problem(code=FaultCode.BAD_ADDRESS, about=f"{text!r} to listen on")
    if ip.is_unspecified or ip.is_multicast:
        return Problem(code=FaultCode.BAD_ADDRESS, about=f"{text} means every network of this computer")
    return str(ip)


def _why_not_bound(ip: str, port: int) -> Problem:
    """Try the plain socket: the library's own error does not say what was wrong."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((ip, port))
        except PermissionError:
            return Problem(code=FaultCode.NO_PERMISSION, about=f"port {port} (NODE_PORT)")
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                return Problem(code=FaultCode.BAD_ADDRESS, about=f"{ip} is not an address of this computer")
    return Problem(code=FaultCode.PORT_IN_USE, about=f"{port} (NODE_PORT)")
