"""The requester's side of the protocol: upload a task, follow its log, fetch its result.

Works with any node pool. Owns one connection and one token; it signs in again by itself
when the token has ended. Expected trouble comes back as a `Problem`. Counterpart:
`pool.local.requests`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import NamedThread
from hivemind_worker.pool.channel import Failure
from hivemind_worker.pool.local.bulk import joined, part
from hivemind_worker.pool.local.connection import is_connected
from hivemind_worker.pool.local.limits import CONNECT_S, MESSAGE_BYTES, channel_options, parse_address, target
from hivemind_worker.pool.local.requests import LOG_CUT_HEADER
from hivemind_worker.pool.local.tokens import MARKERS
from hivemind_worker.pool.log_follower import LogFollower
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from hivemind_worker.pool.wire import clean_words

ARCHIVE_BYTES_MOST = MESSAGE_BYTES - 64 * 1024  # what is left of a message beside all other fields
LOGIN_S, ASK_S, MOVE_S = 15.0, 30.0, 60.0
POLL_S = 0.5
PATIENCE_S = 60.0
AWAY = (FaultCode.POOL_UNREACHABLE, FaultCode.POOL_MUTE)
ENDED = frozenset({"COMPLETED", "FAILED", "STOPPED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a task asks for, in the protocol's whole units; 0 leaves it to the worker."""

    cpu_score: int = 0
    memory_gb: int = 0
    gpu_score: int = 0
    gpu_memory_gb: int = 0
    gpu_name: str = ""
    location: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """A task as the pool lists it."""

    task_id: str
    status: str  # PENDING, RUNNING, COMPLETED, FAILED, STOPPED
    message: str
    node: str

    @property
    def has_ended(self) -> bool:
        """Whether its status is final (FAILED may still become COMPLETED when a result comes late)."""
        return self.status in ENDED


def new_task_id(at_s: float | None = None) -> str:
    """task_<date>_<time>_<8 hex digits by chance>, in local time."""
    stamp = time.strftime("%Y%m%d_%H%M%S", time.localtime(at_s))
    return f"task_{stamp}_{secrets.token_hex(4)}"


class Requester:
    """One account's conversation with one pool. `login` first, `close` last.

    `patience_s`: for how long a pool that went away is waited for while following or waiting;
    `on_away` hears once that it is, and why, and once with None that it is back.
    """

    def __init__(
        self, address: str, user: str, password: str, *, patience_s: float = PATIENCE_S,
        on_away: Callable[[Problem | None], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self._address, self._user, self._password = address, user, password
        self._patience_s, self._on_away = patience_s, on_away
        self._away_since_s: float | None = None
        self._token = ""
        self._channel: grpc.aio.Channel | None = None
        self._files = NamedThread("requester-files")

    async def login(self) -> Problem | None:
        """Connect and sign in: BAD_ADDRESS, POOL_UNREACHABLE, POOL_MUTE or WRONG_PASSWORD say why not."""
        if self._channel is None:
            address = parse_address(self._address)
            if isinstance(address, Problem):
                return address
            self._channel = grpc.aio.insecure_channel(target(*address), options=channel_options())
            if not await is_connected(self._channel, CONNECT_S):
                await self._hang_up()
                return Problem(code=FaultCode.POOL_UNREACHABLE, about=self._address)
        return await self._sign_in()

    async def _hang_up(self) -> None:
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    async def _sign_in(self) -> Problem | None:
        request = pb.LoginRequest(username=self._user, password=self._password)
        answer = await self._call("UserService/Login", request, pb.LoginResponse.FromString, LOGIN_S)
        if isinstance(answer, Failure):
            return answer.problem(self._address)
        if not answer.success:
            return Problem(code=FaultCode.WRONG_PASSWORD, about=clean_words(answer.message))
        self._token = answer.token
        return None

    async def close(self) -> None:
        """Hang up."""
        await self._hang_up()
        self._files.close()

    # calls

    async def _call(
        self,
        path: str,
        request: Any,
        read: Callable[[bytes], Any] | None,
        limit_s: float,
        headers: dict[str, str] | None = None,
    ) -> Any | Failure:
        """One call; a ready message may come as bytes. `headers` takes the answer's trailing metadata."""
        if self._channel is None:
            return Failure(status=grpc.StatusCode.UNAVAILABLE, words="not connected")
        raw = request if isinstance(request, bytes) else request.SerializeToString()
        metadata = (("authorization", f"Bearer {self._token}"),) if self._token else ()
        call = self._channel.unary_unary(f"/nodepool.{path}", response_deserializer=read)(
            raw, timeout=limit_s, metadata=metadata, wait_for_ready=False
        )
        try:
            answer = await call
            if headers is not None:
                headers.update({str(k): v for k, v in await call.trailing_metadata() if isinstance(v, str)})
        except grpc.aio.AioRpcError as error:
            return Failure(status=error.code(), words=clean_words(error.details() or ""))
        return answer

    async def _ask(self, attempt: Callable[[], Awaitable[Any | Failure]]) -> Any | Problem:
        """An answer that says success; signs in once more when the token has ended."""
        answer = await attempt()
        if _wants_login(answer):
            if (problem := await self._sign_in()) is not None:
                return problem
            answer = await attempt()
        if isinstance(answer, Failure):
            return answer.problem(self._address)
        if getattr(answer, "success", True):
            return answer
        return Problem(code=FaultCode.POOL_REFUSED, about=clean_words(answer.message))

    # the work

    async def upload(self, task_id: str, archive: Path, demand: Demand) -> Problem | None:
        """Send a task. None: the pool has it."""
        size = await self._files.call(_size, archive)
        if isinstance(size, Problem):
            return size

        async def attempt() -> Any:
            request = pb.UploadTaskRequest(
                task_id=task_id,
                cpu_score=demand.cpu_score,
                memory_gb=demand.memory_gb,
                gpu_score=demand.gpu_score,
                gpu_memory_gb=demand.gpu_memory_gb,
                gpu_name=demand.gpu_name,
                location=demand.location,
                token=self._token,
            )
            field = pb.UploadTaskRequest.TASK_ZIP_FIELD_NUMBER
            raw = await self._files.call(joined, request, field, archive)
            limit_s = MOVE_S + 2 * size / 2**20
            return await self._call(
                "MasterNodeService/UploadTask", raw, pb.UploadTaskResponse.FromString, limit_s
            )

        answer = await self._ask(attempt)
        if isinstance(answer, Problem) and answer.code in AWAY:
            # The answer was lost, perhaps not the task: the pool's list tells.
            return None if isinstance(await self.status(task_id), TaskView) else answer
        return answer if isinstance(answer, Problem) else None

    async def status(self, task_id: str) -> TaskView | Problem:
        """How the pool lists the task (it lists the last 100)."""

        async def attempt() -> Any:
            request = pb.GetAllUserTasksRequest(token=self._token)
            read = pb.GetAllTasksResponse.FromString
            return await self._call("MasterNodeService/GetAllUserTasks", request, read, ASK_S)

        answer = await self._ask(attempt)
        if isinstance(answer, Problem):
            return answer
        for each in answer.tasks:
            if each.task_id == task_id:
                message, node = clean_words(each.message), clean_words(each.worker_ip)
                return TaskView(task_id=task_id, status=each.status, message=message, node=node)
        return Problem(code=FaultCode.POOL_REFUSED, about=f"it does not list the task {task_id}.")

    async def _patient(self, ask: Callable[[], Awaitable[Any | Problem]]) -> Any | Problem:
        """Ask again while the pool is away, for as long as our patience lasts; one patience for all calls."""
        while True:
            answer = await ask()
            if not isinstance(answer, Problem) or answer.code not in AWAY:
                if self._away_since_s is not None:
                    self._away_since_s = None
                    self._on_away(None)
                return answer
            if self._away_since_s is None:
                self._away_since_s = time.monotonic()
                self._on_away(answer)
            if time.monotonic() >= self._away_since_s + self._patience_s:
                return answer
            await asyncio.sleep(POLL_S)

    async def wait(self, task_id: str) -> TaskView | Problem:
        """Return when the task has ended. Cancel it, or set a time limit around it, to give up."""
        while True:
            view = await self._patient(lambda: self.status(task_id))
            if isinstance(view, Problem) or view.has_ended:
                return view
            await asyncio.sleep(POLL_S)

    async def log_text(self, task_id: str) -> tuple[str, int | None] | Problem:
        """The log's last part, and how many bytes were cut off before it (None: the pool does not say)."""
        headers: dict[str, str] = {}

        async def attempt() -> Any:
            request = pb.TasklogRequest(task_id=task_id, token=self._token)
            read = pb.TasklogResponse.FromString
            return await self._call("MasterNodeService/GetTasklog", request, read, ASK_S, headers)

        answer = await self._ask(attempt)
        if isinstance(answer, Problem):
            return answer
        cut = headers.get(LOG_CUT_HEADER, "")
        return answer.log, int(cut) if cut.isascii() and cut.isdigit() else None

    async def follow(self, task_id: str) -> AsyncIterator[str]:
        """Lines of the task's log as they come, each once, until the task has ended.

        Ends early when the pool refuses or stays away: `wait` then says why.
        """
        follower = LogFollower()
        while True:
            # The status first: what the log holds afterwards includes all of an ended task's.
            view = await self._patient(lambda: self.status(task_id))
            told = await self._patient(lambda: self.log_text(task_id))
            if isinstance(told, Problem):
                return
            for line in follower.take(*told):
                yield line
            if isinstance(view, Problem) or view.has_ended:
                break
            await asyncio.sleep(POLL_S)
        for line in follower.last():
            yield line

    async def fetch(self, task_id: str, file: Path) -> Problem | None:
        """Write the result archive to `file` (mode 0600); a file of that name is replaced."""

        async def attempt() -> Any:
            request = pb.GetTaskResultRequest(task_id=task_id, token=self._token)
            raw = await self._call("MasterNodeService/GetTaskResult", request, None, 2 * MOVE_S)
            return raw if isinstance(raw, Failure) else await self._files.call(_opened, raw)

        answer = await self._ask(attempt)
        if isinstance(answer, Problem):
            return answer
        if not answer.content:
            return Problem(code=FaultCode.POOL_REFUSED, about="the result is empty.")
        try:
            await self._files.call(_write, file, answer.content)
        except OSError as error:
            return Problem(code=FaultCode.NO_PERMISSION, about=f"{file} ({error.strerror})")
        return None

    async def stop(self, task_id: str) -> Problem | None:
        """Have the pool stop the task."""

        async def attempt() -> Any:
            request = pb.StopTaskRequest(task_id=task_id, token=self._token)
            return await self._call(
                "MasterNodeService/StopTask", request, pb.StopTaskResponse.FromString, MOVE_S
            )

        answer = await self._ask(attempt)
        return answer if isinstance(answer, Problem) else None


def _wants_login(answer: object) -> bool:
    if isinstance(answer, Failure):
        return answer.status is grpc.StatusCode.UNAUTHENTICATED
    refused = not getattr(answer, "success", True)
    return refused and getattr(answer, "message", "").strip() in MARKERS


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """GetTaskResultResponse with its archive as a view of the received bytes."""

    success: bool
    message: str
    content: memoryview


def _opened(raw: bytes) -> _Result | Failure:
    try:
        small, content = part(raw, pb.GetTaskResultResponse.RESULT_ZIP_FIELD_NUMBER)
        answer = pb.GetTaskResultResponse.FromString(small)
    except (ValueError, DecodeError) as error:
        return Failure(status=grpc.StatusCode.INTERNAL, words=f"unreadable answer: {error}")
    return _Result(success=answer.success, message=answer.message, content=content)


def _size(archive: Path) -> int | Problem:
    try:
        size = archive.stat().st_size
    except OSError as error:
        return Problem(code=FaultCode.BAD_PATH, about=f"{archive} ({error.strerror})")
    if size == 0:
        return Problem(code=FaultCode.BAD_ARCHIVE, about="it is empty")
    if size > ARCHIVE_BYTES_MOST:
        about = f"{size / 2**20:.1f} MiB, and a pool takes 100 MiB with all around it"
        return Problem(code=FaultCode.TOO_BIG, about=about)
    return size


def _write(file: Path, content: memoryview) -> None:
    file_part = file.with_name(f".{file.name}.part")
    file_part.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(file_part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
            out.write(content)
        file_part.replace(file)
    finally:
        file_part.unlink(missing_ok=True)
