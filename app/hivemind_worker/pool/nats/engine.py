"""One pool process's connection to the pool's servers: kept, streams made, records read and written.

Comes back by itself after a server went away; meanwhile every call raises OSError, as a disk that fails
would: nothing was promised. What a record means is for the callers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.api import DeliverPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.pool_figures import StreamFigures
from hivemind_worker.model.task import Problem
from hivemind_worker.pool.nats.layout import STREAMS, Stream

log = logging.getLogger(__name__)
ANSWER_S = 10.0
LONGEST_S = 60.0
BACK_S, LONGEST_BACK_S = 0.2, 5.0
WRONG_SEQUENCE = (10071, 10164)
NOTHING_YET = b""

Connect = Callable[[Callable[[], None]], Awaitable[Client | Problem]]
"""Makes one connection; calls what it is given when that connection has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A record as it lies there, and the sequence by which it may be replaced."""

    subject: str
    data: bytes
    revision: int
    headers: Mapping[str, str] = field(default_factory=dict)


class Engine:
    """`open` once, `run` in a nursery, `close` at the end. `furnish` is called with each new connection."""

    def __init__(self, connect: Connect, *, replicas: int = 1) -> None:
        self._connect, self._replicas = connect, replicas
        self._client: Client | None = None
        self._ended = asyncio.Event()
        self._limits: set[asyncio.Timeout] = set()
        self._on_open: list[Callable[[Client], Awaitable[None]]] = []

    async def open(self) -> Problem | None:
        """Connect and make the streams that are not there yet; why not, otherwise."""
        self._ended.clear()
        client = await self._connect(self._end)
        if isinstance(client, Problem):
            return client
        try:
            async with self._alive():
                for stream in STREAMS:
                    await self._ensure(client.jetstream(timeout=ANSWER_S), stream)
                self._client = client
                for furnish in self._on_open:
                    await furnish(client)
        except OSError as error:
            self._client = None
            await _shut(client)
            return Problem(code=FaultCode.NO_STREAMS, about=str(error))
        return None

    async def _ensure(self, jetstream: JetStreamContext, stream: Stream) -> None:
        try:
            await jetstream.stream_info(stream.name)
        except NotFoundError:
            config = StreamConfig(
                name=stream.name, subjects=list(stream.subjects), max_msgs_per_subject=stream.each,
                max_age=stream.age_s, storage=StorageType.FILE, num_replicas=self._replicas,
                allow_direct=True,
            )  # fmt: skip
            await jetstream.add_stream(config)  # twice with the same configuration is harmless

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
            await self._ended.wait()
            await self._let_go()
            problem = await self.open()
            if problem is None:
                log.warning("the pool's NATS server is back")
                pause_s = BACK_S
                continue
            log.warning("the pool's NATS server is away: %s", problem.about)
            self._ended.set()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_BACK_S)

    async def close(self) -> None:
        """End the connection."""
        await self._let_go()

    async def _let_go(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await _shut(client)

    @property
    def client(self) -> Client:
        """The connection of now.

        Raises:
            OSError: there is none.
        """
        if self._client is None:
            raise OSError("the pool's NATS server is away")
        return self._client

    def _jetstream(self) -> JetStreamContext:
        return self.client.jetstream(timeout=ANSWER_S)

    async def read(self, stream: Stream, subject: str) -> Kept | None:
        """The last record of a subject, from the stream's leader; None when there is none."""
        async with self._alive():
            try:
                found = await self._jetstream().get_last_msg(stream.name, subject)
            except NotFoundError:
                return None
        return Kept(
            subject=subject, data=found.data or b"", revision=found.seq or 0, headers=found.headers or {}
        )

    async def write(
        self, subject: str, data: bytes, *, over: int | None = None, headers: Mapping[str, str] | None = None
    ) -> int | None:
        """Write a record and return its sequence, durable by then.

        With `over` only over the record of that sequence (0: where there is none); None when that is not the
        last one any more.
        """
        told = dict(headers or {})
        if over is not None:
            told["Nats-Expected-Last-Subject-Sequence"] = str(over)
        async with self._alive():
            try:
                return (await self._jetstream().publish(subject, data, headers=told or None)).seq
            except APIError as error:
                if error.err_code in WRONG_SEQUENCE:
                    return None
                raise

    async def remove(self, stream: Stream, subject: str, *, before: int | None = None) -> None:
        """Remove all of a subject (`*` included), or what is older than a sequence."""
        async with self._alive():
            await self._jetstream().purge_stream(stream.name, seq=before, subject=subject)

    async def stream_figures(self, stream: Stream) -> StreamFigures:
        """How full a stream is."""
        async with self._alive():
            found = await self._jetstream().stream_info(stream.name)
        most = found.config.max_bytes
        return StreamFigures(
            name=stream.name, held_bytes=found.state.bytes, messages=found.state.messages,
            limit_bytes=most if most is not None and most > 0 else None,
        )  # fmt: skip

    async def room(self) -> tuple[int, int | None]:
        """Bytes that the account keeps on disk, and the most it may; None without a limit of its own."""
        async with self._alive():
            found = await self._jetstream().account_info()
        most = found.limits.max_storage
        return found.storage, most if most is not None and most > 0 else None

    async def all_of(self, stream: Stream, subject: str) -> list[Kept]:
        """All records of a subject (`*` included) as of now, oldest first."""
        found: list[Kept] = []
        async with self._alive():
            try:
                last = await self._jetstream().get_last_msg(stream.name, subject)
            except NotFoundError:
                return found
            async with self._following(stream, subject, DeliverPolicy.ALL) as subscription:
                while not found or found[-1].revision < (last.seq or 0):
                    found.append(_kept(await subscription.next_msg(timeout=ANSWER_S)))
        return found

    @asynccontextmanager
    async def _alive(self) -> AsyncIterator[None]:
        """The library's many errors as the one that says: the store failed, nothing was promised.

        Ends when the connection does: the library would let whoever waits for an answer wait on.
        """
        limit = asyncio.timeout(LONGEST_S)
        self._limits.add(limit)
        try:
            async with limit:
                yield
        except (Error, TimeoutError) as error:
            raise OSError(f"the pool's NATS server: {error or type(error).__name__}") from error
        finally:
            self._limits.discard(limit)

    def _end(self) -> None:
        self._ended.set()
        for limit in self._limits:
            if limit.when() is not None and not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def _following(
        self, stream: Stream, subject: str, policy: DeliverPolicy
    ) -> AsyncIterator[JetStreamContext.PushSubscription]:
        subscription = await self._jetstream().subscribe(
            subject, stream=stream.name, ordered_consumer=True, deliver_policy=policy
        )
        try:
            yield subscription
        finally:
            with contextlib.suppress(Error, OSError):
                await subscription.unsubscribe()

    async def follow(self, stream: Stream, subject: str, took: Callable[[Kept], None]) -> None:
        """Pass on the last record of each subject and every later one, also over later connections.

        Returns when what there was has been passed on.
        """

        async def furnish(client: Client) -> None:
            jetstream, caught_up = client.jetstream(timeout=ANSWER_S), asyncio.Event()

            async def heard(message: Msg) -> None:
                took(_kept(message))
                if message.metadata.num_pending == 0:
                    caught_up.set()

            found = await jetstream.subscribe(
                subject, stream=stream.name, ordered_consumer=True, cb=heard,
                deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
            )  # fmt: skip
            info = await found.consumer_info()
            if info.num_pending or (info.delivered and info.delivered.consumer_seq):
                async with asyncio.timeout(ANSWER_S * 3):
                    await caught_up.wait()

        await self.furnish(furnish)


def _kept(message: Msg) -> Kept:
    return Kept(
        subject=message.subject, data=message.data, revision=message.metadata.sequence.stream,
        headers=message.headers or {},
    )  # fmt: skip


async def _shut(client: Client) -> None:
    with contextlib.suppress(Error, OSError, TimeoutError):
        async with asyncio.timeout(2.0):
            await client.close()
