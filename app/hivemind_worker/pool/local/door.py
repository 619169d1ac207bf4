"""Where every call enters the embedded pool: bytes are parsed, bugs are caught, refusals become answers.

Services behind the door take parsed messages and a `Caller` and return messages; they
know nothing of grpc. Large messages come as a small message and a view of the archive.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote

import grpc
from google.protobuf.message import DecodeError, Message

from hivemind_worker.model.outage import Outage
from hivemind_worker.pool.local.bulk import part
from hivemind_worker.pool.local.limits import SMALL_MESSAGE_BYTES

log = logging.getLogger(__name__)
PROMPT_RESULTS = ("hivemind-prompt-results", "1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls: the token of the authorization header ("" without one), and the address."""

    bearer: str
    peer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """An answer by gRPC status, for the few calls that have no other way to say no."""

    status: grpc.StatusCode
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A message with trailing metadata, or one that is serialised already."""

    message: Message | bytes
    trailing: tuple[tuple[str, str], ...] = ()


Method = Callable[..., Awaitable[Message | Answer | Rejection]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """How one method is called. `bulk_field` is the number of its bytes field, 0 for none."""

    request: type[Message]
    method: Method
    bulk_field: int = 0
    announces: bool = False  # tells in its metadata that results are taken at once (quirk 4)


def _host_of(peer: str) -> str:
    """`ipv4:127.0.0.1:41234` or `ipv6:%5B::1%5D:41234` without scheme and port."""
    return unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]")


def _caller(context: grpc.aio.ServicerContext) -> Caller:
    headers = dict(context.invocation_metadata() or ())
    value = headers.get("authorization", "")
    word, _, token = value.partition(" ") if isinstance(value, str) else ("", "", "")
    return Caller(bearer=token.strip() if word.lower() == "bearer" else "", peer=_host_of(context.peer()))


class Door:
    """One method's entrance: bytes in, bytes out."""

    def __init__(self, name: str, entrance: Entrance, outage: Outage) -> None:
        self._name, self._entrance, self._outage = name, entrance, outage

    async def serve(self, raw: bytes, context: grpc.aio.ServicerContext) -> bytes:
        if self._entrance.announces:
            await context.send_initial_metadata((PROMPT_RESULTS,))
        answer = await self._answer(raw, _caller(context))
        if isinstance(answer, Rejection):
            await context.abort(answer.status, answer.text)
        if isinstance(answer, Answer):
            context.set_trailing_metadata(answer.trailing)
            answer = cast(Any, answer.message)
        return answer if isinstance(answer, bytes) else cast(Message, answer).SerializeToString()

    async def _answer(self, raw: bytes, caller: Caller) -> Message | Answer | Rejection:
        try:
            arguments = self._parsed(raw)
        except (DecodeError, ValueError) as error:
            return Rejection(status=grpc.StatusCode.INVALID_ARGUMENT, text=f"Unreadable message: {error}")
        if arguments is None:
            return Rejection(status=grpc.StatusCode.RESOURCE_EXHAUSTED, text="The message is too large.")
        try:
            return await self._entrance.method(*arguments, caller)
        except OSError as error:
            # The disk is full or gone: nothing was promised, the caller may try again.
            level = self._outage.gave_up(logging.ERROR, error)
            log.log(level, "%s given up: %s", self._name, error)
            words = "is full" if error.errno == errno.ENOSPC else "failed"
            return Rejection(
                status=grpc.StatusCode.UNAVAILABLE, text=f"The pool's disk {words}; try again later."
            )
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("bug in %s", self._name)
            return Rejection(status=grpc.StatusCode.INTERNAL, text="The pool made a mistake; see its log.")

    def _parsed(self, raw: bytes) -> tuple[Any, ...] | None:
        entrance = self._entrance
        if not entrance.bulk_field:
            return (entrance.request.FromString(raw),) if len(raw) <= SMALL_MESSAGE_BYTES else None
        small, content = part(raw, entrance.bulk_field)
        return entrance.request.FromString(small), content


def handlers(service: str, entrances: Mapping[str, Entrance], outage: Outage) -> grpc.GenericRpcHandler:
    """The service for a grpc server; no serialisers: messages pass as bytes."""
    methods = {
        name: grpc.unary_unary_rpc_method_handler(Door(f"{service}.{name}", entrance, outage).serve)
        for name, entrance in entrances.items()
    }
    return grpc.method_handlers_generic_handler(f"nodepool.{service}", methods)
