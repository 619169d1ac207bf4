"""One pool process's connection to the pool's servers: kept, streams made, records read and written.

Comes back by itself after a server went away; meanwhile every call raises OSError, as a disk that fails
would: nothing was promised. What a record means is for the callers.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from itertools import chain, repeat
from types import TracebackType
from typing import Any, TypeVar

import nats.errors
from nats.aio.client import Client
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.api import DeliverPolicy, PeerInfo, RawStreamMsg, StorageType, StreamConfig
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError, ServiceUnavailableError

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.outage import Outage
from hivemind_worker.model.pool_figures import Keeper, StreamFigures
from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import comes_within, heed_cancel
from hivemind_worker.pool.local.book import StoreAwayError
from hivemind_worker.pool.nats.following import Follow, Kept, delivered, placed
from hivemind_worker.pool.nats.layout import CLOCK, STREAMS, Stream, stream_of

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")
WRITTEN_S, TOLD_S = (3.0, *[1.0] * 9), (*[1.0] * 6, 2.0, 3.0)
"""Of each try: who led a stream of a cluster may be gone, and the next leads after 4 to 9 s. Whoever asks a
stream without a leader hears nothing, then or later; whoever writes to one is told so at once."""
AGAIN_S = 0.25
LONGEST_S = 60.0
LOOK_S, MUTE_S, MUTE_LOOKS = 2.0, 3, 2
BACK_S, LONGEST_BACK_S = 0.2, 5.0
WRONG_SEQUENCE = (10071, 10164)
GONE = (10037, 10043, 10057)  # no such message
API = "$JS.API.STREAM.MSG"
FULL = (10002, 10023, 10047, 10077)  # of an account, a server, a stream
ALONE = 10074  # more than one replica, at a server without a cluster
NOT_YET = (10005, 10049)  # no servers to place a stream at; it is being made there

Connect = Callable[[Callable[[], None]], Awaitable[Client | Problem]]
"""Makes one connection; calls what it is given when that connection has ended."""


class Engine:
    """`open` once, `run` in a nursery, `close` at the end. `furnish` is called with each new connection."""

    def __init__(self, connect: Connect, *, replicas: int = 1, keep_bytes: int | None = None) -> None:
        """`replicas`: so many servers keep each record at least; `keep_bytes`: how much the servers may keep
        together, where they do not say it themselves."""
        self._connect, self._replicas, self._keep_bytes = connect, replicas, keep_bytes
        self._client: Client | None = None
        self._asked: asyncio.Task[bool] | None = None
        self._ended = asyncio.Event()
        self._there = asyncio.Event()
        self._limits: set[asyncio.Timeout] = set()
        self._on_open: list[Callable[[Client], Awaitable[None]]] = []
        self._follows: list[Follow] = []
        self._retired, self.outage = "", Outage(time.monotonic)

    async def open(self) -> Problem | None:
        """Connect and make the streams that are not there yet; why not, otherwise."""
        self._ended.clear()
        client = await self._connect(self._end)
        if isinstance(client, Problem):
            return client
        try:
            async with self._alive():
                for stream, last in zip(STREAMS, await self._ensure_all(client), strict=True):
                    for follow in self._follows:
                        if follow.stream is stream:
                            follow.compare(last)
                self._client = client
                self._there.set()
                for furnish in self._on_open:
                    await furnish(client)
        except OSError as error:
            self._client = None
            self._there.clear()
            await _shut(client)
            return why_not(error)
        return None

    async def _ensure_all(self, client: Client) -> list[int]:
        """All at once: each may be without a leader for a while."""
        told = await asyncio.gather(
            *(self._ensure(client, stream) for stream in STREAMS), return_exceptions=True
        )  # fmt: skip
        for trouble in told:
            if isinstance(trouble, BaseException):
                raise trouble
        return [each for each in told if isinstance(each, int)]

    async def _ensure(self, client: Client, stream: Stream) -> int:
        """The sequence of the stream's last record."""
        config = StreamConfig(
            name=stream.name, subjects=list(stream.subjects), max_msgs_per_subject=stream.each,
            max_age=stream.age_s, storage=StorageType.FILE, num_replicas=self._replicas,
            allow_direct=True,
        )  # fmt: skip
        try:
            found = await _insist(client, lambda jetstream: jetstream.stream_info(stream.name))
            if (found.config.num_replicas or 1) < self._replicas:  # never fewer: another process may ask so
                found = await _insist(client, lambda jetstream: jetstream.update_stream(config))
        except NotFoundError:  # twice with the same configuration is harmless
            found = await _insist(client, lambda jetstream: jetstream.add_stream(config))
        return found.state.last_seq

    async def furnish(self, furnish: Callable[[Client], Awaitable[None]]) -> None:
        """Have subscriptions made now and again with each later connection."""
        self._on_open.append(furnish)
        if self._client is not None:
            async with self._alive():
                await furnish(self._client)

    async def run(self) -> None:
        """Come back whenever the connection has ended, until cancelled."""
        pause_s = BACK_S
        while True:
            await asyncio.gather(self._until_ended(), self._follow_again())
            await self._let_go()
            problem = await self.open()
            if problem is None:
                self._tell_back()
                pause_s = BACK_S
                continue
            if self.outage.tell():
                log.warning("the pool's NATS server is away: %s", problem.about)
            self._ended.set()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_BACK_S)

    async def _until_ended(self) -> None:
        """A server that hangs or has lost its power does not end a connection: it is asked now and then."""
        mute = 0
        while mute < MUTE_LOOKS and not await comes_within(self._ended, LOOK_S):
            mute = 0 if await self._answers() else mute + 1
        self._end()

    async def _answers(self) -> bool:
        """Not asked anew before the last answer: the library's reader breaks at one that nobody waits for."""
        try:
            async with self._alive(MUTE_S):
                if self._asked is None or self._asked.done():
                    self._asked = asyncio.ensure_future(_pinged(self.client))
                return await asyncio.shield(self._asked)
        except OSError:
            return False

    def _tell_back(self) -> None:
        if (over := self.outage.ends()) is not None:
            said = "the pool's NATS server is back after %.1f s; %d requests were given up meanwhile"
            log.warning(said, *over)

    async def _follow_again(self) -> None:
        """Meanwhile what was known is worked with: whether it still holds is seen at each change."""
        with contextlib.suppress(OSError):  # this connection has ended too
            async with self._alive(None):
                client = self.client
                lost = [each for each in self._follows if each.over is not client]
                await asyncio.gather(*(each.begin_again(client) for each in lost))

    async def close(self) -> None:
        """End the connection."""
        await self._let_go()

    async def _let_go(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await _shut(client)
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.cancel()

    @property
    def client(self) -> Client:
        """The connection of now.

        Raises:
            OSError: there is none.
        """
        if self._retired:
            raise OSError(self._retired)
        if self._client is None:
            raise _away("the pool's NATS server is away", FaultCode.SERVER_UNREACHABLE, "no connection")
        return self._client

    def retire(self, reason: str) -> None:
        """Read and write nothing more: the reason is what every call fails with."""
        self._retired = reason

    async def read(self, stream: Stream, subject: str) -> Kept | None:
        """The last record of a subject, from the stream's leader; None when there is none."""
        asked = json.dumps({"last_by_subj": subject}).encode()
        async with self._alive(None):
            try:
                told, _ = await self._told(f"{API}.GET.{stream.name}", asked)
            except NotFoundError:
                return None
        found = told["message"]
        return Kept(
            subject=subject, data=base64.b64decode(found.get("data", "")), revision=found["seq"],
            headers=_headers(base64.b64decode(found.get("hdrs", ""))),
        )  # fmt: skip

    async def write(
        self, subject: str, data: bytes, *, over: int | None = None, headers: Mapping[str, str] | None = None
    ) -> int | None:
        """Write a record and return its sequence, durable by then.

        With `over` only over the record of that sequence (0: where there is none); None when that is not the
        last one any more.
        """
        sent = dict(headers or {})
        if over is not None:
            sent["Nats-Expected-Last-Subject-Sequence"] = str(over)
        async with self._alive(None):
            told, tries = await self._told(subject, data, sent or None)
        if "error" not in told:
            return int(told["seq"])
        return await self._ours(subject, data, headers or {}) if tries > 1 else None

    async def _told(
        self, subject: str, data: bytes, headers: dict[str, str] | None = None
    ) -> tuple[dict[str, Any], int]:
        """What JetStream answers, and how often it was asked: what is asked must do no harm twice.

        The library's own calls cost twice as much of the processor, and a task takes twenty of them.
        """
        answers_s = TOLD_S if subject.startswith(API) else WRITTEN_S
        until = time.monotonic() + sum(answers_s)
        for tries, answer_s in enumerate(_patient(answers_s), 1):
            try:
                answer = await self.client.request(subject, data, timeout=answer_s, headers=headers)
                heed_cancel()
                return _answered(answer.data), tries
            except (nats.errors.TimeoutError, nats.errors.NoRespondersError, ServiceUnavailableError) as gone:
                if isinstance(gone, ServiceUnavailableError) and gone.err_code in FULL:
                    raise  # it will be full in a second too
                await _again(gone, until)
        raise AssertionError("there is always one more try")

    async def _ours(self, subject: str, data: bytes, headers: Mapping[str, str]) -> int | None:
        """The sequence of what lies there, if an earlier try whose answer was lost has put it there."""
        last = await self.read(stream_of(subject), subject)
        is_same = last is not None and last.data == data and headers.items() <= last.headers.items()
        return last.revision if last is not None and is_same else None

    async def now_s(self) -> float:
        """The time at the server: what is old is judged by one clock, whichever process looks."""
        await self.write(CLOCK, b"")
        async with self._alive():
            found = await _insist(self.client, _last(stream_of(CLOCK), CLOCK))
        return found.time.timestamp() if found.time else 0.0

    async def changed_s(self, stream: Stream, subject: str) -> float | None:
        """The server's time when a record was written; None when there is none."""
        async with self._alive():
            try:
                found = await _insist(self.client, _last(stream, subject))
            except NotFoundError:
                return None
        return found.time.timestamp() if found.time else None

    async def remove(self, stream: Stream, subject: str) -> None:
        """Remove the record of one subject.

        Not by purging: what is purged by subject nats-server 2.9 does not count as free before a restart.
        """
        try:
            revision = await self.write(subject, b"")  # the content goes without being fetched
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            last = await self.read(stream, subject)
            revision = last.revision if last else None
        if revision:
            await self.delete(stream, revision)

    async def delete(self, stream: Stream, revision: int) -> None:
        """Remove one record by its sequence; one that is gone already is no trouble."""
        asked = json.dumps({"seq": revision}).encode()
        async with self._alive(None):
            try:
                await self._told(f"{API}.DELETE.{stream.name}", asked)
            except APIError as error:
                if error.err_code not in GONE:
                    raise

    async def stream_figures(self, stream: Stream) -> StreamFigures:
        """How full a stream is."""
        async with self._alive():
            found = await _insist(self.client, lambda jetstream: jetstream.stream_info(stream.name))
        most = found.config.max_bytes
        return StreamFigures(
            name=stream.name, held_bytes=found.state.bytes, messages=found.state.messages,
            limit_bytes=most if most is not None and most > 0 else None,
        )  # fmt: skip

    async def keepers(self, stream: Stream) -> list[Keeper]:
        """The servers that keep a stream, who leads first; none of a server that is alone."""
        async with self._alive():
            found = (await _insist(self.client, lambda jetstream: jetstream.stream_info(stream.name))).cluster
        if found is None or not found.replicas or not found.leader:
            return []
        leader = Keeper(server=found.leader, stream=stream.name, leads=True, is_current=True, behind=0)
        return [leader, *(_keeper(each, stream.name) for each in found.replicas)]

    async def room(self) -> tuple[int, int | None]:
        """Bytes that the account keeps on disk, and the most it may; None where nobody says."""
        async with self._alive():
            found = await _insist(self.client, lambda jetstream: jetstream.account_info())
        most = found.limits.max_storage
        return found.storage, most if most is not None and most > 0 else self._keep_bytes

    async def all_of(self, stream: Stream, subject: str) -> list[Kept]:
        """All records of a subject (`*` included) as of now, oldest first."""
        found: list[Kept] = []
        async with self._alive():
            try:
                last = await _insist(self.client, _last(stream, subject))
            except NotFoundError:
                return found
            async with self._following(stream, subject, DeliverPolicy.ALL) as subscription:
                while not found or found[-1].revision < (last.seq or 0):
                    found.append(delivered(await subscription.next_msg(timeout=sum(TOLD_S)))[0])
        return found

    def _alive(self, limit_s: float | None = LONGEST_S) -> _Alive:
        return _Alive(self._limits, limit_s)

    async def ready(self, limit_s: float) -> None:
        """Wait until there is a connection, so long at most."""
        if self._there.is_set():
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._there.wait()

    def _end(self) -> None:
        self.outage.begins()
        self._there.clear()
        self._ended.set()
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def _following(
        self, stream: Stream, subject: str, policy: DeliverPolicy
    ) -> AsyncIterator[JetStreamContext.PushSubscription]:
        subscription = await placed(self.client, lambda jetstream: jetstream.subscribe(
            subject, stream=stream.name, ordered_consumer=True, deliver_policy=policy
        ))  # fmt: skip
        try:
            yield subscription
        finally:
            with contextlib.suppress(Error, OSError):
                await subscription.unsubscribe()

    async def follow(
        self, stream: Stream, subject: str, took: Callable[[Kept], None], forget: Callable[[], None]
    ) -> None:
        """Pass on the last record of each subject and every later one, also over later connections.

        Returns when what there was has been passed on.
        """
        follow = Follow(stream, subject, took, forget)
        async with self._alive():
            await follow.begin(self.client)
        self._follows.append(follow)


class _Alive:
    """The library's many errors as the one that says: the store failed, nothing was promised.

    Ends when the connection does: the library would let whoever waits for an answer wait on. Without a limit
    of its own, what is asked has one.
    """

    def __init__(self, limits: set[asyncio.Timeout], limit_s: float | None) -> None:
        self._limits, self._limit = limits, asyncio.timeout(limit_s)

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()
        self._limits.add(self._limit)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limits.discard(self._limit)
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError as late:
            words = "the pool's NATS server: no answer"
            raise _away(words, FaultCode.SERVER_UNREACHABLE, "no answer") from late
        if isinstance(error, APIError) and error.err_code in FULL:
            raise OSError(errno.ENOSPC, "the pool's NATS server is full") from error
        if isinstance(error, APIError) and error.err_code == ALONE:
            raise _away(str(error), FaultCode.NO_CLUSTER, "--replicas") from error
        if isinstance(error, (Error, TimeoutError)):  # the library's API errors too
            words = f"the pool's NATS server: {error or type(error).__name__}"
            raise _away(words, _is_why(error), words) from error


def _answered(content: bytes) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(content)
    error = told.get("error")
    if error is not None and error.get("err_code") not in WRONG_SEQUENCE:
        APIError.from_error(error)  # raises
    return told


def _headers(raw: bytes) -> dict[str, str]:
    """After the line that says which protocol it is."""
    lines = (line.partition(":") for line in raw.decode().split("\r\n")[1:])
    return {name: value.strip() for name, found, value in lines if found}


def _keeper(peer: PeerInfo, stream: str) -> Keeper:
    is_current = bool(peer.current) and not peer.offline and not peer.lag
    return Keeper(
        server=peer.name or "?", stream=stream, leads=False, is_current=is_current, behind=peer.lag or 0
    )


def why_not(error: OSError) -> Problem:
    """What a person is told of a failed call."""
    if isinstance(error, StoreAwayError):
        return error.problem
    return Problem(code=FaultCode.NO_STREAMS, about=str(error))


def _away(words: str, code: FaultCode, about: str) -> StoreAwayError:
    return StoreAwayError(words, Problem(code=code, about=about))


def _is_why(error: Exception) -> FaultCode:
    """Of a server that answers and does not keep: it has no streams at all, or its cluster does not agree."""
    if isinstance(error, (nats.errors.TimeoutError, TimeoutError)):
        return FaultCode.NO_QUORUM
    if isinstance(error, APIError):
        return FaultCode.NO_QUORUM if _is_passing(error) else FaultCode.NO_STREAMS
    none = isinstance(error, (NoStreamResponseError, nats.errors.NoRespondersError))
    return FaultCode.NO_STREAMS if none else FaultCode.SERVER_UNREACHABLE


def _last(stream: Stream, subject: str) -> Callable[[JetStreamContext], Awaitable[RawStreamMsg]]:
    return lambda jetstream: jetstream.get_last_msg(stream.name, subject)


async def _insist(client: Client, ask: Callable[[JetStreamContext], Awaitable[Answer]]) -> Answer:
    """Ask until there is an answer, each time the same: it must do no harm twice."""
    until = time.monotonic() + sum(TOLD_S)
    for answer_s in _patient(TOLD_S):
        try:
            return await ask(client.jetstream(timeout=answer_s))
        except (nats.errors.TimeoutError, NoStreamResponseError, APIError) as error:
            if isinstance(error, APIError) and not _is_passing(error):
                raise
            await _again(error, until)
    raise AssertionError("there is always one more try")


def _patient(answers_s: tuple[float, ...]) -> Iterator[float]:
    """How long each try waits; the later ones as long as the last."""
    return chain(answers_s, repeat(answers_s[-1]))


async def _again(error: Exception, until: float) -> None:
    """Before the next try: a little later, where the answer came at once. Raises the error after `until`."""
    if time.monotonic() >= until:
        raise error
    if not isinstance(error, nats.errors.TimeoutError):
        await asyncio.sleep(AGAIN_S)


def _is_passing(error: APIError) -> bool:
    """Whether servers that have just started say so until they know each other."""
    return isinstance(error, ServiceUnavailableError) or error.err_code in NOT_YET


async def _pinged(client: Client) -> bool:
    try:
        await client.flush(int(LONGEST_S))
    except (Error, OSError):
        return False
    return True


async def _shut(client: Client) -> None:
    with contextlib.suppress(Error, OSError, TimeoutError):
        async with asyncio.timeout(2.0):
            await client.close()
