"""Tasks under /api/v1: pages of them, each with its story, output and result, and stopping one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, BinaryIO

from aiohttp import web

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.metrics import Place
from hivemind_worker.model.task import Task, TaskKey, TaskState
from hivemind_worker.nursery import NamedThread
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.plain_text import shown_log
from hivemind_worker.presentation.rows import uses_now, v1_task
from hivemind_worker.presentation.story import story_report
from hivemind_worker.web.actions import done_report
from hivemind_worker.web.answers import HEADERS, Refusal, answer, refusal, refuse
from hivemind_worker.web.asked import object_of, task_id_of
from hivemind_worker.web.document import Choice, Doc, Text, Whole, good
from hivemind_worker.web.files import PIECE_BYTES, WholeLines, file_bytes, open_result, read_log
from hivemind_worker.web.routes import Access, Route
from hivemind_worker.web.schemas import DONE, LOG_PIECE, NOTHING, RECEIPT, STORY, TASKS, ref
from hivemind_worker.web.wishes import find_task, pause, stop

if TYPE_CHECKING:
    from hivemind_worker.engine.face import NodeFace

WRITE_LIMIT_S = 30.0
TASK = "/api/v1/tasks/{id:[^/]+}"
ALL, OPEN, ENDED = "all", "open", "ended"
STATE = Choice(
    "state", "all (default), open, ended, or one state. Of a single state a page may be short.", ALL,
    (ALL, OPEN, ENDED, *(state.value.lower() for state in TaskState)),
)  # fmt: skip
LIMIT = Whole("limit", "Ended tasks on a page at most; the first page has all open ones besides.", 50, 1, 200)
CURSOR = Text("cursor", "`next` of the page before.", r"^[0-9]{1,12}\.[0-9]{1,9}-[0-9a-f]{32}$")
OFFSET = Whole("offset", "First byte of the piece.", 0, 0, 1 << 60)
PIECE = Whole("limit", "Bytes of the piece at most.", PIECE_BYTES, 64, 1 << 20)
TAIL = Whole("tail", "Instead of `offset`: begin so many bytes before the end.", None, 1, 1 << 20)
BINARY = {"type": "string", "format": "binary"}
TEXT = {"type": "string"}
GONE = (HTTPStatus.NOT_FOUND,)
Answering = Callable[[web.Request, Task], Awaitable[web.StreamResponse]]


class TaskRoutes:
    """The routes. Files are read in the given thread."""

    def __init__(self, node: NodeFace, files: NamedThread, clock: Callable[[], float]) -> None:
        self._node = node
        self._files = files
        self._clock = clock

    def table(self) -> list[Route]:
        """The routes."""
        return [
            Route(method="GET", path="/api/v1/tasks", handler=self.tasks, doc=Doc(
                summary="Open tasks, then the ended ones, newest first", tag="tasks",
                query=(STATE, LIMIT, CURSOR), answers=good("A page.", TASKS))),
            Route(method="GET", path=TASK, handler=self._of_task(self.task), doc=Doc(
                summary="All that is known of a task", tag="tasks", problems=GONE,
                answers=good("The task.", ref("TaskDetail")))),
            Route(method="GET", path=TASK + "/story", handler=self._of_task(self.story), doc=Doc(
                summary="What happened to a task, oldest first", tag="tasks", problems=GONE,
                answers=good("The story.", STORY))),
            Route(method="GET", path=TASK + "/logs", handler=self._of_task(self.logs), doc=Doc(
                summary="A piece of what a task has printed", tag="tasks", query=(OFFSET, PIECE, TAIL),
                problems=GONE, answers=good("The piece.", LOG_PIECE))),
            Route(
                method="GET", path=TASK + "/output", handler=self._of_task(self.output), stream=True,
                doc=Doc(summary="All that a task has printed, as a text to save", tag="tasks", problems=GONE,
                        answers=good("The text.", TEXT, "text/plain"))),
            Route(
                method="GET", path=TASK + "/result", handler=self._of_task(self.result), stream=True,
                doc=Doc(summary="The packed result", tag="tasks", problems=GONE,
                        answers=good("The archive.", BINARY, "application/zip"))),
            *(
                Route(method="POST", path=f"{TASK}/{word}", handler=self._of_task(handler),
                      access=Access.OWNER, doc=Doc(
                          summary=summary, tag="tasks", body=NOTHING, problems=(*GONE, HTTPStatus.CONFLICT),
                          answers=good("Done, and durable.", DONE)))
                for word, handler, summary in (
                    ("pause", self.pause, "Freeze one task alone; no error when it has ended"),
                    ("resume", self.resume, "Let one task go on that was paused alone"))
            ),
            Route(method="GET", path=TASK + "/receipt", handler=self._of_task(self.receipt), doc=Doc(
                summary="What ran here, signed", tag="tasks", problems=GONE,
                answers=good("The receipt.", RECEIPT))),
            Route(
                method="POST", path=TASK + "/stop", handler=self._of_task(self.stop), access=Access.OWNER,
                doc=Doc(summary="Have a task end; no error when it has", tag="tasks", body=NOTHING,
                        problems=(*GONE, HTTPStatus.CONFLICT), answers=good("It is being stopped.", DONE))),
        ]  # fmt: skip

    def _of_task(self, answering: Answering) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def route(request: web.Request) -> web.StreamResponse:
            task = await find_task(self._node, task_id_of(request, "v1"))
            if isinstance(task, Refusal):
                return refuse(request.path, task)
            return await answering(request, task)

        return route

    # --- pages --------------------------------------------------------------------------------

    async def tasks(self, request: web.Request) -> web.Response:
        """A page: with the first come all that have not ended."""
        state, limit, place = STATE.read(request), LIMIT.read(request), _place(request)
        if isinstance(state, Refusal):
            return refuse(request.path, state)
        if isinstance(limit, Refusal):
            return refuse(request.path, limit)
        if isinstance(place, Refusal):
            return refuse(request.path, place)
        rows = [] if place else self._open(state)
        following = None
        only = None if state in (ALL, OPEN, ENDED) else TaskState(state.upper())
        if state in (ALL, ENDED) or (only is not None and only.has_ended):
            page = await self._node.ended_page(limit or 1, place, only)
            rows += page.tasks
            following = page.following
        now_s = self._clock()
        values = [v1_task(task, now_s) for task in rows]
        return answer({"tasks": values, "next": None if following is None else _cursor(following)})

    def _open(self, state: str) -> list[Task]:
        """Those that have not ended, the newest first."""
        wanted = None if state in (ALL, OPEN) else state.upper()
        unended = [task for task in self._node.snapshot().tasks if not task.state.has_ended]
        return [task for task in reversed(unended) if wanted in (None, task.state.value)]

    # --- one task -----------------------------------------------------------------------------

    async def task(self, _request: web.Request, task: Task) -> web.Response:
        """All that is known of a task."""
        archive, log = self._node.result_archive(task.key), self._node.output_log(task.key)
        result_bytes, log_bytes = await self._files.call(lambda: (file_bytes(archive), file_bytes(log)))
        row = v1_task(task, self._clock())
        uses = uses_now(self._node.task_figures(task))
        return answer(
            {**row, "result_kept": result_bytes is not None, "log_bytes": log_bytes or 0, "uses": uses}
        )

    async def story(self, _request: web.Request, task: Task) -> web.Response:
        """What happened to a task, and where its files are."""
        lines = await self._node.story(task.key)
        folder = str(self._node.output_log(task.key).parent)
        return answer(story_report(task, lines, self._clock(), folder))

    async def logs(self, request: web.Request, task: Task) -> web.Response:
        """A piece of a task's output. `ended`: this piece is the last one, for ever."""
        offset, limit, tail = OFFSET.read(request), PIECE.read(request), TAIL.read(request)
        if isinstance(offset, Refusal):
            return refuse(request.path, offset)
        if isinstance(limit, Refusal):
            return refuse(request.path, limit)
        if isinstance(tail, Refusal):
            return refuse(request.path, tail)
        # The state was read before the file is: what ended then has written everything by now.
        final = task.state.has_ended
        path = self._node.output_log(task.key)
        if tail is not None:
            offset = max(0, (await self._files.call(file_bytes, path) or 0) - tail)
        begin = offset or 0
        piece = await self._files.call(lambda: read_log(path, begin, limit or 64, final=final))
        return answer({
            "text": piece.text, "offset": begin, "next": piece.next_offset, "size": piece.size,
            "ended": final and piece.at_end, "kept": piece.kept, "status": task.state.value,
        })  # fmt: skip

    async def result(self, request: web.Request, task: Task) -> web.StreamResponse:
        """The packed result as a file to save."""
        opened = await self._files.call(open_result, self._node.result_archive(task.key))
        if opened is None:
            return refuse(request.path, refusal(HTTPStatus.NOT_FOUND, "", FaultCode.NO_RESULT))
        file, size = opened
        response = _attachment(f"result-{task.key[:8]}.zip", "application/zip")
        response.content_length = size
        try:
            return await self._stream(request, response, file, size, bytes)
        finally:
            await self._files.call(file.close)

    async def output(self, request: web.Request, task: Task) -> web.StreamResponse:
        """What it has printed until now, as pages show it: without orders to a terminal."""
        opened = await self._files.call(open_result, self._node.output_log(task.key))
        if opened is None:
            return refuse(
                request.path, refusal(HTTPStatus.NOT_FOUND, _("No output of this task is kept here."))
            )
        file, size = opened
        response = _attachment(f"log-{task.key[:8]}.txt", "text/plain")
        response.charset = "utf-8"
        lines = WholeLines(size)
        try:
            return await self._stream(
                request, response, file, size, lambda piece: shown_log(lines.add(piece)).encode()
            )
        finally:
            await self._files.call(file.close)

    async def _stream(
        self, request: web.Request, response: web.StreamResponse, file: BinaryIO, size: int,
        shown: Callable[[bytes], bytes],
    ) -> web.StreamResponse:  # fmt: skip
        """The first `size` bytes, each piece as it is `shown`."""
        await response.prepare(request)
        left = size
        while left and (piece := await self._files.call(file.read, min(left, PIECE_BYTES))):
            left -= len(piece)
            async with asyncio.timeout(WRITE_LIMIT_S):
                await response.write(shown(piece))
        return response

    async def receipt(self, request: web.Request, task: Task) -> web.Response:
        """The signed receipt of an ended task."""
        found = await self._node.receipt(task.key)
        if found is None:
            return refuse(request.path, refusal(HTTPStatus.NOT_FOUND, "", FaultCode.NO_RECEIPT))
        return answer(found)

    async def pause(self, request: web.Request, task: Task) -> web.Response:
        """Freeze one task."""
        return await self._pause_or_resume(request, task, paused=True)

    async def resume(self, request: web.Request, task: Task) -> web.Response:
        """Let one task go on."""
        return await self._pause_or_resume(request, task, paused=False)

    async def _pause_or_resume(self, request: web.Request, task: Task, *, paused: bool) -> web.Response:
        body = await object_of(request, ())
        done = (
            body if isinstance(body, Refusal) else await pause(self._node, task, self._clock(), paused=paused)
        )
        if isinstance(done, Refusal):
            return refuse(request.path, done)
        return answer(done_report(self._node.snapshot(), done))

    async def stop(self, request: web.Request, task: Task) -> web.Response:
        """Have one task end."""
        body = await object_of(request, ())
        done = body if isinstance(body, Refusal) else await stop(self._node, task, self._clock())
        if isinstance(done, Refusal):
            return refuse(request.path, done)
        return answer(done_report(self._node.snapshot(), done))


def _attachment(name: str, kind: str) -> web.StreamResponse:
    """Something to save. The name is of our own letters: a task's id is anybody's text."""
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    response = web.StreamResponse(headers=headers)
    response.content_type = kind
    return response


def _cursor(place: Place) -> str:
    return f"{place.ended_at_s!r}-{place.key}"


def _place(request: web.Request) -> Place | Refusal | None:
    text = request.query.get(CURSOR.name)
    if text is None:
        return None
    if not re.fullmatch(CURSOR.pattern[1:-1], text, re.ASCII):
        return refusal(HTTPStatus.BAD_REQUEST, "cursor must be the `next` of another page.")
    ended_at_s, _dash, key = text.partition("-")
    return Place(ended_at_s=float(ended_at_s), key=TaskKey(key))
