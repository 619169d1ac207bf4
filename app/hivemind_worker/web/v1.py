"""The richer API under /api/v1: state, tasks with story, log and result, the worker's log, wishes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, BinaryIO

from aiohttp import web

from hivemind_worker.model.events import FinishAsked, PauseAsked, ResumeAsked
from hivemind_worker.model.task import Task
from hivemind_worker.nursery import NamedThread
from hivemind_worker.presentation.health import status_word
from hivemind_worker.presentation.rows import v1_task
from hivemind_worker.presentation.status import state_report, verdict_rows
from hivemind_worker.presentation.story import story_report
from hivemind_worker.web.answers import HEADERS, Refusal, answer, refusal, refuse
from hivemind_worker.web.asked import LONGEST_SNOOZE_S, moment, number, object_of, task_id_of, whole_number
from hivemind_worker.web.files import PIECE_BYTES, open_result, read_log
from hivemind_worker.web.routes import Access, Route
from hivemind_worker.web.wishes import find_task, stop, wish

if TYPE_CHECKING:
    from hivemind_worker.engine.face import Command, NodeFace

LOG_LIMITS = (64, 1 << 20)
MAX_OFFSET = 1 << 60
WRITE_LIMIT_S = 30.0
TASK = "/api/v1/tasks/{id:[^/]+}"
Answering = Callable[[web.Request, Task], Awaitable[web.StreamResponse]]


class V1Routes:
    """All routes of /api/v1. Files are read in the given thread."""

    def __init__(self, node: NodeFace, files: NamedThread, clock: Callable[[], float]) -> None:
        self._node = node
        self._files = files
        self._clock = clock

    def table(self) -> list[Route]:
        """The routes."""
        reads = {
            "/api/v1/state": self.state,
            "/api/v1/log": self.log,
            TASK: self._of_task(self.task),
            TASK + "/story": self._of_task(self.story),
            TASK + "/logs": self._of_task(self.logs),
        }
        writes = {
            TASK + "/stop": self._of_task(self.stop),
            "/api/v1/actions/pause": self.pause,
            "/api/v1/actions/resume": self.resume,
            "/api/v1/actions/snooze": self.snooze,
            "/api/v1/actions/finish": self.finish,
            "/api/v1/actions/reconnect": self.reconnect,
        }
        result = self._of_task(self.result)
        return [
            *(Route(method="GET", path=path, handler=read) for path, read in reads.items()),
            Route(method="GET", path=TASK + "/result", handler=result, stream=True),
            *(
                Route(method="POST", path=path, handler=write, access=Access.OWNER)
                for path, write in writes.items()
            ),
        ]

    def _of_task(self, answering: Answering) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def route(request: web.Request) -> web.StreamResponse:
            task = await find_task(self._node, task_id_of(request, "v1"))
            if isinstance(task, Refusal):
                return refuse(request.path, task)
            return await answering(request, task)

        return route

    # --- reading ------------------------------------------------------------------------------

    async def state(self, _request: web.Request) -> web.Response:
        """The whole picture."""
        return answer(state_report(self._node.snapshot()))

    async def log(self, request: web.Request) -> web.Response:
        """Lines of the worker's own log above a number."""
        after = whole_number(request, "after", 0, 0, MAX_OFFSET)
        if isinstance(after, Refusal):
            return refuse(request.path, after)
        entries = self._node.log_entries(after)
        rows = [
            {"number": e.number, "timestamp": e.timestamp, "level": e.level, "message": e.message}
            for e in entries
        ]
        return answer({"entries": rows, "next": entries[-1].number if entries else after})

    async def task(self, _request: web.Request, task: Task) -> web.Response:
        """All that is known of a task."""
        return answer(v1_task(task, self._clock()))

    async def story(self, _request: web.Request, task: Task) -> web.Response:
        """What happened to a task, and where its files are."""
        lines = await self._node.story(task.key)
        folder = str(self._node.output_log(task.key).parent)
        return answer(story_report(task, lines, self._clock(), folder))

    async def logs(self, request: web.Request, task: Task) -> web.Response:
        """A piece of a task's output. `ended`: this piece is the last one, for ever."""
        offset = whole_number(request, "offset", 0, 0, MAX_OFFSET)
        limit = whole_number(request, "limit", PIECE_BYTES, *LOG_LIMITS)
        if isinstance(offset, Refusal):
            return refuse(request.path, offset)
        if isinstance(limit, Refusal):
            return refuse(request.path, limit)
        # The state was read before the file is: what ended then has written everything by now.
        final = task.state.has_ended
        path = self._node.output_log(task.key)
        piece = await self._files.call(lambda: read_log(path, offset, limit, final=final))
        return answer({
            "text": piece.text, "offset": offset, "next": piece.next_offset, "size": piece.size,
            "ended": final and piece.at_end, "kept": piece.kept, "status": task.state.value,
        })  # fmt: skip

    async def result(self, request: web.Request, task: Task) -> web.StreamResponse:
        """The packed result as a file to save."""
        opened = await self._files.call(open_result, self._node.result_archive(task.key))
        if opened is None:
            missing = refusal(HTTPStatus.NOT_FOUND, "No result of this task is kept here now.")
            return refuse(request.path, missing)
        file, size = opened
        try:
            return await self._stream(request, file, size, f"result-{task.key[:8]}.zip")
        finally:
            await self._files.call(file.close)

    async def _stream(self, request: web.Request, file: BinaryIO, size: int, name: str) -> web.StreamResponse:
        headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
        response = web.StreamResponse(headers=headers)
        response.content_type = "application/zip"
        response.content_length = size
        await response.prepare(request)
        left = size
        while left and (piece := await self._files.call(file.read, min(left, PIECE_BYTES))):
            left -= len(piece)
            async with asyncio.timeout(WRITE_LIMIT_S):
                await response.write(piece)
        return response

    # --- wishes -------------------------------------------------------------------------------

    async def stop(self, request: web.Request, task: Task) -> web.Response:
        """Have one task end."""
        body = await object_of(request, ())
        done = body if isinstance(body, Refusal) else await stop(self._node, task, self._clock())
        if isinstance(done, Refusal):
            return refuse(request.path, done)
        return self._done(done)

    async def pause(self, request: web.Request) -> web.Response:
        """Freeze everything, until resumed or until a moment."""
        body = await object_of(request, ("until_s",))
        if isinstance(body, Refusal):
            return refuse(request.path, body)
        now_s = self._clock()
        until = None if body.get("until_s") is None else moment(body["until_s"], "until_s", now_s)
        if isinstance(until, Refusal):
            return refuse(request.path, until)
        return await self._wish(request, PauseAsked(at_s=now_s, until_s=until))

    async def snooze(self, request: web.Request) -> web.Response:
        """Freeze everything for a while: {"minutes": N} or {"until": time}."""
        body = await object_of(request, ("minutes", "until"))
        until = body if isinstance(body, Refusal) else _snooze_end(body, self._clock())
        if isinstance(until, Refusal):
            return refuse(request.path, until)
        return await self._wish(request, PauseAsked(at_s=self._clock(), until_s=until))

    async def resume(self, request: web.Request) -> web.Response:
        """Go on, and take work again."""
        body = await object_of(request, ())
        if isinstance(body, Refusal):
            return refuse(request.path, body)
        return await self._wish(request, ResumeAsked(at_s=self._clock()))

    async def reconnect(self, _request: web.Request) -> web.Response:
        """Look at the login and at the pool now: `login` and `logout` call this."""
        self._node.reconnect()
        return answer(state_report(self._node.snapshot()))

    async def finish(self, request: web.Request) -> web.Response:
        """Let what runs end, then pause; with {"quit": true} the worker ends instead."""
        body = await object_of(request, ("quit",))
        if isinstance(body, Refusal):
            return refuse(request.path, body)
        quit_after = body.get("quit", False)
        if not isinstance(quit_after, bool):
            return refuse(request.path, refusal(HTTPStatus.BAD_REQUEST, "quit must be true or false."))
        return await self._wish(request, FinishAsked(at_s=self._clock(), quit_after=quit_after))

    async def _wish(self, request: web.Request, command: Command) -> web.Response:
        refused = await wish(self._node, command)
        return refuse(request.path, refused) if refused else self._done()

    def _done(self, message: str | None = None) -> web.Response:
        snapshot = self._node.snapshot()
        rows = verdict_rows(snapshot)
        return answer({
            "success": True, "message": message or rows[0]["text"], "status": status_word(snapshot),
            "verdicts": rows,
        })  # fmt: skip


def _snooze_end(body: dict[str, object], now_s: float) -> float | Refusal:
    if len(body) != 1:
        return refusal(HTTPStatus.BAD_REQUEST, "The body must hold either minutes or until.")
    if "until" in body:
        return moment(body["until"], "until", now_s)
    minutes = number(body["minutes"])
    if minutes is None or not 0 < minutes * 60 <= LONGEST_SNOOZE_S:
        return refusal(HTTPStatus.BAD_REQUEST, "minutes must be a number above 0, at most a year.")
    return now_s + minutes * 60
