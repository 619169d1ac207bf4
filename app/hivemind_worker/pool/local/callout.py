"""The pool's calls to workers: ExecuteTask and StopTaskExecution."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

import grpc

from hivemind_worker.model.pool_records import PoolNode, PoolTask
from hivemind_worker.nursery import NamedThread
from hivemind_worker.pool.local.bulk import joined
from hivemind_worker.pool.local.connection import is_connected
from hivemind_worker.pool.local.limits import CONNECT_S, STOP_DEADLINE_S, channel_options, target
from hivemind_worker.pool.pb import nodepool_pb2 as pb

EXECUTE = "/nodepool.WorkerNodeService/ExecuteTask"
STOP = "/nodepool.WorkerNodeService/StopTaskExecution"
ARCHIVE_FIELD = pb.ExecuteTaskRequest.TASK_ZIP_FIELD_NUMBER


class Said(Enum):
    """What a worker answered."""

    YES = auto()
    NO = auto()
    NOTHING = auto()  # it was not reached: it holds nothing
    UNCLEAR = auto()  # the answer was lost: it may hold the task


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerAnswer:
    """A worker's answer and its words."""

    said: Said
    text: str = ""


def deadline_s(archive_bytes: int) -> float:
    """Time for ExecuteTask: 30 s and 2 s a MiB (10 s at least), 120 s at most (protocol section 4)."""
    return min(30.0 + max(2.0 * archive_bytes / 2**20, 10.0), 120.0)


class Callout:
    """Calls workers; a fresh connection each time, for a worker that restarted is reached at once."""

    def __init__(self, files: NamedThread) -> None:
        self._files = files

    async def execute(self, node: PoolNode, task: PoolTask, archive: Path) -> WorkerAnswer:
        """Offer a task.

        Raises:
            OSError: the archive cannot be read.
        """
        request = pb.ExecuteTaskRequest(
            task_id=task.task_id,
            cpu_usage=task.cpu_score,
            gpu_usage=task.gpu_score,
            memory_gb=task.memory_gb,
            gpu_memory_gb=task.gpu_memory_gb,
        )
        async with _channel(node) as channel:
            if not await is_connected(channel, CONNECT_S):
                return WorkerAnswer(said=Said.NOTHING, text="not reachable")
            raw = await self._files.call(joined, request, ARCHIVE_FIELD, archive)
            call = channel.unary_unary(EXECUTE, response_deserializer=pb.ExecuteTaskResponse.FromString)
            return await _answer(call(raw, timeout=deadline_s(task.archive_bytes)))

    async def stop(self, node: PoolNode, task: PoolTask) -> WorkerAnswer:
        """Tell the worker that the requester stopped the task."""
        request = pb.StopTaskExecutionRequest(task_id=task.task_id)
        async with _channel(node) as channel:
            if not await is_connected(channel, CONNECT_S):
                return WorkerAnswer(said=Said.NOTHING, text="not reachable")
            call = channel.unary_unary(
                STOP,
                request_serializer=pb.StopTaskExecutionRequest.SerializeToString,
                response_deserializer=pb.StopTaskExecutionResponse.FromString,
            )
            return await _answer(call(request, timeout=STOP_DEADLINE_S))


def _channel(node: PoolNode) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(target(node.hostname, node.port), options=channel_options())


async def _answer(call: grpc.aio.UnaryUnaryCall) -> WorkerAnswer:
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        # These two may follow work that was done; the others are the server's own word.
        lost = error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)
        return WorkerAnswer(said=Said.UNCLEAR if lost else Said.NO, text=error.code().name)
    return WorkerAnswer(said=Said.YES if answer.success else Said.NO, text=answer.message)
