"""MasterNodeService: what requesters ask - upload, list, log, stop, result."""

from __future__ import annotations

from collections.abc import Callable

import grpc

from hivemind_worker.model.pool_records import PoolAccount, PoolTask, PoolTaskState
from hivemind_worker.model.task import TaskId, TaskKey, key_of
from hivemind_worker.nursery import NamedThread
from hivemind_worker.pool.local.archives import ArchiveStore
from hivemind_worker.pool.local.book import PoolBook
from hivemind_worker.pool.local.bulk import joined
from hivemind_worker.pool.local.dispatch import Dispatch
from hivemind_worker.pool.local.door import Answer, Caller, Entrance, Rejection
from hivemind_worker.pool.local.identity import Identity
from hivemind_worker.pool.local.limits import TASKS_LISTED, TEXT_BYTES, bad_amounts, bad_task_id, bad_text
from hivemind_worker.pool.local.stops import Stops
from hivemind_worker.pool.local.task_log import TaskLog
from hivemind_worker.pool.local.turns import Turns
from hivemind_worker.pool.pb import nodepool_pb2 as pb

UNKNOWN = "No task of that id is known."
NOT_YOURS = "This task belongs to another account."
LOG_CUT_HEADER = "hivemind-log-cut-bytes"


class Requests:
    """The five calls of MasterNodeService."""

    def __init__(
        self,
        *,
        book: PoolBook,
        identity: Identity,
        archives: ArchiveStore,
        files: NamedThread,
        dispatch: Dispatch,
        stops: Stops,
        task_log: TaskLog,
        turns: Turns,
        clock: Callable[[], float],
    ) -> None:
        self._book, self._identity, self._archives, self._files = book, identity, archives, files
        self._dispatch, self._stops, self._log = dispatch, stops, task_log
        self._turns, self._clock = turns, clock

    def entrances(self) -> dict[str, Entrance]:
        """The service's methods for the door."""
        return {
            "UploadTask": Entrance(
                request=pb.UploadTaskRequest,
                method=self.upload,
                bulk_field=pb.UploadTaskRequest.TASK_ZIP_FIELD_NUMBER,
            ),
            "GetTaskResult": Entrance(request=pb.GetTaskResultRequest, method=self.result),
            "GetAllUserTasks": Entrance(request=pb.GetAllUserTasksRequest, method=self.tasks),
            "StopTask": Entrance(request=pb.StopTaskRequest, method=self.stop),
            "GetTasklog": Entrance(request=pb.TasklogRequest, method=self.log),
        }

    async def upload(
        self, request: pb.UploadTaskRequest, content: memoryview, caller: Caller
    ) -> pb.UploadTaskResponse:
        """Keep a new task and offer it at once."""
        account = await self._identity.of(request.token, caller.bearer)
        if not isinstance(account, PoolAccount):
            return pb.UploadTaskResponse(success=False, message=account)
        reason = _reason_against(request, content) or await self._keep(request, content, account)
        if reason is not None:
            return pb.UploadTaskResponse(success=False, message=reason)
        self._dispatch.wake()
        return pb.UploadTaskResponse(success=True, message="The task waits for a worker.")

    async def _keep(
        self, request: pb.UploadTaskRequest, content: memoryview, account: PoolAccount
    ) -> str | None:
        task = _task(request, len(content), account, self._clock())
        async with self._turns.of(task.key):
            if await self._book.task(task.key) is not None:
                return "A task of this id is known already: choose another id."
            if not await self._archives.has_room(len(content)):
                return "The pool's disk is full."
            await self._archives.keep_task(task.key, content)
            if not await self._book.add_task(task):
                return "A task of this id is known already: choose another id."
        await self._log.system(task.key, f"Received, {len(content)} bytes.")
        return None

    async def _owned(self, untrusted_id: str, *untrusted_tokens: str) -> PoolTask | tuple[str, bool]:
        """The caller's task, or why not and whether the token is the reason."""
        account = await self._identity.of(*untrusted_tokens)
        if not isinstance(account, PoolAccount):
            return account, True
        task = await self._book.task(key_of(TaskId(untrusted_id)))
        if task is None:
            return UNKNOWN, False
        return task if task.owner == account.name else (NOT_YOURS, False)

    async def result(
        self, request: pb.GetTaskResultRequest, caller: Caller
    ) -> pb.GetTaskResultResponse | Answer:
        """The result archive of the caller's task, whatever the task's state."""
        task = await self._owned(request.task_id, request.token, caller.bearer)
        if isinstance(task, tuple):
            return pb.GetTaskResultResponse(success=False, message=task[0])
        if not task.has_result:
            text = f"There is no result: the task is {task.state}. {task.message}".strip()
            return pb.GetTaskResultResponse(success=False, message=text)
        number = pb.GetTaskResultResponse.RESULT_ZIP_FIELD_NUMBER
        answer = pb.GetTaskResultResponse(success=True, message="OK")
        try:
            async with self._archives.result(task.key, task.result_sha256) as file:
                return Answer(message=await self._files.call(joined, answer, number, file))
        except FileNotFoundError:
            return pb.GetTaskResultResponse(success=False, message="The result is gone from the pool's disk.")

    async def tasks(
        self, request: pb.GetAllUserTasksRequest, caller: Caller
    ) -> pb.GetAllTasksResponse | Rejection:
        """The caller's last 100 tasks, newest first."""
        account = await self._identity.of(request.token, caller.bearer)
        if not isinstance(account, PoolAccount):
            # The message has no place for a refusal, and an empty list would be a lie.
            return Rejection(status=grpc.StatusCode.UNAUTHENTICATED, text=account)
        found = await self._book.tasks_of(account.name, TASKS_LISTED)
        return pb.GetAllTasksResponse(tasks=[_line(task) for task in found])

    async def stop(self, request: pb.StopTaskRequest, caller: Caller) -> pb.StopTaskResponse:
        """STOPPED at once; the worker is told meanwhile, and what it still sends is kept."""
        task = await self._owned(request.task_id, request.token, caller.bearer)
        if isinstance(task, tuple):
            return pb.StopTaskResponse(success=False, message=task[0])
        if not await self._book.end(
            task.key, PoolTaskState.STOPPED, "Stopped by its requester.", self._clock()
        ):
            now = await self._book.task(task.key)
            return pb.StopTaskResponse(
                success=False, message=f"The task has ended already: {now.state if now else UNKNOWN}."
            )
        await self._log.system(task.key, "Stopped by its requester.")
        await self._let_go(task.key)
        return pb.StopTaskResponse(success=True, message="Stopped.")

    async def _let_go(self, key: TaskKey) -> None:
        self._dispatch.ended(key)
        now = await self._book.task(key)
        if now is not None and now.node_id:
            self._stops.tell(now)
        else:
            await self._archives.remove_task(key)

    async def log(self, request: pb.TasklogRequest, caller: Caller) -> Answer | Rejection:
        """The last 1 MiB of the task's log. This call says no by gRPC status, as the original does."""
        task = await self._owned(request.task_id, request.token, caller.bearer)
        if isinstance(task, tuple):
            text, is_token = task
            unknown = grpc.StatusCode.NOT_FOUND if text == UNKNOWN else grpc.StatusCode.PERMISSION_DENIED
            return Rejection(status=grpc.StatusCode.UNAUTHENTICATED if is_token else unknown, text=text)
        cut_bytes, text = await self._log.read(task.key)
        # With this number a follower knows exactly what it has seen, however much was cut off.
        return Answer(
            message=pb.TasklogResponse(success=True, log=text),
            trailing=((LOG_CUT_HEADER, str(cut_bytes)),),
        )


def _reason_against(request: pb.UploadTaskRequest, content: memoryview) -> str | None:
    return (
        bad_task_id(request.task_id)
        or ("The archive is empty." if not content else None)
        or bad_amounts(
            memory_gb=request.memory_gb,
            cpu_score=request.cpu_score,
            gpu_score=request.gpu_score,
            gpu_memory_gb=request.gpu_memory_gb,
        )
        or bad_text("location", request.location, TEXT_BYTES, empty=True)
        or bad_text("GPU name", request.gpu_name, TEXT_BYTES, empty=True)
    )


def _task(request: pb.UploadTaskRequest, size: int, account: PoolAccount, at_s: float) -> PoolTask:
    task_id = TaskId(request.task_id)
    return PoolTask(
        key=key_of(task_id),
        task_id=task_id,
        owner=account.name,
        state=PoolTaskState.PENDING,
        archive_bytes=size,
        cpu_score=request.cpu_score,
        memory_gb=request.memory_gb,
        gpu_score=request.gpu_score,
        gpu_memory_gb=request.gpu_memory_gb,
        gpu_name=request.gpu_name,
        location=request.location,
        uploaded_at_s=at_s,
    )


def _line(task: PoolTask) -> pb.TaskInfo:
    # worker_ip carries the node's id, as at other pools.
    return pb.TaskInfo(
        task_id=task.task_id, status=task.state.value, message=task.message, worker_ip=task.node_id
    )
