"""The owner as a requester: a folder is packed, sent to the active pool, followed, its result fetched.

What was sent is kept, so that a restart goes on following. Pool, packing and store are handed in.
Never raises; trouble is a `Problem` of the sending. Counterpart: pool.requester.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.sending import Sending, SendStep
from hivemind_worker.model.task import Problem, TaskId, key_of
from hivemind_worker.nursery import NamedThread, Nursery

MOST_KEPT = 50
MOST_LINES = 5000
LOOK_EVERY_S = 1.0
LATE_RESULT_S = 20.0  # a stopped worker still packs what it has
STEPS = {"PENDING": SendStep.WAITING, "RUNNING": SendStep.RUNNING}
ENDS = {
    "COMPLETED": SendStep.COMPLETED,
    "FAILED": SendStep.FAILED,
    "STOPPED": SendStep.STOPPED,
}
NOT_SENT = Problem(code=FaultCode.INTERRUPTED, about="it had not been sent yet")
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Seen(Protocol):
    """A task as the pool lists it."""

    @property
    def task_id(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def message(self) -> str: ...

    @property
    def node(self) -> str: ...


class Requester(Protocol):
    """One account's conversation with a pool; signed in."""

    async def upload(self, task_id: str, archive: Path, demand: Any) -> Problem | None: ...

    async def status(self, task_id: str) -> Any: ...

    def follow(self, task_id: str) -> AsyncIterator[str]: ...

    async def wait(self, task_id: str) -> Any: ...

    async def fetch(self, task_id: str, file: Path) -> Problem | None: ...

    async def stop(self, task_id: str) -> Problem | None: ...

    async def close(self) -> None: ...


class Bundled(Protocol):
    """A packed folder."""

    @property
    def archive(self) -> Path: ...

    @property
    def size(self) -> int: ...

    @property
    def skipped(self) -> tuple[str, ...]: ...


Connect = Callable[[str], Awaitable[Requester | Problem]]
"""Opens a signed-in conversation with the pool at an address, under the account kept for it."""

Unpack = Callable[[Path, Path], Problem | None]


async def fetch_unpacked(
    requester: Requester, seen: Seen, out: Path, unpack: Unpack, files: NamedThread
) -> Path | Problem:
    """The new folder with the unpacked result; an archive that is refused stays as a .zip beside it."""
    name = seen.task_id if SAFE_NAME.fullmatch(seen.task_id) else key_of(TaskId(seen.task_id))
    archive, folder = out / f"{name}.zip", out / name
    if folder.exists() or archive.exists():
        return Problem(code=FaultCode.NO_PERMISSION, about=f"{folder} is there already")
    problem = await requester.fetch(seen.task_id, archive)
    loop = asyncio.get_running_loop()
    until_s = loop.time() + (LATE_RESULT_S if seen.status == "STOPPED" and seen.node else 0.0)
    while problem is not None and problem.code is FaultCode.POOL_REFUSED and loop.time() < until_s:
        await asyncio.sleep(LOOK_EVERY_S)
        problem = await requester.fetch(seen.task_id, archive)
    return problem or await files.call(_opened, unpack, archive, folder) or folder


def _opened(unpack: Unpack, archive: Path, folder: Path) -> Problem | None:
    problem = unpack(archive, folder)
    if problem is None:
        archive.unlink()
        return None
    return Problem(code=problem.code, about=f"{problem.about} (it is kept, unopened, as {archive})")


class Sendings:
    """All that was sent, newest first. Use from the loop's thread only.

    `keep` takes the list whenever it changes, `changed` tells front ends; `folder` takes the results.
    """

    def __init__(
        self, *, folder: Path, connect: Connect, pack: Callable[[Path, Path], Bundled | Problem],
        unpack: Unpack, new_id: Callable[[], str], demand: object, files: NamedThread, nursery: Nursery,
        clock: Callable[[], float], keep: Callable[[tuple[Sending, ...]], Coroutine[Any, Any, None]],
        changed: Callable[[], None],
    ) -> None:  # fmt: skip
        self._folder, self._connect, self._pack, self._unpack = folder, connect, pack, unpack
        self._new_id, self._demand, self._files, self._nursery = new_id, demand, files, nursery
        self._clock, self._keep, self._changed = clock, keep, changed
        self._sent: dict[str, Sending] = {}
        self._lines: dict[str, deque[str]] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}

    def all(self) -> tuple[Sending, ...]:
        """What is under way and what has ended, newest first."""
        return tuple(reversed(self._sent.values()))

    def lines(self, task_id: str) -> tuple[str, ...]:
        """The task's log as far as it was followed in this run of the worker, at most 5,000 lines."""
        return tuple(self._lines.get(task_id, ()))

    def send(self, path: Path, pool: str) -> Sending:
        """Start sending a folder or a .zip; returns at once."""
        sending = Sending(
            task_id=self._new_id(), name=path.name or str(path), path=str(path), pool=pool,
            step=SendStep.PACKING, reached=((SendStep.PACKING, self._clock()),),
        )  # fmt: skip
        self._put(sending)
        self._start(sending.task_id, self._see_through(sending.task_id, path))
        return sending

    def take_up(self, kept: Iterable[Sending]) -> None:
        """What an earlier run of the worker has sent, newest first: it is followed to its end."""
        for sending in reversed(tuple(kept)):
            self._sent.setdefault(sending.task_id, sending)
            if sending.step is SendStep.PACKING:
                self._end(sending.task_id, SendStep.FAILED, problem=NOT_SENT)
            elif not sending.step.has_ended:
                self._start(sending.task_id, self._follow_on(sending.task_id))

    async def stop(self, task_id: str) -> Problem | None:
        """Have the pool stop the task; one that is not there yet is not sent."""
        sending = self._sent.get(task_id)
        if sending is None or sending.step.has_ended:
            return Problem(code=FaultCode.UNKNOWN_TASK)
        if sending.step in (SendStep.PACKING, SendStep.UPLOADING):
            self._under_way[task_id].cancel()
            self._end(task_id, SendStep.STOPPED)
            return None
        requester = await self._connect(sending.pool)
        if isinstance(requester, Problem):
            return requester
        async with _closing(requester):
            return await requester.stop(task_id)

    # --- one task ---------------------------------------------------------------------------

    def _start(self, task_id: str, work: Any) -> None:
        self._lines[task_id] = deque(maxlen=MOST_LINES)
        self._under_way[task_id] = self._nursery.start(f"sending {task_id}", work)

    async def _see_through(self, task_id: str, path: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="hivemind-send-", ignore_cleanup_errors=True) as scratch:
            packed = await self._files.call(self._pack, path, Path(scratch))
            if isinstance(packed, Problem):
                self._end(task_id, SendStep.FAILED, problem=packed)
                return
            self._move(task_id, SendStep.UPLOADING, packed_bytes=packed.size, skipped=packed.skipped)
            requester = await self._connect(self._sent[task_id].pool)
            if isinstance(requester, Problem):
                self._end(task_id, SendStep.FAILED, problem=requester)
                return
            async with _closing(requester):
                problem = await requester.upload(task_id, packed.archive, self._demand)
                if problem is not None:
                    self._end(task_id, SendStep.FAILED, problem=problem)
                    return
                self._move(task_id, SendStep.WAITING)
                await self._follow(requester, task_id)

    async def _follow_on(self, task_id: str) -> None:
        requester = await self._connect(self._sent[task_id].pool)
        if isinstance(requester, Problem):  # another start, or another pool in use then, may reach it
            self._put(replace(self._sent[task_id], problem=requester))
            return
        async with _closing(requester):
            if self._sent[task_id].step is SendStep.UPLOADING and not await self._has_arrived(
                requester, task_id
            ):
                return
            await self._follow(requester, task_id)

    async def _has_arrived(self, requester: Requester, task_id: str) -> bool:
        """The worker ended while it was uploading: the pool's list tells whether it got there."""
        seen = await requester.status(task_id)
        if isinstance(seen, Problem):
            self._end(task_id, SendStep.FAILED, problem=NOT_SENT)
            return False
        self._move(task_id, SendStep.WAITING)
        return True

    async def _follow(self, requester: Requester, task_id: str) -> None:
        looking = self._nursery.start(f"look {task_id}", self._look(requester, task_id))
        try:
            async for line in requester.follow(task_id):
                self._lines[task_id].append(line)
                self._changed()
        finally:
            looking.cancel()
        seen = await requester.wait(task_id)
        if isinstance(seen, Problem):
            self._end(task_id, SendStep.FAILED, problem=seen)
            return
        await self._fetch(requester, seen)

    async def _look(self, requester: Requester, task_id: str) -> None:
        """Notice that it has begun to run, and where."""
        while True:
            seen = await requester.status(task_id)
            if not isinstance(seen, Problem):
                step = STEPS.get(seen.status)
                if step is not None and step is not self._sent[task_id].step:
                    self._move(task_id, step, node=seen.node, message=seen.message)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _fetch(self, requester: Requester, seen: Seen) -> None:
        task_id, end = seen.task_id, ENDS.get(seen.status, SendStep.FAILED)
        if SendStep.RUNNING not in dict(self._sent[task_id].reached) and end is SendStep.COMPLETED:
            self._move(task_id, SendStep.RUNNING)
        self._move(task_id, SendStep.FETCHING, node=seen.node, message=seen.message)
        try:
            await self._files.call(lambda: self._folder.mkdir(mode=0o700, parents=True, exist_ok=True))
        except OSError as error:
            about = f"{self._folder} ({error.strerror})"
            self._end(task_id, SendStep.FAILED, problem=Problem(code=FaultCode.NO_PERMISSION, about=about))
            return
        folder = await fetch_unpacked(requester, seen, self._folder, self._unpack, self._files)
        if isinstance(folder, Problem):
            self._end(task_id, SendStep.FAILED if end is SendStep.COMPLETED else end, problem=folder)
        else:
            self._end(task_id, end, result=str(folder))

    # --- the list ---------------------------------------------------------------------------

    def _move(self, task_id: str, step: SendStep, **changes: object) -> None:
        self._put(self._sent[task_id].moved(step, self._clock(), **changes))

    def _end(self, task_id: str, step: SendStep, **changes: object) -> None:
        self._move(task_id, step, **changes)
        self._under_way.pop(task_id, None)

    def _put(self, sending: Sending) -> None:
        self._sent[sending.task_id] = sending
        for task_id in [key for key, each in self._sent.items() if each.step.has_ended][:-MOST_KEPT]:
            del self._sent[task_id]
            self._lines.pop(task_id, None)
        self._nursery.start("keep sendings", self._keep(self.all()))
        self._changed()


@asynccontextmanager
async def _closing(requester: Requester) -> AsyncIterator[None]:
    """Ends the conversation, whatever happens in it."""
    try:
        yield
    finally:
        await requester.close()
