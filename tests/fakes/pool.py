"""A pool that does what a test tells it: a real server on a socket, every call logged, answers by script.

It keeps no accounts beyond names and passwords and dispatches only when asked (`offer`).
Whole pools are in `hivemind_worker.pool.local`; this one is for what a pool must never do.
"""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import hivemind_worker.pool  # noqa: F401 - sets what grpc reads when it is imported

import grpc  # isort: skip
import grpc.aio  # isort: skip
from hivemind_worker.pool.pb import nodepool_pb2 as pb

MAX_MESSAGE = 100 << 20
EXECUTE = "/nodepool.WorkerNodeService/ExecuteTask"
STOP = "/nodepool.WorkerNodeService/StopTaskExecution"
PROMPT = (("hivemind-prompt-results", "1"),)

METHODS: dict[str, tuple[str, Any, Any]] = {
    "Login": ("UserService", pb.LoginRequest, pb.LoginResponse),
    "GetBalance": ("UserService", pb.GetBalanceRequest, pb.GetBalanceResponse),
    "RefreshToken": ("UserService", pb.RefreshTokenRequest, pb.RefreshTokenResponse),
    "RegisterWorkerNode": ("NodeManagerService", pb.RegisterWorkerNodeRequest, pb.StatusResponse),
    "ReportStatus": ("NodeManagerService", pb.RunningStatusRequest, pb.RunningStatusResponse),
    "TaskOutputUpload": ("WorkerNodeService", pb.TaskOutputUploadRequest, pb.TaskOutputUploadResponse),
    "TaskResultUpload": ("WorkerNodeService", pb.TaskResultUploadRequest, pb.TaskResultUploadResponse),
    "TaskUsage": ("WorkerNodeService", pb.TaskUsageRequest, pb.TaskUsageResponse),
}


@dataclass(frozen=True)
class Call:
    """One call as it arrived. `at_s` is `time.monotonic()`; `fields` are the request's, by name."""

    at_s: float
    method: str
    fields: dict[str, Any]
    metadata: dict[str, str]
    peer: str


@dataclass(frozen=True)
class GrpcError:
    """Answer: this gRPC status; the call has no effect."""

    code: grpc.StatusCode
    details: str = "as scripted"


@dataclass(frozen=True)
class Delay:
    """Answer: `then` (or what it would have been) after so many real seconds."""

    seconds: float
    then: Any = None


@dataclass(frozen=True)
class Once:
    """Answers: these in turn, then what it would have been."""

    answers: list[Any]

    def __init__(self, *answers: Any) -> None:
        object.__setattr__(self, "answers", list(answers))


class _Word:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


HANG = _Word("HANG")  # never answers
LOST = _Word("LOST")  # does what was asked; the answer is lost on the way
SWALLOWED = _Word("SWALLOWED")  # the connection breaks before anything is done


@dataclass
class ScriptedPool:
    """`async with ScriptedPool() as pool:`; set `pool.answers["Login"] = …` at any time.

    An answer is a response message, a callable of (request, call) giving one (or awaiting it),
    GrpcError, Delay, Once, HANG, LOST or SWALLOWED; a method without one behaves as the real pool does.
    """

    users: dict[str, str] = field(default_factory=lambda: {"ann": "right horse"})
    balance: int = 40
    prompt: bool = False  # announce prompt results in the metadata
    demands_bearer: bool = False  # refuse calls without a good bearer header, as later pools do
    takes_status: bool = False  # serve ReportStatus, as later pools do
    token_life_s: float = 3600.0
    running_after_s: float = 0.05  # quirk 4: how long after the answer RUNNING is written
    answers: dict[str, Any] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=lambda: defaultdict(str))
    results: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    status: dict[str, str] = field(default_factory=dict)
    port: int = 0

    def __post_init__(self) -> None:
        self._server: Any = None
        self._tokens: set[str] = set()
        self._serial = 0
        self._arrived = asyncio.Event()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> ScriptedPool:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Listen, on the port of last time if there was one."""
        options = [
            ("grpc.max_receive_message_length", MAX_MESSAGE),
            ("grpc.max_send_message_length", MAX_MESSAGE),
            ("grpc.so_reuseport", 0),
        ]
        self._server = grpc.aio.server(options=options)
        services: dict[str, dict[str, Any]] = defaultdict(dict)
        for name, (service, request, response) in METHODS.items():
            services[service][name] = grpc.unary_unary_rpc_method_handler(
                self._behaviour(name), request.FromString, response.SerializeToString
            )
        handlers = [grpc.method_handlers_generic_handler(f"nodepool.{s}", m) for s, m in services.items()]
        self._server.add_generic_rpc_handlers(tuple(handlers))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def close(self) -> None:
        """Stop listening and break what is under way."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(None)

    async def restart(self) -> None:
        """As a real restart: tasks and nodes survive, tokens do not (quirk 20)."""
        await self.close()
        self.invalidate_tokens()
        await self.start()

    def invalidate_tokens(self) -> None:
        """No token given out so far is good any more."""
        self._tokens.clear()

    # ---- what a test looks at ---------------------------------------------------

    def of(self, *methods: str) -> list[Call]:
        """The calls of these methods so far."""
        return [call for call in self.calls if call.method in methods]

    async def heard(self, method: str, count: int = 1, limit_s: float = 10.0) -> list[Call]:
        """Wait until a method has been called so often; all its calls."""
        async with asyncio.timeout(limit_s):
            while len(self.of(method)) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.of(method)

    async def until(self, condition: Callable[[], bool], limit_s: float = 10.0) -> None:
        """Wait until something about this pool holds; looked at when a call comes and when it is answered."""
        async with asyncio.timeout(limit_s):
            while not condition():
                self._arrived.clear()
                await self._arrived.wait()

    # ---- what it calls on a worker ----------------------------------------------

    async def offer(self, worker: str, task_id: str, task_zip: bytes, **demand: int) -> Any:
        """ExecuteTask as the pool sends it; RUNNING is written a little after a yes (quirk 4)."""
        request = pb.ExecuteTaskRequest(task_id=task_id, task_zip=task_zip, **demand)
        answer = await call_worker(worker, EXECUTE, request.SerializeToString(), pb.ExecuteTaskResponse)
        if answer.success:
            await asyncio.sleep(self.running_after_s)
            self.status[task_id] = "RUNNING"
        return answer

    async def stop(self, worker: str, task_id: str) -> Any:
        """StopTaskExecution as the pool sends it."""
        self.status[task_id] = "STOPPED"
        request = pb.StopTaskExecutionRequest(task_id=task_id)
        return await call_worker(worker, STOP, request.SerializeToString(), pb.StopTaskExecutionResponse)

    # ---- answering --------------------------------------------------------------

    def _behaviour(self, method: str) -> Any:
        async def behaviour(request: Any, context: Any) -> Any:
            fields = {row.name: getattr(request, row.name) for row in request.DESCRIPTOR.fields}
            metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
            call = Call(time.monotonic(), method, fields, metadata, context.peer())
            self.calls.append(call)
            self._arrived.set()
            if self.prompt:
                await context.send_initial_metadata(PROMPT)
            try:
                return await self._answer(self.answers.get(method), method, request, call, context)
            finally:
                self._arrived.set()

        return behaviour

    async def _answer(self, script: Any, method: str, request: Any, call: Call, context: Any) -> Any:
        if isinstance(script, Once):
            script = script.answers.pop(0) if script.answers else None
        if isinstance(script, Delay):
            await asyncio.sleep(script.seconds)
            script = script.then
        if script is HANG:
            await asyncio.Event().wait()
        if script is SWALLOWED:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the connection broke")
        if script is LOST:
            await self._usual(method, request, call, context)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the answer was lost")
        if isinstance(script, GrpcError):
            await context.abort(script.code, script.details)
        if script is None:
            return await self._usual(method, request, call, context)
        if callable(script):
            answer = script(request, call)
            return await answer if inspect.isawaitable(answer) else answer
        return script

    async def _usual(self, method: str, request: Any, call: Call, context: Any) -> Any:
        """What the real pool does."""
        bearer = call.metadata.get("authorization", "").removeprefix("Bearer ")
        if self.demands_bearer and method != "Login" and bearer not in self._tokens:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "invalid token")
        if method == "ReportStatus" and not self.takes_status:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not implemented!")
        return getattr(self, f"_{method.lower()}", lambda _: METHODS[method][2](success=True))(request)

    def new_token(self, **claims: Any) -> str:
        """A good token, shaped as the real ones."""
        self._serial += 1
        claims = {"user_id": 1, "exp": time.time() + self.token_life_s, "n": self._serial} | claims
        parts = (json.dumps({"alg": "HS256"}), json.dumps(claims), "signature")
        token = ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)
        self._tokens.add(token)
        return token

    def _login(self, request: Any) -> Any:
        if self.users.get(request.username) != request.password:
            return pb.LoginResponse(success=False, message="用户名或密码错误")
        return pb.LoginResponse(success=True, token=self.new_token(username=request.username))

    def _getbalance(self, request: Any) -> Any:
        if request.token not in self._tokens:
            words = "INVALID_TOKEN" if request.token else "Token is required"
            return pb.GetBalanceResponse(success=False, message=words)
        return pb.GetBalanceResponse(success=True, balance=self.balance)

    def _refreshtoken(self, request: Any) -> Any:
        if request.old_token not in self._tokens:
            return pb.RefreshTokenResponse(success=False, message="INVALID_TOKEN")
        self._tokens.discard(request.old_token)
        return pb.RefreshTokenResponse(success=True, new_token=self.new_token())

    def _taskoutputupload(self, request: Any) -> Any:
        self.outputs[request.task_id] = (self.outputs[request.task_id] + request.output + "\n")[-10240:]
        return pb.TaskOutputUploadResponse(success=True)

    def _taskresultupload(self, request: Any) -> Any:
        self.results[request.task_id].append(request.result_zip)
        self.status[request.task_id] = "COMPLETED"
        return pb.TaskResultUploadResponse(success=True)


async def call_worker(
    worker: str, method: str, raw: bytes, response: Any = None, *, limit_s: float = 40.0,
    metadata: Iterable[tuple[str, str]] = (), compression: Any = None,
) -> Any:  # fmt: skip
    """One call on a worker with ready bytes; raises grpc.aio.AioRpcError as the library does."""
    options = [("grpc.max_send_message_length", -1), ("grpc.max_metadata_size", 1 << 20)]
    async with grpc.aio.insecure_channel(worker, options=options) as channel:
        call = channel.unary_unary(method, None, response.FromString if response else None)
        return await call(raw, timeout=limit_s, metadata=tuple(metadata), compression=compression)
