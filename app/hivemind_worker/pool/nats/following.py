"""What a pool process follows: the last record of each subject as it is now, then every later one.

The library's ordered consumer begins again where it was, at another server if need be, when it has heard
nothing for two heartbeats. Over a new connection `begin` is for the caller to call.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.api import DeliverPolicy

from hivemind_worker.pool.nats.layout import Stream

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")
PLACED_S, FIRST_S = (1.0, 1.0, 1.0, 2.0, 5.0), 30.0
"""Of each try: a cluster may place who follows at the server that it has lost, and never answers then."""
HEARTBEAT_S = 1.0
ACK_WORDS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A record as it lies there, and the sequence by which it may be replaced."""

    subject: str
    data: bytes
    revision: int
    headers: Mapping[str, str] = field(default_factory=dict)
    at_s: float = 0.0  # the server's time when it was written, where it was told of by `Follow`


class Follow:
    """Passes on the records of a subject (`*` included). `forget` is called before, when those that were
    passed on may never have been: the stream was brought back from an earlier copy."""

    def __init__(
        self, stream: Stream, subject: str, took: Callable[[Kept], None], forget: Callable[[], None]
    ) -> None:
        self.stream = stream
        self._subject, self._took, self._forget = subject, took, forget
        self._newest = 0
        self.over: Client | None = None
        """The connection over which it is followed."""

    def compare(self, last: int) -> None:
        """Take note of the sequence that the stream's last record has now."""
        if self._newest > last:
            log.warning("%s was brought back from an earlier copy", self.stream.name)
            self._newest = 0
            self._forget()

    async def begin(self, client: Client) -> None:
        """Follow over this connection; returns when what there is has been passed on.

        Raises:
            nats.errors.Error, TimeoutError: it is not followed.
        """
        caught_up = asyncio.Event()

        async def heard(message: Msg) -> None:
            kept, pending = delivered(message)
            self._take(kept)
            if pending == 0:
                caught_up.set()

        subscription = await placed(client, lambda jetstream: jetstream.subscribe(
            self._subject, stream=self.stream.name, ordered_consumer=True, cb=heard,
            idle_heartbeat=HEARTBEAT_S, deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
        ))  # fmt: skip
        try:
            info = await subscription.consumer_info()
            if info.num_pending or (info.delivered and info.delivered.consumer_seq):
                async with asyncio.timeout(FIRST_S):
                    await caught_up.wait()
        except BaseException:
            with contextlib.suppress(Error, OSError):
                await subscription.unsubscribe()
            raise
        self.over = client

    async def begin_again(self, client: Client) -> None:
        """The same, tried until it succeeds."""
        while True:
            try:
                return await self.begin(client)
            except (Error, TimeoutError) as error:
                log.info("%s is not followed yet: %s", self.stream.name, error or type(error).__name__)
            await asyncio.sleep(PLACED_S[0])

    def _take(self, kept: Kept) -> None:
        self._newest = max(self._newest, kept.revision)
        try:
            self._took(kept)
        except (ValueError, KeyError, TypeError, OSError) as error:
            log.error("%s is left as it is: %s", kept.subject, error)


async def placed(client: Client, subscribe: Callable[[JetStreamContext], Awaitable[Answer]]) -> Answer:
    """Subscribe, again while nobody answers: the next one may be placed at a server that is there."""
    for answer_s in PLACED_S[:-1]:
        with contextlib.suppress(nats.errors.TimeoutError):
            return await subscribe(client.jetstream(timeout=answer_s))
    return await subscribe(client.jetstream(timeout=PLACED_S[-1]))


def delivered(message: Msg) -> tuple[Kept, int]:
    """A record, and how many are still to come: both stand in the subject by which it would be acknowledged.

    $JS.ACK.STREAM.CONSUMER.TIMES.SEQUENCE.CONSUMER-SEQUENCE.TIME.PENDING, of later servers with more before.
    """
    words = message.reply.split(".")
    at = 5 if len(words) == ACK_WORDS else 7
    kept = Kept(
        subject=message.subject, data=message.data, revision=int(words[at]), headers=message.headers or {},
        at_s=int(words[at + 2]) / 1e9,
    )  # fmt: skip
    return kept, int(words[at + 3])
