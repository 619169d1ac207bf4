"""What a pool process on a server does not do, however many workers wait: its processor is for the tasks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from hivemind_worker.model.pool_records import PoolNode
from hivemind_worker.model.task import TaskId, key_of
from hivemind_worker.nursery import Nursery
from hivemind_worker.pool.nats.archives import NatsArchives
from hivemind_worker.pool.nats.desk import Desk
from hivemind_worker.pool.nats.following import Kept
from hivemind_worker.pool.nats.layout import TaskRecord
from hivemind_worker.pool.nats.log_pieces import END, LogPieces
from hivemind_worker.pool.nats.open_tasks import OpenTasks
from hivemind_worker.pool.nats.subjects import WorkerId
from hivemind_worker.pool.wire import MAX_ARCHIVE_BYTES
from tests.nats.stand import anything, waiting
from tests.nats.test_pull_client import _NODE

RECORD = TaskRecord(task=waiting("t", 1))
KEY = key_of(TaskId("t"))
LONG = 1 << 20


class Book:
    """Of a task that nobody can do who asks; `open` is what is known of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.open = OpenTasks()

    def node(self, name: str) -> PoolNode:
        return replace(_NODE, node_id=name)

    def held_by(self, _name: str) -> list[TaskRecord]:
        return []

    def waits(self, key: Any) -> bool:
        return self.open.waits(key)

    async def hand_out(self, node: PoolNode, *_: Any) -> None:
        self.asked.append(node.node_id)


@pytest.mark.parametrize(("is_taken", "heard_by"), [(False, ["a", "b", "c"]), (True, ["a"])])
async def test_the_word_of_a_task_goes_round_while_it_waits_and_no_further_when_it_is_taken(
    is_taken: bool, heard_by: list[str]
) -> None:
    book = Book()
    nothing, clock = cast(Any, None), cast(Callable[[], float], lambda: 0.0)
    desk = Desk(nothing, cast(Any, book), nothing, Nursery("desk"), clock=clock, monotonic=clock)
    asked = cast(Any, type("Asked", (), {"data": json.dumps({"wait_s": 10}).encode()}))
    pulls = [asyncio.create_task(desk._pull(WorkerId(name=name, account=""), asked)) for name in "abc"]
    await asyncio.sleep(0)
    book.asked.clear()

    book.open.note(RECORD, 1)
    desk._take_task(RECORD)
    if is_taken:
        assert book.open.pick(anything, anything) is RECORD
    for _ in range(20):
        await asyncio.sleep(0)
    assert book.asked == heard_by
    for pull in pulls:
        pull.cancel()
    await asyncio.gather(*pulls, return_exceptions=True)


def test_a_task_that_somebody_is_being_given_does_not_wait_until_that_fails() -> None:
    tasks = OpenTasks()
    assert not tasks.waits(KEY)
    tasks.note(RECORD, 1)
    assert tasks.waits(KEY)
    tasks.pick(anything, anything)
    assert not tasks.waits(KEY)
    tasks.put_back(KEY)
    assert tasks.waits(KEY)


class Store:
    """The last record of one subject, which answers a moment later; counts what it was asked."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.tries = self.reads = 0

    async def write(self, _subject: str, data: bytes, *, over: int, headers: Mapping[str, str]) -> int | None:
        self.tries += 1
        await asyncio.sleep(0)
        if over != len(self.texts):
            return None
        self.texts.append(data)
        return len(self.texts)

    async def read(self, _stream: Any, subject: str) -> Kept | None:
        self.reads += 1
        end, last = sum(map(len, self.texts)), len(self.texts)
        return Kept(subject=subject, data=self.texts[-1], revision=last, headers={END: str(end)})


async def test_lines_that_come_at_once_for_one_log_are_each_written_once_and_in_their_order() -> None:
    store = Store()
    pieces = LogPieces(cast(Any, store))
    await asyncio.gather(*(pieces.append(KEY, b"%d\n" % number, LONG) for number in range(5)))
    assert b"".join(store.texts) == b"0\n1\n2\n3\n4\n"
    assert (store.tries, store.reads) == (5, 0)


class Disk:
    """Has so many bytes free; counts how often that was asked."""

    def __init__(self, free: int) -> None:
        self.free, self.looks = free, 0

    async def call(self, _has_room: object, _folder: Path, size: int) -> bool:
        self.looks += 1
        return size <= self.free


class Roomy:
    async def room(self) -> tuple[int, int | None]:
        return 0, None


@pytest.mark.parametrize(
    ("free", "fits", "looks"),
    [(MAX_ARCHIVE_BYTES, [True, True, True], 1), (10, [True, False, True], 4), (0, [False, False, False], 4)],
)
async def test_the_disk_is_looked_at_for_each_upload_only_when_little_is_free(
    free: int, fits: list[bool], looks: int, tmp_path: Path
) -> None:
    disk = Disk(free)
    archives = NatsArchives(cast(Any, Roomy()), cast(Any, None), tmp_path, cast(Any, disk))
    assert [await archives.has_room(size) for size in (10, 11, 10)] == fits
    assert disk.looks == looks
