"""WorkerNodeService as a pool serves it: output and results of tasks from those that hold them.

Unlike the original, a caller must be the account whose node holds the task, and one
result is kept for each task.
"""

from __future__ import annotations

from collections.abc import Callable

from hivemind_worker.model.pool_records import PoolAccount, PoolResult, PoolTask, PoolTaskState
from hivemind_worker.model.task import TaskId, key_of
from hivemind_worker.nursery import NamedThread
from hivemind_worker.pool.local.archives import ArchiveStore, Report, sha256
from hivemind_worker.pool.local.book import PoolBook
from hivemind_worker.pool.local.dispatch import Dispatch
from hivemind_worker.pool.local.door import Caller, Entrance
from hivemind_worker.pool.local.identity import Identity
from hivemind_worker.pool.local.pay import reward
from hivemind_worker.pool.local.requests import UNKNOWN
from hivemind_worker.pool.local.task_log import TaskLog
from hivemind_worker.pool.local.turns import Turns
from hivemind_worker.pool.pb import nodepool_pb2 as pb

NOT_ASSIGNED = "This task is not assigned to a node of your account."
NO_WORKER = "A pool does not run tasks."
ENDS = {
    PoolTaskState.FAILED: (
        "The worker reports that the task failed: {reason}",
        "The worker reports that the task failed; see its log.",
    ),
    PoolTaskState.STOPPED: (
        "The worker reports: {reason}",
        "The worker reports that the task was stopped.",
    ),
}
"""With the worker's reason, and where it gives none."""
FOUND = tuple[PoolTask, str, PoolAccount]  # the task, the node that holds it, the node's account


def end_message(report: Report) -> str:
    """What a task's requester is told of its end, with the worker's reason where it gave one."""
    if report.state not in ENDS:
        return "Completed."
    with_reason, bare = ENDS[report.state]
    return with_reason.format(reason=report.reason) if report.reason else bare


class Workers:
    """The six calls of WorkerNodeService."""

    def __init__(
        self,
        *,
        book: PoolBook,
        identity: Identity,
        archives: ArchiveStore,
        files: NamedThread,
        dispatch: Dispatch,
        task_log: TaskLog,
        turns: Turns,
        clock: Callable[[], float],
        charges: bool,
    ) -> None:
        self._book, self._identity, self._archives, self._files = book, identity, archives, files
        self._dispatch, self._log, self._turns = dispatch, task_log, turns
        self._clock, self._charges = clock, charges

    def entrances(self) -> dict[str, Entrance]:
        """The service's methods for the door."""
        return {
            "ExecuteTask": Entrance(
                request=pb.ExecuteTaskRequest,
                method=self.execute,
                bulk_field=pb.ExecuteTaskRequest.TASK_ZIP_FIELD_NUMBER,
            ),
            "StopTaskExecution": Entrance(request=pb.StopTaskExecutionRequest, method=self.stop),
            "TaskOutputUpload": Entrance(request=pb.TaskOutputUploadRequest, method=self.output),
            "TaskResultUpload": Entrance(
                request=pb.TaskResultUploadRequest,
                method=self.result,
                bulk_field=pb.TaskResultUploadRequest.RESULT_ZIP_FIELD_NUMBER,
            ),
            "TaskUsage": Entrance(request=pb.TaskUsageRequest, method=self.usage),
            "TaskOutput": Entrance(request=pb.TaskOutputRequest, method=self.old_output),
        }

    async def execute(
        self, _request: pb.ExecuteTaskRequest, _content: memoryview, _caller: Caller
    ) -> pb.ExecuteTaskResponse:
        """Refused: the schema has one service for both sides."""
        return pb.ExecuteTaskResponse(success=False, message=NO_WORKER)

    async def stop(
        self, _request: pb.StopTaskExecutionRequest, _caller: Caller
    ) -> pb.StopTaskExecutionResponse:
        """Refused, like ExecuteTask."""
        return pb.StopTaskExecutionResponse(success=False, message=NO_WORKER)

    async def _held(self, untrusted_id: str, *untrusted_tokens: str) -> FOUND | str:
        """The task that the caller's node holds, or the reason against it."""
        account = await self._identity.of(*untrusted_tokens)
        if not isinstance(account, PoolAccount):
            return account
        key = key_of(TaskId(untrusted_id))
        task = await self._book.task(key)
        if task is None:
            return UNKNOWN
        node_id = await self._book.holder(key, account.name)
        return NOT_ASSIGNED if node_id is None else (task, node_id, account)

    async def output(
        self, request: pb.TaskOutputUploadRequest, caller: Caller
    ) -> pb.TaskOutputUploadResponse:
        """Append to the task's log."""
        held = await self._held(request.task_id, request.token, caller.bearer)
        if isinstance(held, str):
            return pb.TaskOutputUploadResponse(success=False, message=held)
        await self._log.output(held[0].key, request.output)
        return pb.TaskOutputUploadResponse(success=True, message="OK")

    async def usage(self, request: pb.TaskUsageRequest, caller: Caller) -> pb.TaskUsageResponse:
        """Accepted from a known caller and not kept, as at the original pool."""
        account = await self._identity.of(request.token, caller.bearer)
        if not isinstance(account, PoolAccount):
            return pb.TaskUsageResponse(success=False, message=account)
        return pb.TaskUsageResponse(success=True, message="OK")

    async def old_output(self, request: pb.TaskOutputRequest, caller: Caller) -> pb.TaskOutputResponse:
        """Accepted from a known caller and not kept: TaskOutputUpload is the one that counts."""
        account = await self._identity.of(request.token, caller.bearer)
        if not isinstance(account, PoolAccount):
            return pb.TaskOutputResponse(success=False, message=account)
        return pb.TaskOutputResponse(success=True, message="OK")

    async def result(
        self, request: pb.TaskResultUploadRequest, content: memoryview, caller: Caller
    ) -> pb.TaskResultUploadResponse:
        """Keep the one result of a task. The same bytes again are a success, others are refused."""
        held = await self._held(request.task_id, request.token, caller.bearer)
        if isinstance(held, str):
            return pb.TaskResultUploadResponse(success=False, message=held)
        if not content:
            return pb.TaskResultUploadResponse(success=False, message="The result archive is empty.")
        async with self._turns.of(held[0].key):
            reason = await self._keep(held, content)
        return pb.TaskResultUploadResponse(success=reason is None, message=reason or "The result is kept.")

    async def _keep(self, held: FOUND, content: memoryview) -> str | None:
        key = held[0].key
        digest = await self._files.call(sha256, content)
        now = await self._book.task(key)
        if now is not None and now.has_result:
            same = now.result_sha256 == digest
            return None if same else "Another result of this task is kept already."
        if not await self._archives.has_room(len(content)):
            return "The pool's disk is full; send the result again later."
        report = await self._archives.keep_result(key, content, digest)
        await self._finish(held, report, digest, len(content))
        return None

    async def _finish(self, held: FOUND, report: Report, digest: str, size: int) -> None:
        task, node_id, account = held
        result = PoolResult(
            key=task.key,
            node_id=node_id,
            state=report.state,
            message=end_message(report),
            sha256=digest,
            size_bytes=size,
            account=account.name,
            reward=0 if self._charges else reward(task),
            at_s=self._clock(),
        )
        now = await self._book.finish(result)
        await self._log.system(task.key, f"Result received, {size} bytes. The task is {now.state}.")
        self._dispatch.ended(task.key)
        self._dispatch.freed(node_id)
        await self._archives.remove_task(task.key)
