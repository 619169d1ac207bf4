"""A worker that asks a pool for tasks over NATS: dials out only, needs no port and no VPN.

Fits `engine.ports.PoolLink`, like `pool.client`, and has the same face for the rest of the worker. Asks only
while the worker takes work; what it is given and cannot do it gives back with the reason. Counterpart:
`pool.nats.desk`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import random
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error

from hivemind_worker.model.effects import Refused, Reply
from hivemind_worker.model.faults import FaultCode, sentence
from hivemind_worker.model.fleet import Standing, Wish
from hivemind_worker.model.resources import Resources, normal_demand
from hivemind_worker.model.snapshot import LinkState, PoolView
from hivemind_worker.model.task import Offer, Problem, TaskId, TaskKey, key_of
from hivemind_worker.model.traffic import Moved, uncounted
from hivemind_worker.model.work import Announcement, Sent
from hivemind_worker.nursery import NamedThread, Nursery, heed_cancel
from hivemind_worker.pool.clock import Clock, SystemClock
from hivemind_worker.pool.nats.archives import COUNT, count_of
from hivemind_worker.pool.nats.credential import load
from hivemind_worker.pool.nats.engine import Connect
from hivemind_worker.pool.nats.entrances import HERE, entrance
from hivemind_worker.pool.nats.fleet_client import FleetClient
from hivemind_worker.pool.nats.layout import LATE_S, PIECE_BYTES
from hivemind_worker.pool.nats.pool_error import PoolError
from hivemind_worker.pool.nats.subjects import WORKER_NAME, WorkerId, asks, stop_subject, wish_subject
from hivemind_worker.pool.retry import Backoff
from hivemind_worker.pool.standing import standing
from hivemind_worker.pool.wire import MAX_ARCHIVE_BYTES, clean_words, read_task_id

log = logging.getLogger(__name__)
BEAT_S = 10.0
ANSWER_S = 15.0
WAIT_LEAST_S, BUSY_WAIT_S = 2.0, 4.0
"""A question for work waits at the pool until the next beat is due; of who has tasks, shorter: who is woken
is soon to beat, and hears what it is to let go."""
TEXT_LETTERS = 100_000  # of output in one message: at most six bytes each, and a message has 1 MiB
FULL_S = 5.0  # the worker's own room is asked again after so long
LOOK_S = 1.0
UNSURE_MOST = 100
LOOK_FOR_LOGIN_S = 30.0
MOST_PIECES = count_of(MAX_ARCHIVE_BYTES)
FOR_NOW = frozenset({
    FaultCode.NO_SLOT, FaultCode.NO_ROOM, FaultCode.NOT_ACCEPTING, FaultCode.BUSY, FaultCode.DISK_FULL,
    FaultCode.JOURNAL_UNWRITABLE, FaultCode.SANDBOX_PREPARING,
})  # fmt: skip
"""Refusals that say nothing of the task: this worker may be asked again."""


class TaskHandler(Protocol):
    """The worker's way in (`engine.intake`)."""

    async def offer(self, offer: Offer, spooled: Path) -> Reply: ...

    async def stop(self, key: TaskKey) -> Reply: ...

    def answered(self, key: TaskKey) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How to connect to the pool's server, and as whom this worker is known there."""

    connect: Connect
    worker: WorkerId


def way_of_worker(address: str, credential: Path, user: str, password: str) -> Way | Problem:
    """The way to a pool: with the credential that `pool worker join` kept, here with a kept login. Blocks."""
    if address.startswith(HERE):
        if not WORKER_NAME.fullmatch(user):
            return Problem(code=FaultCode.NOT_LOGGED_IN)
        found = entrance(address, credential, user, password)
        return (
            found
            if isinstance(found, Problem)
            else Way(connect=found, worker=WorkerId(name=user, account=user))
        )
    kept = load(credential)
    if isinstance(kept, Problem):
        return kept
    if kept.worker is None:
        return Problem(
            code=FaultCode.BAD_CREDENTIAL, about=f"{credential} is no worker's: join the pool again"
        )
    found = entrance(address, credential)
    return found if isinstance(found, Problem) else Way(connect=found, worker=kept.worker)


async def check_way(address: str, credential: Path, user: str, password: str) -> str | Problem:
    """Connect once: the name under which the pool's server knows this worker, or why not."""
    way = await asyncio.to_thread(way_of_worker, address, credential, user, password)
    if isinstance(way, Problem):
        return way
    client = await way.connect(lambda: None)
    if isinstance(client, Problem):
        return client
    await _shut(client)
    return way.worker.name


async def _unheeded(_wish: Wish) -> None:
    """Of a worker without an owner's other machines."""


class PullClient:
    """Keeps one pool. Start `run` in a nursery; cancelling it ends the connection."""

    def __init__(
        self, address: str, way: Callable[[str], Awaitable[Way | Problem]],
        announcement: Callable[[], Announcement | None], on_change: Callable[[PoolView], None], *,
        handler: Callable[[], TaskHandler], held: Callable[[], Iterable[TaskKey]], spool: Path,
        files: NamedThread, clock: Clock | None = None, moved: Moved = uncounted,
        standing: Callable[[], Standing | None] = lambda: None,
        obey: Callable[[Wish], Awaitable[None]] = _unheeded, task_limit_s: float = 0.0,
        objection: Callable[[Resources], Problem | None] = lambda _: None,
    ) -> None:  # fmt: skip
        """`held` are the tasks that this worker has of the pool, those included whose result is owed.

        `standing` is what the owner's other machines are shown of this one (None: nothing yet), `obey` does
        what was asked on one of them. `task_limit_s`: so long a task may run here (0: not said).
        `objection`: why no task of a demand is taken now, asked before its archive is fetched.
        """
        self._address, self._way, self._announcement, self._on_change = address, way, announcement, on_change
        self._handler, self._held, self._spool, self._files = handler, held, spool, files
        self._task_limit_s, self._objection = task_limit_s, objection
        self._clock, self._moved = clock or SystemClock(), moved
        self._backoff = Backoff(random.Random())  # noqa: S311 - jitter, not a secret
        self.fleet = FleetClient(self._ask, self._clock, standing, obey)
        self._client: Client | None = None
        self._worker: WorkerId | None = None
        self._fetching: TaskKey | None = None
        self._unsure: OrderedDict[TaskKey, tuple[str, str]] = OrderedDict()
        """Output of which no answer came, and under which name it was sent."""
        self._beat_at = self._ask_at = 0.0
        self._limits: set[asyncio.Timeout] = set()
        self._woken, self._ended = asyncio.Event(), asyncio.Event()
        self._view = PoolView(address=address, link=LinkState.CONNECTING, since_s=self._clock.now())

    @property
    def view(self) -> PoolView:
        """How things stand."""
        return self._view

    @property
    def prompt_results(self) -> bool:
        """Results are taken at once."""
        return True

    @property
    def clock_ahead_s(self) -> float | None:
        """Not told here: no time of this computer is compared with the pool's."""
        return None

    def wake(self) -> None:
        """Look now: the login, the owner's wish or the network has changed."""
        self._beat_at = self._ask_at = 0.0
        self._woken.set()

    def move(self, address: str) -> None:
        """Leave this pool for another one."""
        self._address = address
        self._view = PoolView(address=address, link=LinkState.CONNECTING, since_s=self._clock.now())
        self._on_change(self._view)
        self._ended.set()
        self.wake()

    # what the engine sends

    async def send_output(self, task_id: TaskId, text: str) -> Sent:
        """Append text to the task's log at the pool."""
        valid, key = text.encode("utf-8", "replace").decode(), key_of(task_id)
        unsure, said = self._unsure.pop(key, ("", ""))
        if unsure != valid:  # else the same again: perhaps it is there already
            said = secrets.token_hex(8)
        try:
            for number, part in enumerate(_parts(valid)):
                await self._ask("output", {"key": key, "text": part, "said": f"{said}p{number}"})
        except PoolError as error:
            if error.retry:
                self._unsure[key] = (valid, said)
                if len(self._unsure) > UNSURE_MOST:
                    self._unsure.popitem(last=False)
            return Sent(delivered=False, retry=error.retry, problem=error.problem)
        return Sent(delivered=True)

    async def send_result(self, task_id: TaskId, archive: Path) -> Sent:
        """Hand over the result archive, piece by piece; the last one completes it."""
        try:
            digest, size = await self._files.call(_digest, archive)
            for number in range(count_of(size)):
                piece = await self._files.call(_piece, archive, number)
                headers = {
                    "Hivemind-Key": key_of(task_id), "Hivemind-Digest": digest,
                    "Hivemind-Number": str(number), COUNT: str(count_of(size)),
                }  # fmt: skip
                answer = await self._request("result", piece, headers)
                if _told(answer).get("accepted"):
                    break
        except PoolError as error:
            return Sent(delivered=False, retry=error.retry, problem=error.problem)
        except OSError as error:
            about = error.strerror or type(error).__name__
            return Sent(delivered=False, problem=Problem(code=FaultCode.RESULT_UNREADABLE, about=about))
        return Sent(delivered=True)

    async def _ask(self, verb: str, values: dict[str, Any]) -> dict[str, Any]:
        return _told(await self._request(verb, json.dumps(values).encode()))

    async def _request(
        self, verb: str, data: bytes, headers: dict[str, str] | None = None, *, limit_s: float = ANSWER_S
    ) -> Msg:
        client, worker = self._client, self._worker
        if client is None or worker is None:
            raise PoolError(self._address, retry=True, code=FaultCode.POOL_UNREACHABLE)
        limit = asyncio.timeout(limit_s)
        try:
            async with limit:
                self._limits.add(limit)
                answer = await client.request(
                    asks(worker, verb), data, timeout=2 * ANSWER_S, headers=headers
                )  # fmt: skip
        except (Error, TimeoutError, OSError) as error:
            raise PoolError(self._address, retry=True, code=FaultCode.POOL_MUTE) from error
        finally:
            self._limits.discard(limit)
        heed_cancel()
        self._moved(len(answer.data), len(data))
        return answer

    # the session

    async def run(self) -> None:
        """Keep a connection and ask for tasks, for ever."""
        while True:
            await self._one_session()

    async def _one_session(self) -> None:
        way = await self._way(self._address)
        if isinstance(way, Problem):
            self._show(LinkState.NOT_LOGGED_IN, way)
            await self._rest(LOOK_FOR_LOGIN_S)
            return
        self._ended.clear()
        client = await way.connect(self._end)
        if isinstance(client, Problem):
            refused = client.code in (FaultCode.CREDENTIAL_REFUSED, FaultCode.BAD_CREDENTIAL)
            self._show(LinkState.LOGIN_REFUSED if refused else LinkState.UNREACHABLE, client)
            await self._rest(LOOK_FOR_LOGIN_S if refused else self._backoff.next_s())
            return
        beside = Nursery("fleet")
        try:
            await client.subscribe(stop_subject(way.worker.name), cb=self._stop_heard)
            await client.subscribe(
                wish_subject(way.worker.name), cb=partial(self.fleet.heard, way.worker)
            )  # fmt: skip
            self._client, self._worker = client, way.worker
            self._view = replace(self._view, user=way.worker.name)
            self._beat_at = self._ask_at = 0.0
            beside.start("standing", self.fleet.run(way.worker))
            await self._stay()
        except (Error, PoolError) as error:
            problem = getattr(error, "problem", Problem(code=FaultCode.POOL_MUTE, about=self._address))
            self._show(LinkState.UNREACHABLE, problem)
            await self._rest(self._backoff.next_s())
        finally:
            self._client = None
            await beside.close()
            await _shut(client)

    def _end(self) -> None:
        """The connection is gone: the library would let whoever waits for an answer wait on."""
        self._ended.set()
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())

    async def _stay(self) -> None:
        """Beat, and ask whenever the worker takes work, until the connection ends."""
        while not self._ended.is_set():
            announced = self._announcement()
            await self._beat_when_due(announced)
            if announced is not None and announced.accepts and self._clock.steady() >= self._ask_at:
                await self._ask_for_work()
            else:
                await self._rest(LOOK_S)

    async def _beat_when_due(self, announced: Announcement | None) -> None:
        if self._clock.steady() < self._beat_at:
            return
        if announced is None:
            self._show(LinkState.WAITING)
            return
        self._beat_at = self._clock.steady() + BEAT_S
        has = [*self._held(), *([self._fetching] if self._fetching else [])]
        told = {
            "cpu_cores": announced.cpu_cores, "cpu_score": announced.cpu_score,
            "memory_gb": announced.memory_gb, "gpu_score": announced.gpu_score,
            "gpu_memory_gb": announced.gpu_memory_gb, "gpu_name": announced.gpu_name,
            "region": announced.region, "docker_status": announced.docker_status,
            "most_tasks": announced.most_tasks,
        }  # fmt: skip
        answer = await self._ask("beat", {"announced": told, "has": has})
        self._backoff.reset()
        balance = answer.get("balance")
        self._view = replace(self._view, balance=balance if isinstance(balance, int) else None)
        self._show(LinkState.REGISTERED, heard=True)
        for key in answer.get("drop", ()):
            if key in has and key != self._fetching:
                await self._handler().stop(TaskKey(key))

    async def _stop_heard(self, message: Msg) -> None:
        key = TaskKey(message.data[:64].decode("ascii", "replace"))
        if key in set(self._held()):
            await self._handler().stop(key)

    # a task

    async def _ask_for_work(self) -> None:
        until_beat_s = max(WAIT_LEAST_S, self._beat_at - self._clock.steady())
        wait_s = BUSY_WAIT_S if any(self._held()) else until_beat_s
        asked = json.dumps({"wait_s": wait_s, "task_limit_s": self._task_limit_s}).encode()
        order = _told(await self._request("pull", asked, limit_s=wait_s + LATE_S)).get("task")
        if not isinstance(order, dict):
            return
        key = TaskKey(str(order.get("key", "")))
        self._fetching = key
        try:
            reply = await self._take(order)
        finally:
            self._fetching = None
        if isinstance(reply, Refused):
            await self._give_back(key, reply.problem)
        else:
            self._handler().answered(key)

    async def _give_back(self, key: TaskKey, problem: Problem) -> None:
        for_good = problem.code not in FOR_NOW
        if not for_good:
            self._ask_at = self._clock.steady() + FULL_S
        reason = sentence(problem.code, problem.about)
        await self._ask("back", {"key": key, "reason": reason, "for_good": for_good})

    async def _take(self, order: dict[str, Any]) -> Reply:
        """Fetch a task's archive and put the task to the worker."""
        task_id = read_task_id(str(order.get("id", "")).encode())
        if isinstance(task_id, Problem):
            return Refused(problem=task_id)
        try:
            demand = normal_demand(
                cpu=float(order["cpu"]), gpu=float(order["gpu"]), memory_gb=float(order["memory_gb"]),
                gpu_memory_gb=float(order["gpu_memory_gb"]),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            return Refused(problem=Problem(code=FaultCode.BAD_REQUEST, about=str(error)))
        is_here = key_of(task_id) in set(self._held())  # what it says then is for the worker to know
        if not is_here and (problem := self._objection(demand)) is not None:
            return Refused(problem=problem)
        path = self._spool / f"{secrets.token_hex(16)}.zip"
        try:
            digest, size = await self._fetch(key_of(task_id), path)
        except OSError as error:
            await self._files.call(lambda: path.unlink(missing_ok=True))
            return Refused(problem=Problem(code=FaultCode.DISK_FULL, about=f"spool, {error.strerror}"))
        except PoolError as error:
            await self._files.call(lambda: path.unlink(missing_ok=True))
            if error.retry:
                raise  # the line is lost: the pool finds out that the task is not here
            return Refused(problem=error.problem)
        offer = Offer(task_id=task_id, body_sha256=digest, archive_bytes=size, demand=demand)
        return await self._handler().offer(offer, path)

    async def _fetch(self, key: TaskKey, path: Path) -> tuple[str, int]:
        digest, size, number, count = hashlib.sha256(), 0, 0, 1
        while number < count:
            await self._beat_when_due(self._announcement())
            answer = await self._request("archive", json.dumps({"key": key, "number": number}).encode())
            told = (answer.headers or {}).get(COUNT, "")
            if not told.isdigit():
                _told(answer)
                raise PoolError("the archive came without its size", retry=False)
            count = min(int(told), MOST_PIECES)
            await self._files.call(_append, path, answer.data)
            digest.update(answer.data)
            size, number = size + len(answer.data), number + 1
        return digest.hexdigest(), size

    async def _rest(self, pause_s: float) -> None:
        await self._clock.wait(self._woken, pause_s)
        self._woken.clear()

    def _show(self, link: LinkState, problem: Problem | None = None, *, heard: bool = False) -> None:
        self._view = standing(self._view, link, problem, now_s=self._clock.now(), heard=heard)
        self._on_change(self._view)


def _told(answer: Msg) -> dict[str, Any]:
    try:
        values = json.loads(answer.data)
    except ValueError as error:
        raise PoolError("its answer is unreadable", retry=True, code=FaultCode.POOL_MUTE) from error
    if not isinstance(values, dict):
        raise PoolError("its answer is unreadable", retry=True, code=FaultCode.POOL_MUTE)
    if "problem" in values:
        raise _refusal(values)
    return values


def _refusal(values: dict[str, Any]) -> PoolError:
    told = (FaultCode.NO_SUCH_MACHINE, FaultCode.MACHINE_IS_CALLED)
    code = next((each for each in told if values.get("code") == each.value), FaultCode.POOL_REFUSED)
    return PoolError(clean_words(str(values["problem"])), retry=values.get("retry") is True, code=code)


def _parts(text: str) -> Iterator[str]:
    """Of the size of a message, cut behind a line's end: each part ends a line at the pool."""
    start = 0
    while start < len(text):
        stop = min(start + TEXT_LETTERS, len(text))
        if stop < len(text):
            stop = text.rfind("\n", start, stop) + 1 or stop
        yield text[start:stop]
        start = stop


def _append(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(data)


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.seek(0, os.SEEK_END)


def _piece(path: Path, number: int) -> bytes:
    with path.open("rb") as file:
        file.seek(number * PIECE_BYTES)
        return file.read(PIECE_BYTES)


async def _shut(client: Client) -> None:
    try:
        async with asyncio.timeout(2.0):
            await client.close()
    except (Error, OSError, TimeoutError) as error:
        log.debug("the connection did not end well: %s", error)
