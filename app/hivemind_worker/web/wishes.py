"""What a caller wishes of the engine, as both route families ask it. Answers are values."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from hivemind_worker.model.effects import Refused
from hivemind_worker.model.events import StopAsked, TaskPauseAsked
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import StopReason, Task, TaskId
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.web.answers import Refusal, refusal

if TYPE_CHECKING:
    from hivemind_worker.engine.face import Command, NodeFace

UNKNOWN = refusal(HTTPStatus.NOT_FOUND, "", FaultCode.UNKNOWN_TASK)


async def find_task(node: NodeFace, task_id: TaskId | None) -> Task | Refusal:
    """The task of this id, or the refusal that says that there is none."""
    task = await node.find_task(task_id) if task_id else None
    return task or UNKNOWN


async def wish(node: NodeFace, command: Command) -> Refusal | None:
    """Ask the engine; None when it agreed, and then the wish is durable."""
    reply = await node.ask(command)
    if not isinstance(reply, Refused):
        return None
    unknown = reply.problem.code is FaultCode.UNKNOWN_TASK
    return Refusal(status=HTTPStatus.NOT_FOUND if unknown else HTTPStatus.CONFLICT, problem=reply.problem)


async def stop(node: NodeFace, task: Task, now_s: float) -> str | Refusal:
    """Have a task end; stopping one that has ended is no error. Returns the sentence for the caller."""
    if task.state.has_ended:
        return _("Task {id} had ended before: {state}.", id=task.task_id, state=task.state.value)
    refused = await wish(node, StopAsked(at_s=now_s, key=task.key, reason=StopReason.OWNER))
    return refused or _("Task {id} is being stopped.", id=task.task_id)


async def pause(node: NodeFace, task: Task, now_s: float, *, paused: bool) -> str | Refusal:
    """Have one task wait, or go on; one that has ended stays as it is. Returns the caller's sentence."""
    if task.state.has_ended:
        return _("Task {id} had ended before: {state}.", id=task.task_id, state=task.state.value)
    refused = await wish(node, TaskPauseAsked(at_s=now_s, key=task.key, paused=paused))
    if refused is not None:
        return refused
    if paused:
        return _("Task {id} is paused until you resume it.", id=task.task_id)
    return _("Task {id} goes on as soon as nothing else holds it.", id=task.task_id)
