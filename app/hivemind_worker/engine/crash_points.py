"""Crash points: a test build ends itself like kill -9 at a named step, so that every gap is tried.

`HIVEMIND_CRASH_AT=STEP` counts only beside `HIVEMIND_TEST_BUILD=1` and never in a frozen build: what is
shipped cannot be told to crash. A step is where the journal learns of it: `exited` dies when it has,
`exited-unwritten` just before. Counterpart: tests/drills; no other part knows of this one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from hivemind_worker.engine.ports import Journal, PoolLink
from hivemind_worker.model.history import JournalEntry, StoryLine
from hivemind_worker.model.snapshot import NodeState
from hivemind_worker.model.task import Task, TaskId, TaskKey
from hivemind_worker.model.work import Sent

STEPS = {
    "accepted": "TaskAccepted",
    "unpacked": "Unpacked",
    "started": "RunStarted",
    "exited": "RunEnded",
    "packed": "ResultPacked",
    "acknowledged": "ResultDelivered",
}
UPLOADING = "uploading"
UNWRITTEN = "-unwritten"
UNDER_WAY_S = 0.2  # an upload to a pool that does not answer has sent what it can by then


def crash_step(environment: Mapping[str, str] = os.environ) -> str:
    """The step to die at; empty in everything but a test build that is told to."""
    if getattr(sys, "frozen", False) or environment.get("HIVEMIND_TEST_BUILD") != "1":
        return ""
    return environment.get("HIVEMIND_CRASH_AT", "")


def watched_journal(journal: Journal, step: str) -> Journal:
    """The journal itself, or one that dies at the step."""
    name = step.removesuffix(UNWRITTEN)
    return _DeadlyJournal(journal, STEPS[name], before=step != name) if name in STEPS else journal


def watched_link(link: PoolLink, step: str) -> PoolLink:
    """The link itself, or one that dies in the middle of an upload."""
    return _DeadlyLink(link) if step == UPLOADING else link


def _die() -> NoReturn:
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    raise SystemExit("not reached: the process is dead")


class _DeadlyJournal:
    def __init__(self, journal: Journal, what: str, *, before: bool) -> None:
        self._journal = journal
        self._what = what
        self._before = before

    async def commit(self, entry: JournalEntry) -> None:
        comes = any(line.what == self._what for line in entry.lines)
        if comes and self._before:
            _die()
        await self._journal.commit(entry)
        if comes:
            _die()

    async def find(self, key: TaskKey) -> Task | None:
        return await self._journal.find(key)

    async def open_tasks(self) -> tuple[Task, ...]:
        return await self._journal.open_tasks()

    async def node(self) -> NodeState:
        return await self._journal.node()

    async def ended(self, limit: int) -> tuple[Task, ...]:
        return await self._journal.ended(limit)

    async def story(self, key: TaskKey) -> tuple[StoryLine, ...]:
        return await self._journal.story(key)


class _DeadlyLink:
    def __init__(self, link: PoolLink) -> None:
        self._link = link

    @property
    def prompt_results(self) -> bool:
        return self._link.prompt_results

    async def send_output(self, task_id: TaskId, text: str) -> Sent:
        return await self._link.send_output(task_id, text)

    async def send_result(self, task_id: TaskId, archive: Path) -> Sent:
        asyncio.get_running_loop().call_later(UNDER_WAY_S, _die)
        return await self._link.send_result(task_id, archive)
