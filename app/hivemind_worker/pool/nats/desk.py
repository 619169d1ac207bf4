"""Where workers ask for tasks: the pool's side of `pull_client`. Any process of the pool answers any worker.

The server vouches for who asks (the worker's name and its owner's account are parts of the subject that only
it may use); all else that comes in is checked here. What a worker has is read from the book each time, so
nothing is kept between two requests but when each worker was last heard from.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from nats.aio.client import NO_RESPONDERS_STATUS, Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js.api import Header

from hivemind_worker.model.pool_records import PoolNode, PoolResult, PoolTask, PoolTaskState
from hivemind_worker.model.task import TaskKey
from hivemind_worker.nursery import Nursery
from hivemind_worker.pool.local.limits import LOG_BYTES, TEXT_BYTES, bad_amounts, bad_text
from hivemind_worker.pool.local.pay import reward
from hivemind_worker.pool.local.placing import Load, asks_for_little, load_of
from hivemind_worker.pool.local.task_log import TaskLog, line_ended
from hivemind_worker.pool.local.workers import end_message
from hivemind_worker.pool.nats.archives import COUNT, NatsArchives, count_of
from hivemind_worker.pool.nats.arrears import Arrears
from hivemind_worker.pool.nats.book import NatsPoolBook
from hivemind_worker.pool.nats.engine import Engine
from hivemind_worker.pool.nats.fleet import FleetDesk
from hivemind_worker.pool.nats.layout import (
    HELD_S,
    LATE_S,
    OPEN_S,
    PIECE_BYTES,
    TaskRecord,
)
from hivemind_worker.pool.nats.lost_tasks import LostTasks
from hivemind_worker.pool.nats.patience import Patience
from hivemind_worker.pool.nats.subjects import ASKED, HEARD, WorkerId, who_asks
from hivemind_worker.pool.nats.unfinished import Unfinished
from hivemind_worker.pool.nats.waiters import NO_NEWS, News, Waiters

log = logging.getLogger(__name__)
PROCESSES = "pool"
LOOK_S = 1.0
ANSWER_S = 12.0
"""For so long an answer waits for a new connection."""
WAIT_S, LONGEST_WAIT_S = 4.0, 15.0
"""A request for a task is answered after so long at the latest, if the worker does not say how long."""
PIECES_MOST = 200
TOLD_AT_ONCE = 5_000
SAID_LETTERS = 64
MOST_AT_ONCE = 5_000
NUMBERS = ("cpu_cores", "cpu_score", "memory_gb", "gpu_score", "gpu_memory_gb")
TEXTS = ("gpu_name", "region", "docker_status")
NOT_YOURS = "This task is not assigned to this worker."
PROBLEM = "Hivemind-Problem"

Answer = dict[str, Any]


class Desk:
    """Answers workers; start `run` in a nursery after `open`."""

    def __init__(
        self, engine: Engine, book: NatsPoolBook, archives: NatsArchives,
        nursery: Nursery, *, clock: Callable[[], float], monotonic: Callable[[], float],
        charges: bool = False, held_s: float = HELD_S,
    ) -> None:  # fmt: skip
        """`held_s`: for so long one worker may have a task at most."""
        self._engine, self._book, self._archives = engine, book, archives
        self._clock, self._monotonic = clock, monotonic
        self._log = TaskLog(book, clock)
        self.fleet = FleetDesk(engine, book, clock)
        self._me = secrets.token_hex(8)
        self._waiters, self._arrears = Waiters(), Arrears(book)
        self._unfinished = Unfinished()
        self._patience, self._returned = Patience(monotonic), ""
        self.lost = LostTasks(
            engine, book, archives, self._log, clock=clock, monotonic=monotonic, held_s=held_s
        )
        self._nursery, self._serving, self._charges = nursery, 0, charges
        self._unpaid: set[str] = set()  # accounts that workers belong to and nobody has made
        self._verbs: dict[str, Callable[[WorkerId, Msg], Awaitable[Answer | None]]] = {
            "beat": self._beat, "pull": self._pull, "archive": self._archive, "output": self._output,
            "result": self._result, "back": self._back, "standing": self.fleet.standing,
            "machines": self.fleet.machines, "wish": self.fleet.wish,
        }  # fmt: skip

    async def open(self) -> None:
        """Begin to answer, also over later connections."""
        self._book.listen(self.lost.heard, lambda: None)
        self._book.watch(self._take_task)
        await self.fleet.open()
        await self._engine.furnish(self._subscribe)

    async def _subscribe(self, client: Client) -> None:
        self.lost.hears_from_now()
        await client.subscribe(HEARD, cb=self._others_heard)
        self._returned = client.new_inbox()
        await client.subscribe(f"{self._returned}.*.*", cb=self._came_back)
        await client.subscribe(ASKED, queue=PROCESSES, cb=self._asked)

    async def _others_heard(self, message: Msg) -> None:
        told, at_s = json.loads(message.data), self._clock()
        if told["by"] != self._me:
            for name in told["names"]:
                self._book.heard_elsewhere(name, at_s)

    async def _tell_heard(self) -> None:
        names = self._book.take_heard()
        for first in range(0, len(names), TOLD_AT_ONCE):
            told = {"by": self._me, "names": names[first : first + TOLD_AT_ONCE]}
            await self._engine.client.publish(HEARD, json.dumps(told).encode())

    def _take_task(self, record: TaskRecord) -> None:
        if record.task.state is PoolTaskState.PENDING:
            self._waiters.wake_one(record.task.key, little=asks_for_little(record.task))
        elif record.task.state.has_ended:
            self._patience.forget(record.task.key)
            self._unfinished.forget(record.task.key)
            self._waiters.wake(record.task.node_id)

    async def _asked(self, message: Msg) -> None:
        """Each request beside the others: one that waits for a task must not hold up output."""
        try:
            worker, verb = who_asks(message.subject)
        except ValueError:
            return
        if self._serving < MOST_AT_ONCE:  # who is not answered asks again
            self._nursery.start(f"{verb} of {worker.name}", self._serve(worker, verb, message))

    async def _serve(self, worker: WorkerId, verb: str, message: Msg) -> None:
        serve = self._verbs.get(verb)
        if not message.reply or serve is None:
            return
        self._serving += 1
        try:
            answer = await serve(worker, message)
        except (ValueError, KeyError, TypeError, LookupError) as error:
            answer = {"problem": f"unreadable: {error}", "retry": False}
        except OSError as error:
            level = self._book.outage.gave_up(logging.WARNING, error)
            log.log(level, "%s of %s given up: %s", verb, worker.name, error)
            words = "is full" if error.errno == errno.ENOSPC else "failed"
            answer = {"problem": f"the pool's store {words}; try again later", "retry": True}
        finally:
            self._serving -= 1
        if answer is not None:
            await self._say(message, json.dumps(answer).encode())

    async def _say(
        self, message: Msg, data: bytes, headers: dict[str, str] | None = None, *, returned: str = ""
    ) -> None:
        """`returned`: where the server says so when nobody is there any more to hear it."""
        await self._engine.ready(ANSWER_S)
        try:
            await self._engine.client.publish(message.reply, data, reply=returned, headers=headers)
        except (Error, OSError) as error:
            log.info("an answer was not sent: %s", error)

    # the verbs

    async def _beat(self, worker: WorkerId, message: Msg) -> Answer:
        """A worker is there; which of the tasks that it has are not its any more."""
        untrusted, name = json.loads(message.data), worker.name
        node = self._node(worker, untrusted["announced"])
        before = self._book.node(name)
        if before is not None and not before.asks:
            node = "A node that the pool calls has this name already."
        if isinstance(node, str):
            return {"problem": node, "retry": False}
        await self._book.hear(node)
        has = {TaskKey(str(each)) for each in untrusted["has"][:1000]}
        ours = {record.task.key for record in self._book.held_by(name) if _is_running(record.task)}
        account = await self._book.account_lately(worker.account)
        if account is None and worker.account not in self._unpaid:
            self._unpaid.add(worker.account)
            log.warning("%s works for nothing: the pool has no account %s to pay", name, worker.account)
        for key in ours - has:
            await self.lost.miss(key, name)
        dropped = [key for key in has - ours if not await self._is_its_own(key, name)]
        return {"drop": dropped, "balance": account.balance if account else None}

    async def _is_its_own(self, key: TaskKey, name: str) -> bool:
        """Also with its result here: whoever missed the answer to that asks again, and is told."""
        task = await self._book.task(key)
        return task is not None and task.node_id == name and (_is_running(task) or task.has_result)

    def _node(self, worker: WorkerId, untrusted: dict[str, Any]) -> PoolNode | str:
        amounts = {each: int(untrusted[each]) for each in NUMBERS}
        most_tasks = max(0, int(untrusted.get("most_tasks", 0)))
        texts = {each: str(untrusted[each]) for each in TEXTS}
        reason = bad_amounts(**amounts)
        for each, text in texts.items():
            reason = reason or bad_text(each, text, TEXT_BYTES, empty=True)
        if reason is not None:
            return reason
        return PoolNode(
            node_id=worker.name, account=worker.account, hostname="", port=0, peer="", status="Idle",
            location=texts["region"], gpu_name=texts["gpu_name"], docker_status=texts["docker_status"],
            heard_at_s=self._clock(), most_tasks=most_tasks, **amounts,
        )  # fmt: skip

    async def _pull(self, worker: WorkerId, message: Msg) -> Answer | None:
        """The next task for a worker that has room, waited for a while."""
        node = self._book.node(worker.name)
        if node is None:
            return {"problem": "the worker has not said what it lends", "retry": True}
        asked = _asked_for(message)
        hears_until = asyncio.get_running_loop().time() + asked.wait_s + LATE_S
        until = self._monotonic() + asked.wait_s
        news: News | None = NO_NEWS
        while news is not None:
            try:
                has_room = partial(self._load(node).has_room, node)
                record = await self._book.hand_out(
                    node, has_room, partial(self._may, node.node_id), self._clock(), asked.task_limit_s
                )
            finally:
                if self._book.waits(news.key):  # else the word of it would go through all who wait
                    self._waiters.pass_on(news)
            if record is not None:
                await self._hand_over(worker, message, record.task, hears_until)
                return None
            room = self._load(node).room(node)  # of now: its task may have ended meanwhile
            news = await self._waiters.wait(worker.name, until - self._monotonic(), room)
        return {}

    async def _hand_over(self, worker: WorkerId, message: Msg, task: PoolTask, hears_until: float) -> None:
        await self._log.system(task.key, f"Running on {worker.name}.")
        if asyncio.get_running_loop().time() > hears_until:
            await self.lost.take_up(worker.name, task.key)
        else:
            order = json.dumps({"task": _order(task)}).encode()
            await self._say(message, order, returned=f"{self._returned}.{worker.name}.{task.key}")

    async def _came_back(self, message: Msg) -> None:
        _, name, key = message.subject.rsplit(".", 2)
        if (message.headers or {}).get(Header.STATUS) == NO_RESPONDERS_STATUS:
            self._nursery.start(f"{key} came back", self.lost.take_up(name, TaskKey(key)))

    def _load(self, node: PoolNode) -> Load:
        return load_of(each.task for each in self._book.held_by(node.node_id) if _is_running(each.task))

    def _may(self, name: str, record: TaskRecord) -> bool:
        return name not in record.refused and self._patience.is_over(record.task.key, name)

    async def _held(self, name: str, key: TaskKey) -> TaskRecord | str:
        found = self._book.known(key)
        if found is None or not _has(name, found):  # another process may have handed it out just now
            found = await self._book.record(key)
        return found if found is not None and _has(name, found) else NOT_YOURS

    async def _archive(self, worker: WorkerId, message: Msg) -> Answer | None:
        """One piece of the archive of a task that the worker has."""
        untrusted = json.loads(message.data)
        key = TaskKey(str(untrusted["key"]))
        record = await self._held(worker.name, key)
        if isinstance(record, str):
            return {"problem": record, "retry": False}
        try:
            data, count = await self._archives.task_piece(key, int(untrusted["number"]))
        except FileNotFoundError:
            return {"problem": "The task's archive is gone.", "retry": False}
        await self._say(message, data, {COUNT: str(count)})
        return None

    async def _output(self, worker: WorkerId, message: Msg) -> Answer:
        untrusted = json.loads(message.data)
        key = TaskKey(str(untrusted["key"]))
        record = await self._held(worker.name, key)
        if isinstance(record, str):
            return {"problem": record, "retry": False}
        text, said = str(untrusted["text"]), str(untrusted.get("said", ""))
        if text and record.task.node_id == worker.name:
            said = said if len(said) <= SAID_LETTERS and said.isalnum() and said.isascii() else ""
            await self._book.append_once(key, line_ended(text), LOG_BYTES, said)
        return {"ok": True}

    async def _back(self, worker: WorkerId, message: Msg) -> Answer:
        """The worker will not do the task: another one gets it."""
        untrusted = json.loads(message.data)
        key, reason = TaskKey(str(untrusted["key"])), str(untrusted["reason"])
        name, for_good = worker.name, bool(untrusted["for_good"])
        record = await self._book.take_back(
            key, name, reason, self._clock(), lost=False, refused=for_good
        )  # fmt: skip
        if record is None:
            return {"ok": True}
        if not for_good and not record.task.state.has_ended:
            self._patience.given_back(key, name)
        await self.lost.tell_end(record, f"{name} gave the task back: {reason}")
        return {"ok": True}

    async def _result(self, worker: WorkerId, message: Msg) -> Answer:
        """One piece of a result; with the last one the result is complete, and judged."""
        told = message.headers or {}
        key, digest = TaskKey(told["Hivemind-Key"]), told["Hivemind-Digest"]
        number, count = int(told["Hivemind-Number"]), int(told[COUNT])
        if count > PIECES_MOST:
            return {"problem": "The result archive is larger than 100 MiB.", "retry": False}
        if not (len(digest) == 64 and digest.isalnum() and 0 <= number < count):
            raise ValueError("a piece without its place")
        if not message.data or len(message.data) > PIECE_BYTES:
            return {"problem": "The result archive is empty.", "retry": False}
        record = await self._held(worker.name, key)
        if isinstance(record, str):
            return {"problem": record, "retry": False}
        if record.task.has_result:
            return _again(record.task, digest)
        if (given_up := self._unfinished.add(worker.name, key, digest, number)) is not None:
            await self._archives.remove_result_pieces(key, given_up.digest, given_up.numbers)
        await self._archives.keep_result_piece(key, digest, number, count, message.data)
        if number < count - 1:
            return {"ok": True}
        return await self._accept(worker, record, digest, message.data if count == 1 else None)

    async def _accept(self, worker: WorkerId, record: TaskRecord, digest: str, whole: bytes | None) -> Answer:
        task = record.task
        found = await self._archives.judge(task.key, digest, whole)
        if found is None:
            return {"problem": "the result did not arrive whole", "retry": True}
        report, size = found
        earns = not self._charges and await self._book.has_account(worker.account)
        result = PoolResult(
            key=task.key, node_id=worker.name, state=report.state, message=end_message(report), sha256=digest,
            size_bytes=size, account=worker.account, reward=reward(task) if earns else 0,
            at_s=self._clock(),
        )  # fmt: skip
        now = await self._book.finish(result)
        if now.result_sha256 == digest:
            await self._log.system(
                task.key, f"Result of {worker.name} received, {size} bytes. The task is {now.state}."
            )
            await self._archives.remove_named(task.key, record.archive, task.archive_bytes)
        elif not now.has_result:  # nobody will ask for it
            await self._archives.remove_result_pieces(task.key, digest, range(count_of(size)))
        return _again(now, digest)

    async def run(self) -> None:
        """Look at the tasks of workers that ask, each second, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._tell_heard()
                await self.lost.look()
                await self._arrears.look(self._monotonic())
            except (OSError, Error) as error:
                log.log(
                    self._book.outage.level(logging.WARNING, error),
                    "running tasks were not looked at: %s",
                    error,
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a worker says when it asks for a task: how long it waits, and how long it lets a task run."""

    wait_s: float
    task_limit_s: float


def _asked_for(message: Msg) -> Asked:
    untrusted = json.loads(message.data)
    wait_s, limit_s = (
        float(untrusted[name]) if name in untrusted else usual
        for name, usual in (("wait_s", WAIT_S), ("task_limit_s", 0.0))
    )
    # What is no number at all is 0.
    return Asked(wait_s=min(max(0.0, wait_s), LONGEST_WAIT_S), task_limit_s=min(max(0.0, limit_s), OPEN_S))


def _has(name: str, record: TaskRecord) -> bool:
    return record.task.node_id == name or name in record.offered


def _is_running(task: PoolTask) -> bool:
    return task.state is PoolTaskState.RUNNING


def _again(task: PoolTask, digest: str) -> Answer:
    if task.result_sha256 == digest:
        return {"ok": True, "accepted": True}
    if not task.has_result:
        return {"problem": NOT_YOURS, "retry": False}
    return {"problem": "Another result of this task is kept already.", "retry": False}


def _order(task: PoolTask) -> Answer:
    return {
        "id": task.task_id, "key": task.key, "bytes": task.archive_bytes, "cpu": task.cpu_score,
        "memory_gb": task.memory_gb, "gpu": task.gpu_score, "gpu_memory_gb": task.gpu_memory_gb,
    }  # fmt: skip
