"""One connection to a pool: calls that return what was answered or a `Failure`, never raise.

Owns the connection's options and the reading of gRPC's errors; knows no session and no
token's meaning. Counterparts: `pool.session`, `pool.wire`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Generic, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

import hivemind_worker.pool.polling  # noqa: F401
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.model.traffic import Moved, uncounted
from hivemind_worker.pool.wire import clean_words

KEEPALIVE: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 30000),
    ("grpc.keepalive_timeout_ms", 10000),
    ("grpc.keepalive_permit_without_calls", True),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_time_between_pings_ms", 10000),
    ("grpc.http2.min_ping_interval_without_data_ms", 300000),
)
"""All six of the original documentation, exactly."""
OPTIONS: tuple[tuple[str, int], ...] = (
    *KEEPALIVE,
    ("grpc.max_send_message_length", 100 << 20),
    ("grpc.max_receive_message_length", 1 << 20),
    ("grpc.max_metadata_size", 16 << 10),
    ("grpc.absolute_max_metadata_size", 16 << 10),
    ("grpc.enable_http_proxy", 0),  # a proxy of the environment cannot reach into the tunnel
)
PINGS_UNCOUNTED: tuple[tuple[str, int], ...] = (
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_permit_without_calls", 1),
)
"""Of every server of ours. A peer that pings too often is answered, not turned out: to turn it out
costs gRPC 1.85 the square of its pings (each one more adds to one growing error while a last write
is awaited), and eight connections kept an honest call waiting for half a minute."""
HIDDEN = "(hidden)"
REMEMBERED_SECRETS = 4  # the password and the last tokens
SHORTEST_SECRET = 4  # a shorter one would blot out ordinary words, and hides nothing
PROMPT_RESULTS = "hivemind-prompt-results"
TOKEN_MARKERS = frozenset({"TOKEN_EXPIRED", "INVALID_TOKEN", "Token is required"})
"""The only words of a pool that mean anything to us: the token is not (or no longer) good."""
TRY_AGAIN = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.UNKNOWN,  # what a Python pool says when its own database is away
        grpc.StatusCode.INTERNAL,
    }
)

Message = TypeVar("Message")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[Message]):
    """A response of the pool and the metadata around it."""

    message: Message
    metadata: tuple[tuple[str, str], ...] = ()

    @property
    def takes_prompt_results(self) -> bool:
        """Whether the pool says that it has no race with early results (quirk 4)."""
        return (PROMPT_RESULTS, "1") in self.metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """No response: the gRPC status and its words."""

    status: grpc.StatusCode
    words: str = ""

    @property
    def may_pass(self) -> bool:
        """Whether the same call may work later."""
        return self.status in TRY_AGAIN

    def problem(self, address: str) -> Problem:
        """The fault that it shows: unreachable, mute, or a no."""
        if self.status is grpc.StatusCode.DEADLINE_EXCEEDED:
            return Problem(code=FaultCode.POOL_MUTE, about=address)
        if self.status in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
            return Problem(code=FaultCode.POOL_UNREACHABLE, about=address)
        return Problem(code=FaultCode.POOL_REFUSED, about=self.words or str(self.status.name))


def wants_login(outcome: object) -> bool:
    """Whether the pool does not accept the token that came with the call (quirk 20)."""
    if isinstance(outcome, Failure):
        return outcome.status is grpc.StatusCode.UNAUTHENTICATED
    if not isinstance(outcome, Answer):
        return False
    return not outcome.message.success and outcome.message.message.strip() in TOKEN_MARKERS


class Channel:
    """A connection to one checked address (`target`: IP and port). Close it when done."""

    def __init__(self, target: str, moved: Moved = uncounted) -> None:
        self.target = target
        self._moved = moved
        self._secrets: deque[str] = deque(maxlen=REMEMBERED_SECRETS)
        self._channel = grpc.aio.insecure_channel(target, options=OPTIONS)

    def keep_secret(self, secret: str) -> None:
        """From now on these letters never appear in `discreet` words."""
        if len(secret) >= SHORTEST_SECRET:
            self._secrets.append(secret)

    def discreet(self, untrusted_words: str) -> str:
        """A pool's words for people and logs, without the secrets that it may repeat in them."""
        for secret in self._secrets:
            untrusted_words = untrusted_words.replace(secret, HIDDEN)
        return clean_words(untrusted_words)

    async def ready(self, limit_s: float) -> bool:
        """Whether the connection stands within `limit_s`."""
        try:
            await asyncio.wait_for(self._channel.channel_ready(), limit_s)
        except TimeoutError:
            return False
        return True

    async def call(
        self, path: str, request: bytes, read: Callable[[bytes], Message], *, limit_s: float, token: str = "",
        own_line: bool = False,
    ) -> Answer[Message] | Failure:  # fmt: skip
        """Call a method with ready bytes; `token` goes into the header as well (the body has its own).

        On a line of its own a large request holds up nothing else; the line ends with the call.
        """
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        try:
            async with self._own_line() if own_line else nullcontext(self._channel) as channel:
                call = channel.unary_unary(path)(request, timeout=limit_s, metadata=metadata)
                reply = await call
                self._moved(len(reply), len(request))
                message = read(reply)
                around = (*_pairs(await call.initial_metadata()), *_pairs(await call.trailing_metadata()))
                return Answer(message=message, metadata=around)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:  # without a connection nothing has left
                self._moved(0, len(request))
            return Failure(status=error.code(), words=self.discreet(error.details() or ""))
        except DecodeError:
            return Failure(status=grpc.StatusCode.INTERNAL, words="the answer cannot be read")
        except grpc.aio.UsageError:
            return Failure(status=grpc.StatusCode.UNAVAILABLE, words="the connection was closed")
        except asyncio.CancelledError:
            # The library raises this when the channel is closed under a call: only then is it no order to us.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return Failure(status=grpc.StatusCode.CANCELLED, words="the connection was closed")

    def _own_line(self) -> grpc.aio.Channel:
        # Without a pool of its own the library would put both channels on one connection.
        own_pool = ("grpc.use_local_subchannel_pool", 1)
        return grpc.aio.insecure_channel(self.target, options=(*OPTIONS, own_pool))

    async def close(self) -> None:
        """End the connection and what is under way on it."""
        await self._channel.close()


def _pairs(metadata: Iterable[tuple[str, str | bytes]] | None) -> list[tuple[str, str]]:
    return [(str(key), value) for key, value in metadata or () if isinstance(value, str)]
