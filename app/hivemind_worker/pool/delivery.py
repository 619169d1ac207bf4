"""Output and results on their way to a pool: what each answer means for trying again.

A result must reach the pool, and only once (quirks 6 and 8): whatever leaves that open is
"try again", only the pool's own no is final. Counterpart: the engine's outbox and output stream.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import grpc

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem, TaskId
from hivemind_worker.model.work import Sent
from hivemind_worker.nursery import NamedThread
from hivemind_worker.pool.channel import Answer, Channel, Failure, wants_login
from hivemind_worker.pool.framing import result_request, unreadable
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from hivemind_worker.pool.session import Session
from hivemind_worker.pool.wire import WORKERS

MIB = 1 << 20
READ_AHEAD_BYTES = 4 * MIB  # a larger archive is read when the line is free: it is in memory twice then
OWN_LINE_BYTES = 1 * MIB  # a larger archive would keep output and heartbeats waiting behind it


def sent_of(outcome: Answer[Any] | Failure, channel: Channel) -> Sent:
    """What one call came to."""
    if isinstance(outcome, Failure):
        if outcome.status is grpc.StatusCode.ALREADY_EXISTS:
            return Sent(delivered=True)
        return Sent(delivered=False, retry=outcome.may_pass, problem=outcome.problem(channel.target))
    if outcome.message.success:
        return Sent(delivered=True)
    refused = Problem(code=FaultCode.POOL_REFUSED, about=channel.discreet(outcome.message.message))
    return Sent(delivered=False, retry=wants_login(outcome), problem=refused)


class Delivery:
    """Sends for all tasks through whatever session there is."""

    def __init__(self, files: NamedThread) -> None:
        self._files = files
        self._turns: WeakValueDictionary[TaskId, asyncio.Lock] = WeakValueDictionary()
        self._line = asyncio.Lock()

    @property
    def busy(self) -> bool:
        """Whether a result is on its way."""
        return self._line.locked()

    async def output(self, session: Session, task_id: TaskId, text: str) -> Sent:
        """Append text to the task's log: one call at a time for a task (quirk 16)."""
        valid = text.encode("utf-8", "replace").decode("utf-8")
        turn = self._turns.setdefault(task_id, asyncio.Lock())
        async with turn:  # each call ahead has its own time limit
            outcome = await session.call(
                WORKERS + "TaskOutputUpload",
                lambda token: pb.TaskOutputUploadRequest(task_id=task_id, output=valid, token=token),
                pb.TaskOutputUploadResponse.FromString,
                session.deadlines.output_s,
            )
        return sent_of(outcome, session.channel)

    async def result(self, session: Session, task_id: TaskId, archive: Path) -> Sent:
        """Hand over an archive of at most 99 MiB; one at a time, a small one is read meanwhile."""
        outcome = await session.with_token(lambda token: self._upload(session, task_id, archive, token))
        if isinstance(outcome, Problem):
            return Sent(delivered=False, problem=outcome)
        return sent_of(outcome, session.channel)

    async def _upload(
        self, session: Session, task_id: TaskId, archive: Path, token: str
    ) -> Answer[Any] | Failure | Problem:
        request = await self._files.call(_read_ahead, task_id, token, archive)
        async with self._line:  # each ahead has its own time limit
            if request is None:
                request = await self._files.call(result_request, task_id, token, archive)
            return await self._send(session, request, token)

    async def _send(
        self, session: Session, request: bytes | Problem, token: str
    ) -> Answer[Any] | Failure | Problem:
        if isinstance(request, Problem):
            return request
        deadlines = session.deadlines
        return await session.channel.call(
            WORKERS + "TaskResultUpload", request, pb.TaskResultUploadResponse.FromString, token=token,
            limit_s=deadlines.result_s + deadlines.result_per_mib_s * len(request) / MIB,
            own_line=len(request) > OWN_LINE_BYTES,
        )  # fmt: skip


def _read_ahead(task_id: TaskId, token: str, archive: Path) -> bytes | Problem | None:
    """Runs in the files thread. None for an archive too large to be in memory beside one on its way."""
    try:
        if archive.stat().st_size > READ_AHEAD_BYTES:
            return None
    except OSError as error:
        return unreadable(error)
    return result_request(task_id, token, archive)
